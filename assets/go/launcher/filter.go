// Talos, runc and the kubelet lower oom_score_adj, which takes CAP_SYS_RESOURCE, and give up where they may not. Whoever lacks
// that capability cannot hand it on, so every opening of such a file for writing is answered with /dev/null instead; all
// other calls go on as if nothing were there.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the machine's first process finds its end of the pair: the first of exec.Cmd's ExtraFiles.
const pairEnd = 3

const adjustment = "oom_score_adj"

// struct seccomp_notif of <linux/seccomp.h>.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// struct seccomp_notif_addfd.
type addition struct {
	id         uint64
	flags      uint32
	srcfd      uint32
	newfd      uint32
	newfdFlags uint32
}

func pair() (ours, theirs *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(ends[0]), "ours"), os.NewFile(uintptr(ends[1]), "theirs"), nil
}

// Puts this thread under the filter, and hands the listener to the launcher.
func filtered() error {
	listener, err := install()
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(pairEnd, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return err
	}
	unix.Close(listener)
	return unix.Close(pairEnd)
}

func install() (int, error) {
	architecture, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return -1, errors.New("no filter for " + runtime.GOARCH)
	}
	const load, equal, set, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	// Offsets into struct seccomp_data: the call 0, the architecture 4, the low half of the third argument 32.
	program := []unix.SockFilter{
		{Code: load, K: 4},
		{Code: equal, K: architecture, Jf: 5},
		{Code: load, K: 0},
		{Code: equal, K: unix.SYS_OPENAT, Jf: 3},
		{Code: load, K: 32},
		{Code: set, K: unix.O_WRONLY | unix.O_RDWR, Jf: 1},
		{Code: give, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
	whole := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Go interrupts its threads with signals all the time; a call that waits for us must not be begun anew for each.
	flags := unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	listener, _, errno := unix.Syscall(
		unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&whole)),
	)
	if errno != 0 {
		return -1, fmt.Errorf("seccomp: %w", errno)
	}
	return int(listener), nil
}

func receive(ours *os.File) (int, error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, length, _, _, err := unix.Recvmsg(int(ours.Fd()), make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:length])
	if err != nil || len(messages) != 1 {
		return -1, errors.New("the first process ended before it had its filter")
	}
	descriptors, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) != 1 {
		return -1, errors.New("no listener came with the filter")
	}
	return descriptors[0], nil
}

// Answers until every process under the filter is gone.
func answer(listener int) {
	defer unix.Close(listener)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	fail(err)
	defer unix.Close(null)
	for {
		waiting := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(waiting, -1); err != nil && err != unix.EINTR {
			fail(err)
		}
		if waiting[0].Revents&unix.POLLIN != 0 {
			one(listener, null)
		} else if waiting[0].Revents&unix.POLLHUP != 0 {
			return
		}
	}
}

func one(listener, null int) {
	var asked notification
	if control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&asked)) != 0 {
		// Whoever asked was killed meanwhile.
		return
	}
	if strings.HasSuffix(pathOf(int(asked.pid), uintptr(asked.args[1])), adjustment) {
		gift := addition{id: asked.id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, srcfd: uint32(null)}
		if asked.args[2]&unix.O_CLOEXEC != 0 {
			gift.newfdFlags = unix.O_CLOEXEC
		}
		if control(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&gift)) == 0 {
			return
		}
	}
	leave := response{id: asked.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&leave))
}

func control(listener int, request uintptr, what unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), request, uintptr(what))
	return errno
}

// The path that a process passed to the call it waits in; what cannot be read is no path of interest.
func pathOf(pid int, address uintptr) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return ""
	}
	defer memory.Close()
	path := make([]byte, unix.PathMax)
	// Less is read where the path lies at the end of what is mapped.
	read, _ := memory.ReadAt(path, int64(address))
	path, _, _ = bytes.Cut(path[:read], []byte{0})
	return string(path)
}
