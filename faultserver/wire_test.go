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
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// wire is a plain socket to a server: what happens is read here as the kernel
// tells it, by no HTTP client that could smooth it over.
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
	conn.SetDeadline(time.Now().Add(5 * time.Second)) // a test that hangs should say where
	return &wire{t, conn, bufio.NewReader(conn)}
}

// send writes a POST with a body, some of which is often left unread by servers.
func (w *wire) send(id string) {
	w.t.Helper()
	const body = "some work"
	_, err := fmt.Fprintf(w, "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
	if err != nil {
		w.t.Fatal(err)
	}
}

// head reads status line and headers.
func (w *wire) head() *http.Response {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatal("reading the head: ", err)
	}
	return resp
}

// full reads one whole answer.
func (w *wire) full() (*http.Response, string) {
	w.t.Helper()
	resp := w.head()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal("reading the body: ", err)
	}
	return resp, string(body)
}

// rest reads what still comes, and how it ends.
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

// wantSilence proves that nothing comes: a short deadline passes first.
func (w *wire) wantSilence() {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	w.wantEnd(0, os.ErrDeadlineExceeded)
	w.SetReadDeadline(time.Now().Add(5 * time.Second))
}

func strikeAll(f fault.Fault) fault.Plan { return fault.Plan{Rules: []fault.Rule{{Fault: f}}} }

const echoBody = `{"method":"POST","path":"/work","request_id":"op-1","body_bytes":9}`

// proofs shows for every fault, on the wire, that it happens as named.
var proofs = map[fault.ID]struct {
	fault fault.Fault
	prove func(t *testing.T, s *Server, w *wire)
	// as the server records it
	status int
	effect bool
}{
	fault.IDStatus: {
		fault: fault.Fault{Status: 502},
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 { // on one connection: it stays open
				w.send("op-1")
				resp, body := w.full()
				if resp.StatusCode != 502 || body != "Bad Gateway\n" || resp.Close {
					t.Errorf("%d %q, close %v", resp.StatusCode, body, resp.Close)
				}
			}
		},
		status: 502,
	},
	fault.IDRetryAfter: {
		fault: fault.Fault{Status: 429, RetryAfter: 1001 * time.Millisecond, Body: `{"slow":"down"}`,
			Header: map[string]string{"Content-Type": "application/json"}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			resp, body := w.full()
			if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "2" ||
				resp.Header.Get("Content-Type") != "application/json" || body != `{"slow":"down"}` {
				t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
			}
		},
		status: 429,
	},
	fault.IDHang: {
		fault: fault.Fault{Hang: fault.BeforeAnswer},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantSilence()
			s.Close() // which frees it
			w.wantEnd(0, io.EOF)
		},
	},
	fault.IDReset: {
		fault: fault.Fault{Reset: fault.BeforeAnswer},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantEnd(0, syscall.ECONNRESET)
		},
	},
	fault.IDClose: {
		fault: fault.Fault{Close: fault.BeforeAnswer},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantEnd(0, io.EOF)
		},
	},
	fault.IDBodyHang: {
		fault: fault.Fault{Hang: fault.AfterHeaders},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.StatusCode != 200 || resp.ContentLength != int64(len(echoBody)) {
				t.Errorf("%d, Content-Length %d", resp.StatusCode, resp.ContentLength)
			}
			w.wantSilence()
		},
		status: 200, effect: true,
	},
	fault.IDCutFIN: {
		fault: fault.Fault{Cut: &fault.Cut{After: 10}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.StatusCode != 200 || resp.ContentLength != int64(len(echoBody)) {
				t.Errorf("%d, Content-Length %d", resp.StatusCode, resp.ContentLength)
			}
			w.wantEnd(10, io.EOF)
		},
		status: 200, effect: true,
	},
	fault.IDCutRST: {
		// More than there is: the whole body is sent, and one byte more promised.
		fault: fault.Fault{Cut: &fault.Cut{After: 1000, By: fault.RST}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.ContentLength != int64(len(echoBody))+1 {
				t.Errorf("Content-Length %d", resp.ContentLength)
			}
			w.wantEnd(len(echoBody), syscall.ECONNRESET)
		},
		status: 200, effect: true,
	},
	fault.IDLatency: {
		fault: fault.Fault{Latency: &fault.Latency{Fixed: 60 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			w.send("op-1")
			w.wantSilence()
			_, body := w.full()
			if waited := time.Since(sent); waited < 60*time.Millisecond {
				t.Errorf("answered after %s", waited)
			}
			if body != echoBody {
				t.Errorf("answered %q", body)
			}
		},
		status: 200, effect: true,
	},
	fault.IDCommitThenDrop: {
		fault: fault.Fault{Commit: true, Reset: fault.BeforeAnswer},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantEnd(0, syscall.ECONNRESET)
			if got := s.Effects(); got != (Effects{Done: 1}) {
				t.Errorf("%+v", got)
			}
			w = dialWire(t, s)
			w.send("op-1") // is struck again, and finds the work done
			w.wantEnd(0, syscall.ECONNRESET)
			if got := s.Effects(); got != (Effects{Done: 1, Resent: 1}) {
				t.Errorf("after a repeat %+v", got)
			}
		},
		effect: true,
	},
}

func TestEveryFaultOnTheWire(t *testing.T) {
	for _, entry := range fault.Catalog() {
		proof, ok := proofs[entry.ID]
		if !ok {
			t.Errorf("%s has no proof on the wire", entry.ID)
			continue
		}
		t.Run(string(entry.ID), func(t *testing.T) {
			s := Start(t, strikeAll(proof.fault))
			proof.prove(t, s, dialWire(t, s))
			a := s.Record()[0]
			if !a.Met(entry.ID) || a.Status != proof.status || a.Effect != proof.effect {
				t.Errorf("recorded as %+v", a)
			}
		})
	}
}

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

// TestInertWhereNothingMatches compares, byte for byte, a server whose rules fit
// other requests with one that has no plan at all, and that with net/http's own.
func TestInertWhereNothingMatches(t *testing.T) {
	raw := func(addr string) string {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: op-1\r\nConnection: close\r\nContent-Length: 9\r\n\r\nsome work")
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		for line := range strings.Lines(string(all)) {
			if !strings.HasPrefix(line, "Date: ") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}

	struck := fault.Fault{Reset: fault.BeforeAnswer, Latency: &fault.Latency{Fixed: time.Minute}}
	elsewhere := Start(t, fault.Plan{
		Pace: []fault.Pace{{Match: fault.Match{Path: "/other"}, Latency: fault.Latency{Fixed: time.Minute}}},
		Rules: []fault.Rule{
			{Match: fault.Match{Path: "/other"}, Fault: struck},
			{Match: fault.Match{Method: "GET"}, Fault: struck},
			{When: fault.Window{From: time.Hour}, Fault: struck},
			{Nth: "2-", Fault: struck},
			{Probability: 1e-300, Fault: struck},
		},
	})
	none := Start(t, fault.Plan{})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(echoBody)))
		io.WriteString(w, echoBody)
	})}
	go plain.Serve(listener)
	defer plain.Close()

	got, without, nethttp := raw(elsewhere.Addr()), raw(none.Addr()), raw(listener.Addr().String())
	if got != without || got != nethttp {
		t.Errorf("with rules elsewhere\n%s\nwithout rules\n%s\nnet/http\n%s", got, without, nethttp)
	}
	a := elsewhere.Record()[0]
	if a.Rule != -1 || a.N != 0 || len(a.Faults) != 0 || a.Delay != 0 || a.Status != 200 || !a.Effect {
		t.Errorf("recorded as %+v", a)
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
