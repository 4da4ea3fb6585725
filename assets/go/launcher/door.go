package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const dialWithin = 10 * time.Second

// Listens here, dials there. The address is told on standard output.
func door(network string) error {
	there, err := os.Open(network)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	for {
		guest, err := listener.Accept()
		if err != nil {
			return err
		}
		go let(guest, there)
	}
}

func let(guest net.Conn, there *os.File) {
	defer guest.Close()
	reader := bufio.NewReader(guest)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		io.WriteString(guest, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
		return
	}
	host, err := dial(request.Host, there)
	if err != nil {
		io.WriteString(guest, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer host.Close()
	io.WriteString(guest, "HTTP/1.1 200 Connection established\r\n\r\n")
	over := make(chan struct{}, 2)
	pass := func(to, from net.Conn, reader io.Reader) {
		io.Copy(to, reader)
		to.(*net.TCPConn).CloseWrite()
		over <- struct{}{}
	}
	go pass(host, guest, reader)
	go pass(guest, host, host)
	<-over
	<-over
}

// Makes the socket on a thread that has moved over; the thread is not used for anything else after that.
func dial(address string, there *os.File) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		// Never unlocked: the thread ends with this function.
		runtime.LockOSThread()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- dialled{err: err}
			return
		}
		// Numbers only: names would be resolved by whichever thread.
		place, err := net.ResolveTCPAddr("tcp", address)
		if err != nil || place.IP == nil {
			done <- dialled{err: errors.Join(err, errors.New("not an address"))}
			return
		}
		conn, err := (&net.Dialer{Timeout: dialWithin}).Dial("tcp", place.String())
		done <- dialled{conn, err}
	}()
	result := <-done
	return result.conn, result.err
}
