package faultserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// wire is a plain socket to a server, so that the test sees all bytes and
// errors without an HTTP client between.
type wire struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dialWire(t *testing.T, s *Server) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Second)) // a test that hangs reports its place
	return &wire{t, conn, bufio.NewReader(conn)}
}

// send writes a POST with a body, part of which servers often leave unread.
func (w *wire) send(id string) {
	w.t.Helper()
	const body = "some work"
	_, err := fmt.Fprintf(w, "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
	if err != nil {
		w.t.Fatal(err)
	}
}

// head reads the status line and headers.
func (w *wire) head() *http.Response {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatal("reading the head: ", err)
	}
	return resp
}

// full reads one complete answer.
func (w *wire) full() (*http.Response, string) {
	w.t.Helper()
	resp := w.head()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal("reading the body: ", err)
	}
	return resp, string(body)
}

// rest reads the remaining bytes and the error at their end.
func (w *wire) rest() ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(w.in)
	if err == nil {
		err = io.EOF // ReadFrom's nil
	}
	return b.Bytes(), err
}

func (w *wire) wantEnd(bytes int, end error) {
	w.t.Helper()
	got, err := w.rest()
	if len(got) != bytes || !errors.Is(err, end) {
		w.t.Errorf("%d bytes (%.40q), then %v; want %d, then %v", len(got), got, err, bytes, end)
	}
}

// wantNoBytes checks that no byte arrives within a short deadline.
func (w *wire) wantNoBytes() {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	w.wantEnd(0, os.ErrDeadlineExceeded)
	w.SetReadDeadline(time.Now().Add(5 * time.Second))
}

// wantText checks that exactly this text arrives next.
func (w *wire) wantText(want string) {
	w.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w.in, got); err != nil || string(got) != want {
		w.t.Errorf("%q, %v; want %q", got[:n], err, want)
	}
}

// headText reads the status line and headers as text.
func (w *wire) headText() string {
	w.t.Helper()
	var text strings.Builder
	for {
		line, err := w.in.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			w.t.Fatalf("within the head: %v after %q", err, text.String())
		}
		if line == "\r\n" {
			return text.String()
		}
	}
}

// wantHead checks that the head has these lines.
func (w *wire) wantHead(lines ...string) {
	w.t.Helper()
	text := w.headText()
	for _, line := range lines {
		if !strings.Contains(text, line+"\r\n") {
			w.t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func strikeAll(f fault.Fault) fault.Plan { return fault.Plan{Rules: []fault.Rule{{Fault: f}}} }

const echoBody = `{"method":"POST","path":"/work","request_id":"op-1","body_bytes":9}`

func TestSequenceOnTheWire(t *testing.T) {
	s := Start(t, strikeAll(fault.Fault{Statuses: []int{503, 500, 200}, RetryAfter: time.Second}))
	w := dialWire(t, s)
	for i, want := range []int{503, 500, 200, 200} {
		w.send("op-1")
		resp, body := w.full()
		healthy := want == 200
		if resp.StatusCode != want || (body == echoBody) != healthy || (resp.Header.Get("Retry-After") == "") != healthy {
			t.Errorf("request %d: %d %v %q", i+1, resp.StatusCode, resp.Header, body)
		}
	}
}

func TestAnEmptyAnswerOnTheWire(t *testing.T) {
	s := Start(t, strikeAll(fault.Fault{Status: 204}))
	w := dialWire(t, s)
	w.send("op-1")
	resp, body := w.full()
	if resp.StatusCode != 204 || body != "" || resp.Header.Get("Content-Length") != "" {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
	}
}

func TestABodyTooLargeIsRefused(t *testing.T) {
	s := Start(t, fault.Plan{})
	w := dialWire(t, s)
	fmt.Fprintf(w, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", MaxRequestBody+1)
	go io.CopyN(w, zeros{}, MaxRequestBody+1)
	if resp := w.head(); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
	if n := len(s.Record()); n != 0 {
		t.Errorf("%d attempts recorded", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
