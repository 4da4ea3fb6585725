# First script of a machine, in namespaces of its own; $1 is its name. Everything that its programs may write is mounted
# here from its own folder, and the rest of the file system is read-only, so that nothing of it can reach the host.
root=/var/lib/bouquet-rig
own=$root/nodes/$1
mkdir -p "$own/lib/bouquet-rig" "$own/lib/kubelet" "$own/lib/containerd" "$own/log" "$own/mnt" "$own/tmp"
ln -sfn /run "$own/run"
mount --rbind $root "$own/lib/bouquet-rig"
mount --rbind "$own" /var
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /run/netns /run/lock /run/sysctl

# A kubelet sets these for the whole kernel where they differ: here it finds them as it wants them, and sets nothing.
want() {
    echo "$2" >"/run/sysctl/${1##*/}"
    mount --bind "/run/sysctl/${1##*/}" "/proc/sys/$1"
}
want vm/overcommit_memory 1
want vm/panic_on_oom 0
want kernel/panic 10
want kernel/panic_on_oops 1
want kernel/keys/root_maxkeys 1000000
want kernel/keys/root_maxbytes 25000000

# Nobody is to be asked for names; where this is a link into /run, it leads nowhere by now.
: >/run/no-resolver
[ -L /etc/resolv.conf ] || [ ! -e /etc/resolv.conf ] || mount --bind /run/no-resolver /etc/resolv.conf

echo "$1" >/proc/sys/kernel/hostname
# These belong to the machine's network namespace.
echo 1 >/proc/sys/net/ipv4/ip_forward
bridged=/proc/sys/net/bridge/bridge-nf-call-iptables
[ ! -e $bridged ] || echo 1 >$bridged
mount -o remount,bind,ro /
mount --make-rshared /
exec $root/bin/guest init "$1"
