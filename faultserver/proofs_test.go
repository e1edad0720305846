package faultserver

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// proof proves a fault on the wire.
type proof struct {
	// The fault of every request or of every connection, or a whole plan.
	fault fault.Fault
	conn  fault.ConnFault
	plan  fault.Plan
	opts  []Option
	// prove gets one connection, unless it dials itself.
	prove func(t *testing.T, s *Server, w *wire)
	dials bool
	// As the server records it. unseen: no record.
	status int
	effect bool
	unseen bool
}

func (p *proof) asPlan() fault.Plan {
	switch {
	case p.conn != fault.ConnFault{}:
		return fault.Plan{Connections: []fault.ConnRule{{Fault: p.conn}}}
	case len(p.plan.Rules) > 0 || len(p.plan.Connections) > 0 || p.plan.Capacity != nil:
		return p.plan
	default:
		return strikeAll(p.fault)
	}
}

func TestEveryFaultOnTheWire(t *testing.T) {
	proofs := map[fault.ID]proof{}
	for _, some := range []map[fault.ID]proof{proofsOfAnswers, proofsOfConnections, proofsOfBodies, proofsOfHTTP1, proofsOfTLS, proofsOfCapacity, proofsOfProviders} {
		for id := range some {
			if _, ok := proofs[id]; ok {
				t.Errorf("%s is proved twice", id)
			}
		}
		maps.Copy(proofs, some)
	}
	for _, entry := range fault.Catalog() {
		proof, ok := proofs[entry.ID]
		if !ok {
			t.Errorf("%s has no proof on the wire", entry.ID)
			continue
		}
		delete(proofs, entry.ID)
		t.Run(string(entry.ID), func(t *testing.T) {
			s := Start(t, proof.asPlan(), proof.opts...)
			var w *wire
			if !proof.dials {
				w = dialWire(t, s)
			}
			proof.prove(t, s, w)
			for _, a := range s.Record() {
				if a.Met(entry.ID) {
					if a.Status != proof.status || a.Effect != proof.effect {
						t.Errorf("recorded as %+v", a)
					}
					return
				}
			}
			if !proof.unseen {
				t.Errorf("not on record: %+v", s.Record())
			}
		})
	}
	for id := range proofs {
		t.Errorf("%s is proved, but not in the catalog", id)
	}
}

// proofsOfAnswers are the proofs of faults instead of the answer.
var proofsOfAnswers = map[fault.ID]proof{
	fault.IDStatus: {
		fault: fault.Fault{Status: 502},
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 { // on one connection, which stays open
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
			w.wantNoBytes()
			s.Close() // ends the hang
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
	fault.IDLatency: {
		fault: fault.Fault{Latency: &fault.Latency{Fixed: 150 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			w.send("op-1")
			w.wantNoBytes()
			_, body := w.full()
			if waited := time.Since(sent); waited < 150*time.Millisecond {
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
			w.send("op-1") // strikes again, but the work is done
			w.wantEnd(0, syscall.ECONNRESET)
			if got := s.Effects(); got != (Effects{Done: 1, Resent: 1}) {
				t.Errorf("after a repeat %+v", got)
			}
		},
		effect: true,
	},
	"http.retry_after_date": retryProof(1500*time.Millisecond, fault.RetryDate, func(t *testing.T, h http.Header) {
		date, err := http.ParseTime(h.Get("Date"))
		at, err2 := http.ParseTime(h.Get("Retry-After"))
		// Date may be written a second later, and is rounded down.
		if err != nil || err2 != nil || at.Sub(date) < time.Second || at.Sub(date) > 3*time.Second {
			t.Errorf("at %q Retry-After %q", h.Get("Date"), h.Get("Retry-After"))
		}
	}),
	"http.retry_after_ms": retryProof(1500*time.Millisecond, fault.RetryMillis, func(t *testing.T, h http.Header) {
		if h.Get("retry-after-ms") != "1500" || h.Get("Retry-After") != "" {
			t.Errorf("%v", h)
		}
	}),
	"http.retry_after_past": retryProof(0, fault.RetryPast, func(t *testing.T, h http.Header) {
		if at, err := http.ParseTime(h.Get("Retry-After")); err != nil || time.Since(at) < 59*time.Minute {
			t.Errorf("%q", h.Get("Retry-After"))
		}
	}),
	"http.retry_after_huge":     retryProof(0, fault.RetryHuge, wantRetryAfter("31536000")),
	"http.retry_after_overflow": retryProof(0, fault.RetryOverflow, wantRetryAfter("9223372037")),
	"http.retry_after_garbage":  retryProof(0, fault.RetryGarbage, wantRetryAfter("soon")),
	fault.IDQuota: {
		fault: fault.Fault{Quota: &fault.Quota{Limit: 2, Per: time.Hour}},
		prove: func(t *testing.T, s *Server, w *wire) {
			for i, want := range []int{200, 200, 429, 429} {
				w.send(fmt.Sprint(i))
				resp, _ := w.full()
				// The first hour has just begun.
				left, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
				if resp.StatusCode != want || (left > 3590 && left <= 3600) != (want == 429) {
					t.Errorf("request %d: %d, Retry-After %d", i, resp.StatusCode, left)
				}
			}
		},
		status: 429,
	},
	"http.redirect_loop": {
		fault: fault.Fault{Redirect: fault.RedirectLoop},
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 {
				io.WriteString(w, "GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n")
				if resp, _ := w.full(); resp.StatusCode != 307 || resp.Header.Get("Location") != "/a%20b?c=d" {
					t.Errorf("%d to %q", resp.StatusCode, resp.Header.Get("Location"))
				}
			}
		},
		status: 307,
	},
	"http.redirect_elsewhere": {
		fault: fault.Fault{Redirect: fault.RedirectElsewhere},
		prove: func(t *testing.T, s *Server, w *wire) {
			for host, want := range map[string]string{
				s.Addr(): "http://" + strings.Replace(s.Addr(), "127.0.0.1", "localhost", 1), "localhost:7": "http://127.0.0.1:7",
				"x": "http://localhost", "localhost": "http://127.0.0.1",
			} {
				fmt.Fprintf(w, "GET /a?b HTTP/1.1\r\nHost: %s\r\n\r\n", host)
				if resp, _ := w.full(); resp.StatusCode != 307 || resp.Header.Get("Location") != want+"/a?b" {
					t.Errorf("from %s: %d to %q", host, resp.StatusCode, resp.Header.Get("Location"))
				}
			}
		},
		status: 307,
	},
}

func retryProof(after time.Duration, form fault.RetryForm, check func(*testing.T, http.Header)) proof {
	return proof{
		fault: fault.Fault{Status: 503, RetryAfter: after, RetryAfterAs: form},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			resp, _ := w.full()
			if resp.StatusCode != 503 {
				t.Errorf("status %d", resp.StatusCode)
			}
			check(t, resp.Header)
		},
		status: 503,
	}
}

func wantRetryAfter(want string) func(*testing.T, http.Header) {
	return func(t *testing.T, h http.Header) {
		if got := h.Get("Retry-After"); got != want {
			t.Errorf("Retry-After %q, want %q", got, want)
		}
	}
}
