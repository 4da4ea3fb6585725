// Guest is the one program that the rig puts into its namespaces and images: it is static, so that it runs on an empty
// file system.
//
//	guest init NAME      first process of a machine: buries orphans until it is killed
//	guest keep           the same, and ends when its standard input does: whoever holds the other end lives, or nothing does
//	guest pause          first process of a pod
//	guest web            an HTTP server on :8080 that tells its pod and node
//	guest get URL HOST   one HTTP request; status and body on standard output
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// A request that is not answered by then has failed: the rig asks again by itself.
const answerWithin = 2 * time.Second

func main() {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	switch {
	case verb == "init":
		bury()
	case verb == "keep":
		go bury()
		_, _ = io.Copy(io.Discard, os.Stdin)
	case verb == "pause":
		go bury()
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		<-ended
	case verb == "web":
		fail(web())
	case verb == "get" && len(os.Args) == 4:
		fail(get(os.Args[2], os.Args[3]))
	default:
		fmt.Fprintln(os.Stderr, "usage: guest init NAME | keep | pause | web | get URL HOST")
		os.Exit(2)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Waits for every child that ends. A first process has children that it never started.
func bury() {
	died := make(chan os.Signal, 16)
	signal.Notify(died, syscall.SIGCHLD)
	for {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
		<-died
	}
}

func web() error {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, "pod=%s node=%s\n", os.Getenv("POD"), os.Getenv("NODE"))
	})
	return http.ListenAndServe(":8080", nil)
}

func get(url, host string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Host = host
	client := http.Client{Timeout: answerWithin}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	fmt.Printf("%d\n%s", answer.StatusCode, body)
	return nil
}
