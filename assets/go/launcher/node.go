// The first process of a machine: it mounts what a Talos container must have, as Talos's own provisioner for Docker does it,
// and becomes Talos. Each step that fails ends it: nothing of Talos may ever run on the files of the host.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// Folders of the machine's own that outlive its boots.
var kept = map[string]string{
	"var": "/var", "state": "/system/state", "cni": "/etc/cni", "kubernetes": "/etc/kubernetes",
	"libexec": "/usr/libexec/kubernetes", "opt": "/opt",
}

// What Talos and its kubelet set for the whole kernel: they find it as they want it, or write into a file of the machine's own.
var wanted = map[string]string{
	"fs/aio-max-nr": "1048576", "fs/inotify/max_user_instances": "8192", "kernel/pid_max": "262144",
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// Major and minor numbers of /dev's character devices. kmsg is the null device: the kernel's log is the host's.
var devices = map[string][2]uint32{
	"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0}, "kmsg": {1, 3},
}

func first(name, root, own string) error {
	// The filter is a thread's, and the thread that calls execve is the one that stays.
	runtime.LockOSThread()
	if os.Getpid() != 1 {
		return errors.New("not the first process of a namespace")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	target := filepath.Join(own, "root")
	if err := furnish(root, target, own, name); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := turn(target); err != nil {
		return err
	}
	if err := filtered(); err != nil {
		return err
	}
	return unix.Exec("/sbin/init", []string{"/sbin/init"}, os.Environ())
}

// Makes target the root of all, and lets go of the old one.
func turn(target string) error {
	if err := unix.Chdir(target); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("shared mounts: %w", err)
	}
	return nil
}

type mounter struct {
	target string
	err    error
}

func (m *mounter) mount(source, place, kind string, flags uintptr, data string) {
	if m.err != nil {
		return
	}
	if err := unix.Mount(source, filepath.Join(m.target, place), kind, flags, data); err != nil {
		m.err = fmt.Errorf("mount %s: %w", place, err)
	}
}

func (m *mounter) folder(path string) {
	if m.err == nil {
		m.err = os.MkdirAll(path, 0o755)
	}
}

// Puts a file of the machine's own in a place.
func (m *mounter) file(path, line, place string) {
	if m.err == nil {
		m.err = os.WriteFile(path, []byte(line+"\n"), 0o644)
	}
	m.mount(path, place, "", unix.MS_BIND, "")
}

func furnish(root, target, own, name string) error {
	m := &mounter{target: target}
	m.folder(target)
	m.mount(root, "", "", unix.MS_BIND, "")
	m.mount("", "", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	m.mount("proc", "/proc", "proc", 0, "")
	m.mount("sysfs", "/sys", "sysfs", 0, "")
	m.groups()
	m.dev()
	for _, place := range []string{"/run", "/system", "/tmp"} {
		m.mount("tmpfs", place, "tmpfs", 0, "mode=755")
	}
	m.folder(filepath.Join(target, "system/state"))
	for folder, place := range kept {
		m.folder(filepath.Join(own, folder))
		m.mount(filepath.Join(own, folder), place, "", unix.MS_BIND, "")
	}
	m.folder(filepath.Join(own, "files"))
	m.file(filepath.Join(own, "files/hostname"), name, "/etc/hostname")
	m.settings(filepath.Join(own, "files"))
	return m.err
}

// The hierarchies of the host's control groups, each from the launcher's own group down.
func (m *mounter) groups() {
	const place = "/sys/fs/cgroup"
	if _, err := os.Stat(place + "/cgroup.controllers"); err == nil {
		m.mount("cgroup2", place, "cgroup2", 0, "")
		return
	}
	m.mount("tmpfs", place, "tmpfs", 0, "mode=755")
	list, err := os.ReadFile("/proc/self/cgroup")
	if err != nil && m.err == nil {
		m.err = err
	}
	for line := range strings.Lines(string(list)) {
		_, rest, _ := strings.Cut(line, ":")
		if controllers, _, _ := strings.Cut(rest, ":"); controllers != "" {
			folder := filepath.Join(place, strings.TrimPrefix(controllers, "name="))
			m.folder(filepath.Join(m.target, folder))
			m.mount("cgroup", folder, "cgroup", 0, controllers)
		}
	}
}

func (m *mounter) dev() {
	m.mount("tmpfs", "/dev", "tmpfs", 0, "mode=755")
	for _, folder := range []string{"pts", "shm", "mqueue"} {
		m.folder(filepath.Join(m.target, "dev", folder))
	}
	m.mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
	m.mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")
	m.mount("mqueue", "/dev/mqueue", "mqueue", 0, "")
	for name, number := range devices {
		if m.err == nil {
			device := unix.Mkdev(number[0], number[1])
			m.err = unix.Mknod(filepath.Join(m.target, "dev", name), unix.S_IFCHR|0o666, int(device))
		}
	}
	for name, to := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
	} {
		if m.err == nil {
			m.err = os.Symlink(to, filepath.Join(m.target, "dev", name))
		}
	}
}

// Settings of the kernel that are not the network namespace's belong to the host: they can be read, and not written.
func (m *mounter) settings(own string) {
	m.mount(filepath.Join(m.target, "/proc/sys"), "/proc/sys", "", unix.MS_BIND|unix.MS_REC, "")
	m.mount(filepath.Join(m.target, "/proc/sys/net"), "/proc/sys/net", "", unix.MS_BIND|unix.MS_REC, "")
	m.mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	for name, value := range wanted {
		m.file(filepath.Join(own, filepath.Base(name)), value, "/proc/sys/"+name)
	}
	const trigger = "/proc/sysrq-trigger"
	if _, err := os.Stat(trigger); err == nil {
		m.mount("/dev/null", trigger, "", unix.MS_BIND, "")
	}
}
