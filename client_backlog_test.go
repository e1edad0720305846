//go:build linux

package holdfast_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// The service's listen backlog is full, and the kernel drops new connections without an
// answer. The connect limit ends the attempt, and the request was not sent. Once the
// service accepts again, the next call succeeds. No descriptor leaks.
func TestFullListenBacklog(t *testing.T) {
	before := descriptors(t)
	l, occupants := fullBacklog(t)
	c, err := holdfast.New(holdfast.Config{
		BaseURL:  "http://" + l.Addr().String(),
		Timeouts: holdfast.Timeouts{Connect: 100 * time.Millisecond},
		Retry:    holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off},
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = c.Post(t.Context(), "/x", "some work", holdfast.WithNoRepeat())
	is(t, err, holdfast.ErrTimeout, holdfast.ErrConnection)
	if d := time.Since(start); d < 200*time.Millisecond || d > 10*time.Second {
		t.Errorf("two attempts took %v", d)
	}
	equal(t, "attempts", len(attempts(t, err)), 2) // it was not sent, so it may be repeated
	for _, a := range attempts(t, err) {
		equal(t, "sent", a.Sent, false)
		if !strings.HasPrefix(a.Err.Error(), "connect timeout of 100ms") {
			t.Errorf("error %q does not name the limit", a.Err)
		}
	}
	equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
	equal(t, "in flight", c.Stats().InFlight, 0)

	for _, fd := range occupants {
		syscall.Close(fd)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: quiet}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	patient, err := holdfast.New(holdfast.Config{BaseURL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = patient.Get(t.Context(), "/x")
	is(t, err, holdfast.ErrNotFound)

	c.Close()
	patient.Close()
	s.Close()
	<-served
	eventually(t, "descriptors", func() string {
		if n := descriptors(t); n > before {
			return fmt.Sprintf("%d are left", n-before)
		}
		return ""
	})
}

// fullBacklog returns a listener with the smallest backlog, and the connections that fill
// it. Go's own listeners have room for thousands.
func fullBacklog(t *testing.T) (net.Listener, []int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(err)
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(syscall.Listen(fd, 0))
	addr, err := syscall.Getsockname(fd)
	must(err)
	var occupants []int
	for range 4 { // Linux does not count the first; the others wait
		one, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		must(err)
		occupants = append(occupants, one)
		if err := syscall.Connect(one, addr); err != syscall.EINPROGRESS {
			must(err)
		}
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	must(err)
	return l, occupants
}
