package wire

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The hooks in the caller's context are called too.
func TestCallersTrace(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	rt := NewTransport(TransportConfig{MaxIdleConns: 1})
	defer rt.CloseIdleConnections()
	var told []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { told = append(told, fmt.Sprint("got ", info.Reused)) },
		ConnectStart: func(string, string) { told = append(told, "connect") },
	})
	for range 2 {
		resp, roundTrip, err := do(rt, get(t, ctx, s.URL), Limits{})
		if err != nil || !roundTrip.Sent(nil) {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if fmt.Sprint(told) != "[connect got false got true]" {
		t.Errorf("told: %v", told)
	}
}

// The phase is PhaseConnect while there is a dial for the request, and PhaseAcquire
// while it waits for a connection in use. Limits.Acquire bounds all such waits together.
func TestSearch(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string // one each second
		phase Phase
		at    time.Duration
	}{
		{"nothing is dialled", "search", PhaseAcquire, 5 * time.Second},
		{"a dial stalls", "search dial", PhaseConnect, 3 * time.Second},
		{"a handshake stalls", "search dial dialled", PhaseConnect, 4 * time.Second},
		{"other requests took what was dialled", "search dial dialled search dial dialled search", PhaseAcquire, 9 * time.Second}, // 1 of 5 s, 1, and 3
		{"a dial goes on when another connection was tried", "search dial search dialled", PhaseAcquire, 6 * time.Second},
		{"a dial goes on in line", "search dial line dialled", PhaseAcquire, 6 * time.Second},
		{"a connection was lost unused", "search dial dialled got search", PhaseAcquire, 9 * time.Second}, // a new wait
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				roundTrip, began := new(RoundTrip), time.Now()
				roundTrip.Start(&attempt{Context: t.Context()}, began, time.Time{}, &Limits{Connect: 2 * time.Second, Write: time.Minute, Acquire: 5 * time.Second})
				defer roundTrip.End()
				roundTrip.limiter = new(connLimiter)
				dialled := int32(0)
				for i, step := range strings.Fields(c.steps) {
					time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second)))
					switch step {
					case "search":
						roundTrip.getConn("")
					case "line": // as in sendInLine
						roundTrip.beginAcquire()
					case "dial":
						dialled = roundTrip.dialling(0)
					case "dialled":
						roundTrip.dialling(dialled)
					case "got":
						near, _ := net.Pipe()
						roundTrip.gotConn(httptrace.GotConnInfo{Conn: &trackedConn{Conn: near, transport: new(Transport), limiter: new(connLimiter)}})
					}
				}
				<-roundTrip.Done()
				limit := roundTrip.limits.of(c.phase)
				if p, l, after, ok := roundTrip.Expired(); !ok || p != c.phase || l != limit || after != limit || time.Since(began) != c.at {
					t.Errorf("%v after %v of %v, at %v, want %v at %v", p, after, l, time.Since(began), c.phase, c.at)
				}
			})
		})
	}
}

// Over HTTP/2 PhaseWrite begins with the headers: before them the request waits for a
// stream, with a limit or without.
func TestWriteBeginsWithTheHeaders(t *testing.T) {
	for _, limits := range []Limits{{Acquire: time.Minute, Write: time.Second}, {Write: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			roundTrip := new(RoundTrip)
			roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &limits)
			defer roundTrip.End()
			roundTrip.limiter, roundTrip.conn.cleartextHTTP2 = new(connLimiter), true // HTTP/2 without TLS
			roundTrip.gotConn(httptrace.GotConnInfo{})
			time.Sleep(5 * time.Second)
			if err := roundTrip.Err(); err != nil {
				t.Errorf("limits %+v: it waited for a stream: %v", limits, err)
			}
			roundTrip.wroteHeaders()
			began := time.Now()
			<-roundTrip.Done()
			if phase, _, _, _ := roundTrip.Expired(); phase != PhaseWrite || time.Since(began) != time.Second {
				t.Errorf("limits %+v: ended by %v after %v", limits, phase, time.Since(began))
			}
		})
	}
}

// A request that net/http is about to send again on another connection is stopped: no
// server reads it twice.
func TestNoResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hits, dials atomic.Int64
		rt := NewTransport(TransportConfig{MaxConns: 5, MaxIdleConns: 5, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			dials.Add(1)
			go func() {
				defer far.Close()
				r := bufio.NewReader(far)
				for n := range 2 { // the server closes after the second
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					if hits.Add(1); n == 0 {
						fmt.Fprint(far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
			return near, nil
		}})
		defer rt.CloseIdleConnections()
		for n := range 2 {
			synctest.Wait()
			_, roundTrip, err := do(rt, get(t, t.Context(), "http://x.test"), Limits{})
			switch {
			case n == 0 && err != nil:
				t.Fatal(err)
			case n == 1 && (err != errStale || !roundTrip.Sent(err) || !roundTrip.Reused()):
				t.Errorf("%v, sent %v, reused %v", err, roundTrip.Sent(err), roundTrip.Reused())
			}
		}
		if hits.Load() != 2 {
			t.Errorf("%d hits", hits.Load())
		}
	})
}

// scripted is a RoundTripper that calls the hooks of its request in a given order. It
// returns an answer if no step is "fails".
type scripted struct {
	steps string
	after func(step string) // called after each
	conns []*abandoned      // of the request
	ctx   context.Context   // derived by the last call, as net/http does
}

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
		if trace.GotFirstResponseByte != nil {
			trace.GotFirstResponseByte()
		}
	case "read":
		io.Copy(io.Discard, req.Body)
	}
	s.after(step)
}

// abandoned is a connection that records its Close.
type abandoned struct {
	net.Conn
	closed bool
}

func (a *abandoned) Close() error { a.closed = true; return a.Conn.Close() }

// running returns the names of the deadlines that are set, but for the attempt's.
func running(t *RoundTrip) string {
	names := [deadlineCount]string{dueAcquire: "pool", dueConnect: "connect", dueWrite: "write", dueHeaders: "wait", dueChunk: "read"}
	var all []string
	for s := dueAcquire; s < deadlineCount; s++ {
		if t.due[s].Load() > 0 {
			all = append(all, names[s])
		}
	}
	return strings.Join(all, "+")
}

// hookCase is a script of hooks, and what the round trip makes of it.
type hookCase struct {
	name  string
	steps string
	runs  string // which limit runs after each step
	http2 bool
	body  bool
	sent  bool
	want  error // nil: the RoundTripper's own, or none
	ended bool  // the context, before the RoundTripper returned
}

// run runs the script under a RoundTripper around net/http's, or as net/http itself.
func (c hookCase) run(t *testing.T, isNetHTTP bool) {
	synctest.Test(t, func(t *testing.T) {
		roundTrip := new(RoundTrip)
		roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Connect: time.Minute, Write: time.Minute, Read: time.Minute, Acquire: time.Minute})
		defer roundTrip.End()
		roundTrip.conn.cleartextHTTP2 = c.http2
		req := get(t, roundTrip, "http://x.test")
		if c.body {
			req.Body = roundTrip.Body(io.NopCloser(strings.NewReader("words")), -1)
		}
		var runs []string
		rt := &scripted{steps: c.steps, after: func(string) {
			runs = append(runs, cmp.Or(running(roundTrip), "-"))
		}}
		var err error
		want := c.runs
		if isNetHTTP {
			roundTrip.installHooks(req)
			if _, err = rt.RoundTrip(req); err != nil {
				err = roundTrip.conn.cause(err, false)
			}
			want = strings.Replace(want, "wait", "-", 1) // nothing is timed before the first hook
		} else {
			_, err = roundTrip.Do(rt, req)
		}
		if got := strings.Join(runs, " "); got != want {
			t.Errorf("limits that run: %s\nwant             %s", got, want)
		}
		wantErr := c.want
		if wantErr == nil && strings.HasSuffix(c.steps, "fails") {
			wantErr = io.ErrUnexpectedEOF
		}
		if !errors.Is(err, wantErr) {
			t.Errorf("%v, want %v", err, wantErr)
		}
		if got := roundTrip.Sent(err); got != c.sent {
			t.Errorf("sent %v, want %v", got, c.sent)
		}
		if (roundTrip.Err() != nil) != c.ended {
			t.Errorf("its context: %v", roundTrip.Err())
		}
		if c.ended && !isNetHTTP && rt.ctx.Err() == nil {
			t.Error("a context that was derived from it goes on")
		}
	})
}

// Hooks may be called in any order, twice, late or never, by net/http or below a
// RoundTripper around it.
func TestHooks(t *testing.T) {
	for _, c := range []hookCase{
		{name: "all hooks", steps: "called get got headers request answer", runs: "wait - write write wait wait", sent: true},
		{name: "all hooks over HTTP/2", steps: "called get get got headers request answer", runs: "wait - - write write wait wait", http2: true, sent: true},
		{name: "no connection", steps: "called get fails", runs: "wait -"},
		{name: "a connection", steps: "called get got fails", runs: "wait - write", sent: true},
		{name: "a connection that was not asked for", steps: "called got request", runs: "wait write wait", sent: true},
		{name: "the headers never", steps: "called get got request", runs: "wait - write wait", sent: true},
		{name: "the request twice", steps: "called get got headers request request", runs: "wait - write write wait wait", sent: true},
		{name: "the request never", steps: "called get got answer", runs: "wait - write write", sent: true},
		{name: "not in order", steps: "called request headers get got", runs: "wait wait wait wait write+wait", sent: true},

		// net/http must not send again.
		{name: "sent again by net/http", steps: "called get reused headers request get fails", runs: "wait - write write wait wait", sent: true, want: errStale, ended: true},
		{name: "and not announced", steps: "called get reused headers request reused fails", runs: "wait - write write wait wait", sent: true, want: errStale, ended: true},
		{name: "sent again by net/http over HTTP/2", steps: "called get got headers request got fails", runs: "wait - write write wait wait", http2: true, want: errUnread, ended: true},
		{name: "a stream that was not had, over HTTP/2", steps: "called get got get got headers fails", runs: "wait - write - write write", http2: true, sent: true},
	} {
		t.Run(c.name+"/net/http", func(t *testing.T) { c.run(t, true) })
		t.Run(c.name+"/wrapped", func(t *testing.T) { c.run(t, false) })
	}
}
