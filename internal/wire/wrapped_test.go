package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a RoundTripper that calls the hooks of its request in a given order, and
// returns an answer unless it is to fail.
type scripted struct {
	steps string
	after func(step string) // each
	conns []*abandoned      // that it has had
	ctx   context.Context   // the last that it has derived, as net/http does for each call
}

// abandoned is a connection that knows whether it was closed.
type abandoned struct {
	net.Conn
	closed bool
}

func (a *abandoned) Close() error { a.closed = true; return a.Conn.Close() }

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, step := range strings.Fields(s.steps) {
		if step == "fails" {
			return nil, io.ErrUnexpectedEOF
		}
		s.step(req, step)
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("words"))}, nil
}

func (s *scripted) step(req *http.Request, step string) {
	trace := httptrace.ContextClientTrace(req.Context())
	switch step {
	case "called":
		ctx, cancel := context.WithCancel(req.Context())
		context.AfterFunc(req.Context(), cancel)
		s.ctx = ctx
	case "get":
		trace.GetConn("x.test:80")
	case "got", "reused":
		near, _ := net.Pipe()
		s.conns = append(s.conns, &abandoned{Conn: near})
		trace.GotConn(httptrace.GotConnInfo{Conn: s.conns[len(s.conns)-1], Reused: step == "reused"})
	case "headers":
		if trace.WroteHeaders != nil {
			trace.WroteHeaders()
		}
	case "request":
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	case "answer":
		trace.GotFirstResponseByte()
	case "read":
		io.Copy(io.Discard, req.Body)
	}
	s.after(step)
}

// running are the deadlines that are set, but the attempt's.
func running(t *Trip) string {
	names := [slots]string{pooling: "pool", connecting: "connect", writing: "write", waiting: "wait", reading: "read"}
	var all []string
	for s := pooling; s < slots; s++ {
		if t.due[s].Load() > 0 {
			all = append(all, names[s])
		}
	}
	return strings.Join(all, "+")
}

// A RoundTripper that is not net/http's is followed by its hooks, in whatever order and
// however often they are called; what it does of itself is not taken for net/http's.
func TestWrappedHooks(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string
		runs  string // which limit runs after each step
		http2 bool
		body  bool
		sent  bool
		want  error // nil: the RoundTripper's own, or none
		ended bool  // the context, before the RoundTripper returned
	}{
		{name: "a fake", steps: "called", runs: "wait", sent: true},
		{name: "a fake that fails", steps: "fails", sent: true},
		{name: "a fake that reads a body", steps: "read", runs: "wait", body: true, sent: true},
		{name: "all hooks", steps: "called get got headers request answer", runs: "wait - write write wait wait", sent: true},
		{name: "all hooks over HTTP/2", steps: "called get get got headers request answer", runs: "wait - - write write wait wait", http2: true, sent: true},
		{name: "no connection", steps: "called get fails", runs: "wait -"},
		{name: "a connection", steps: "called get got fails", runs: "wait - write", sent: true},
		{name: "a connection that was not asked for", steps: "called got request", runs: "wait write wait", sent: true},
		{name: "one connection after the other", steps: "called get got get got fails", runs: "wait - write wait wait", sent: true},
		{name: "the headers never", steps: "called get got request", runs: "wait - write wait", sent: true},
		{name: "the request twice", steps: "called get got headers request request", runs: "wait - write write wait wait", sent: true},
		{name: "nothing of the request", steps: "called get got answer", runs: "wait - write write", sent: true},
		{name: "not in order", steps: "called request headers get got", runs: "wait wait wait wait write+wait", sent: true},

		// What net/http does by itself is prevented.
		{name: "sent again by net/http", steps: "called get reused headers request get fails", runs: "wait - write write wait wait", sent: true, want: errStale, ended: true},
		{name: "and not announced", steps: "called get reused headers request reused fails", runs: "wait - write write wait wait", sent: true, want: errStale, ended: true},
		{name: "sent again by net/http over HTTP/2", steps: "called get got headers request got fails", runs: "wait - write write wait wait", http2: true, want: errUnread, ended: true},
		{name: "a stream that was not had, over HTTP/2", steps: "called get got get got headers fails", runs: "wait - write - write write", http2: true, sent: true},

		// What others do is theirs, and not followed.
		{name: "called twice", steps: "called get reused headers request called get fails", runs: "wait - write write wait wait wait", sent: true},
		{name: "called twice over HTTP/2", steps: "called get got headers request called get got headers fails", runs: "wait - write write wait wait wait wait wait", http2: true, sent: true},
		{name: "called twice at once", steps: "called get called get got got headers headers request", runs: "wait - - wait wait wait wait wait wait", sent: true},
		{name: "again after an answer", steps: "called get reused headers request answer get got request", runs: "wait - write write wait wait wait wait wait", sent: true},
		{name: "again after an answer, over HTTP/2", steps: "called get got headers request answer get got headers request", runs: "wait - write write wait wait wait wait wait wait", http2: true, sent: true},
		{name: "again with a body", steps: "called get reused headers read request get got headers fails", runs: "- - write write write wait wait wait wait", body: true, sent: true},
		{name: "again over a new connection", steps: "called get got headers request get fails", runs: "wait - write write wait wait", sent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trip := new(Trip)
				trip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Connect: time.Minute, Write: time.Minute, Read: time.Minute, Pool: time.Minute})
				defer trip.End()
				trip.conn.clear = c.http2
				req := get(t, trip, "http://x.test")
				if c.body {
					req.Body = trip.Body(io.NopCloser(strings.NewReader("words")))
				}
				var runs []string
				rt := &scripted{steps: c.steps, after: func(string) {
					run := running(trip)
					if run == "" {
						run = "-"
					}
					runs = append(runs, run)
				}}
				_, err := trip.RoundTrip(rt, req)
				if got := strings.Join(runs, " "); got != c.runs {
					t.Errorf("limits that run: %s\nwant             %s", got, c.runs)
				}
				want := c.want
				if want == nil && strings.HasSuffix(c.steps, "fails") {
					want = io.ErrUnexpectedEOF
				}
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
				if got := trip.Sent(err); got != c.sent {
					t.Errorf("sent %v, want %v", got, c.sent)
				}
				if (trip.Err() != nil) != c.ended {
					t.Errorf("its context: %v", trip.Err())
				}
				if c.ended && rt.ctx.Err() == nil {
					t.Error("a context that was derived from it goes on")
				}
			})
		})
	}
}

// A RoundTripper may return while what it began goes on. After an answer that changes
// nothing, and after an error no connection is for it: what was said to be unsent is.
func TestWrappedHooksAfterwards(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, steps := range []string{"get got headers request answer", "get", ""} {
			trip := new(Trip)
			trip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Write: time.Minute, Read: time.Minute})
			rt := &scripted{steps: "called get", after: func(string) {}}
			if fails {
				rt.steps += " fails"
			}
			req := get(t, trip, "http://x.test")
			resp, err := trip.RoundTrip(rt, req)
			if resp != nil {
				resp.Body.Close()
			}
			sent := trip.Sent(err)
			req = req.WithContext(trip.wrapped)
			for step := range strings.FieldsSeq(steps) {
				rt.step(req, step)
			}
			if trip.Sent(err) != sent {
				t.Errorf("fails %v, then %q: sent %v, before %v", fails, steps, !sent, sent)
			}
			if fails && slices.ContainsFunc(rt.conns, func(c *abandoned) bool { return !c.closed }) {
				t.Errorf("%q: a connection was given to a request that was said to be unsent", steps)
			}
			if !fails && trip.Err() != nil {
				t.Errorf("%q: the answer was ended: %v", steps, trip.Err())
			}
			trip.End()
		}
	}
}
