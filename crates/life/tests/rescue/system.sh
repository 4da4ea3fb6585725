#!/bin/sh
# A rescue system: OpenSSH's sshd, root's shell and a disk, in namespaces of their own. Arguments: folder, sshd, small|large|used.
# Nothing outside is mounted, written or listened on but the folder and one port of loopback; all of it ends with this process.
set -e
folder=$1 sshd=$2 disk=$3
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
# sshd parts with its rights to a user of this name; root must not be locked.
printf 'root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n' > "$folder/passwd"
printf 'root:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n' > "$folder/shadow"
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/shadow" /etc/shadow
# A /dev in which the machine's own disks are not.
mkdir /run/dev
mount -t tmpfs -o mode=755 tmpfs /run/dev
for device in null zero full random urandom tty; do
  : > "/run/dev/$device"
  mount --bind "/dev/$device" "/run/dev/$device"
done
ln -s /proc/self/fd /run/dev/fd
mkdir /run/dev/pts /run/small
mount --move /run/dev /dev
if [ "$disk" = small ]; then
  mount -t tmpfs -o size=2m tmpfs /run/small
  ln -s /run/small/disk /dev/sda
else
  ln -s "$folder/disk" /dev/sda
fi
: > /dev/sda
[ "$disk" != used ] || mount -t tmpfs /dev/sda /mnt
# Were it a device, nothing here would keep root's shell from writing it.
[ -f /dev/sda ] && [ ! -b /dev/sda ]
exec "$sshd" -D -e -f "$folder/sshd_config"
