// Launcher starts a real Talos node in namespaces of its own, and is the way into a network namespace.
//
//	launcher node NAME ROOT OWN   runs ROOT/sbin/init as the machine NAME, and again each time it asks for a reboot
//	launcher door NETWORK         an HTTP CONNECT proxy on 127.0.0.1 that dials from a named network namespace
//
// The machine has the network and the control groups that the launcher was started in; everything else is its own. It dies
// with the launcher.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func main() {
	arguments := append(os.Args, "")
	switch {
	case arguments[1] == "node" && len(os.Args) == 5:
		fail(run(os.Args[2:]))
	case arguments[1] == "first" && len(os.Args) == 5:
		fail(first(os.Args[2], os.Args[3], os.Args[4]))
	case arguments[1] == "door" && len(os.Args) == 3:
		fail(door(os.Args[2]))
	default:
		fmt.Fprintln(os.Stderr, "usage: launcher node NAME ROOT OWN | door NETWORK")
		os.Exit(2)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
		os.Exit(1)
	}
}

// Runs the machine until it ends in another way than by asking for a reboot. The kernel tells whoever waits for the first
// process of a process namespace how that process called reboot(2): SIGHUP stands for a restart, SIGINT for power off.
func run(arguments []string) error {
	// The death signal of a child is bound to the thread that started it.
	runtime.LockOSThread()
	for {
		err := once(arguments)
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			return err
		}
		status, _ := ended.Sys().(syscall.WaitStatus)
		switch {
		case status.Signaled() && status.Signal() == syscall.SIGHUP:
			fmt.Fprintln(os.Stderr, "launcher: reboot")
		case status.Signaled() && status.Signal() == syscall.SIGINT:
			fmt.Fprintln(os.Stderr, "launcher: power off")
			return nil
		default:
			return err
		}
	}
}

func once(arguments []string) error {
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	child := exec.Command("/proc/self/exe", append([]string{"first"}, arguments...)...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{theirs}
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: namespaces}
	if err := child.Start(); err != nil {
		return err
	}
	theirs.Close()
	listener, err := receive(ours)
	ours.Close()
	if err != nil {
		child.Process.Kill()
		return errors.Join(err, child.Wait())
	}
	go answer(listener)
	return child.Wait()
}
