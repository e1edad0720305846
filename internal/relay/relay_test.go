package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo is a service that sends back all that it reads.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// client is a connection through r that works.
func client(t *testing.T, r *Relay) net.Conn {
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := ask(conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends something as long as a request, and reads it back.
func ask(conn net.Conn) error {
	text := strings.Repeat("hello", 10)
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, len(text)))
	return err
}

// What is connected when Stale is called fails in its way, and what is connected later
// works.
func TestStale(t *testing.T) {
	for _, f := range []Fault{Reset, Finish, Dark} {
		t.Run(f.String(), func(t *testing.T) {
			r, err := New(echo(t))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			old := client(t, r)
			r.Stale(f)
			if f == Dark {
				old.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			}
			switch err := ask(old); f {
			case Reset:
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%v, want a reset", err)
				}
			case Finish:
				if err == nil {
					t.Error("an answer over a connection that has ended")
				}
			case Dark:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%v, want no answer", err)
				}
			}
			client(t, r)
			old.Close()
			eventually(t, func() bool { return r.Open() == 1 && r.Used() == 1 })
			if r.Opened() != 2 {
				t.Errorf("%d connections opened, want 2", r.Opened())
			}
		})
	}
}

// A client hears at once that its connection is finished, and of Reset and Dark nothing
// before it sends, even if the service ends.
func TestIdle(t *testing.T) {
	for _, f := range []Fault{Reset, Finish, Dark} {
		t.Run(f.String(), func(t *testing.T) {
			service, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer service.Close()
			r, err := New(service.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			conn, err := net.Dial("tcp", r.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			there, err := service.Accept()
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return r.Open() == 1 })
			r.Stale(f)
			there.Close()
			conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, err = conn.Read(make([]byte, 1))
			if f == Finish && err != io.EOF || f != Finish && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if r.Used() != 0 {
				t.Error("used without a byte")
			}
		})
	}
}

// A client that closes a stale connection over TLS has not used it.
func TestGoodbye(t *testing.T) {
	r, err := New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	conn := client(t, r)
	r.Stale(Reset)
	if _, err := conn.Write(make([]byte, alert)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return r.Open() == 0 })
	if r.Used() != 0 {
		t.Error("an alert counts as a use")
	}
}

// A connection that works ends when either side does, and all end with the relay.
func TestEnds(t *testing.T) {
	r, err := New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	conn := client(t, r)
	conn.(*net.TCPConn).CloseWrite()
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
	eventually(t, func() bool { return r.Open() == 0 })
	conn = client(t, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := ask(conn); err == nil {
		t.Error("an answer through a closed relay")
	}
	if _, err := net.Dial("tcp", r.Addr()); err == nil {
		t.Error("a closed relay accepts connections")
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("not within 5 s")
		}
	}
}
