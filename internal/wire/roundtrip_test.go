package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/virtual"
	"github.com/holdfast-go/holdfast/internal/world"
)

// A RoundTripper that calls no hook may have sent the request, and may be incomplete.
func TestForeignTransport(t *testing.T) {
	_, roundTrip, err := do(transportFunc(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), get(t, t.Context(), "http://x.test"), Limits{})
	if !roundTrip.Sent(err) || err != io.EOF {
		t.Error("what is not known to be unsent must count as sent")
	}
	_, _, err = do(transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != errNothing {
		t.Error(err)
	}
	resp, _, err := do(transportFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != nil || resp.Body == nil {
		t.Errorf("%+v, %v", resp, err)
	}
}

// An open answer costs no goroutine beside the two of its connection.
func TestNoGoroutineForAnAnswer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	open := func(wrapped bool) int {
		rt := NewTransport(TransportConfig{MaxIdleConns: 1})
		defer rt.CloseIdleConnections()
		before := runtime.NumGoroutine()
		var resp *http.Response
		var err error
		if wrapped {
			resp, _, err = do(rt, get(t, t.Context(), s.URL), Limits{Connect: time.Hour, Write: time.Hour, Read: time.Hour})
		} else {
			resp, err = rt.RoundTrip(get(t, t.Context(), s.URL))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		// Two of the connection's and two of the server's. Others are about to end.
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+4; runtime.Gosched() {
			if time.Now().After(deadline) {
				break
			}
		}
		return runtime.NumGoroutine() - before
	}
	for _, wrapped := range []bool{false, true} {
		if n := open(wrapped); n > 4 {
			t.Errorf("wrapped %v: %d goroutines", wrapped, n)
		}
	}
}

// slowly is a body that waits by the World of a context before each Read, as it does
// before the headers.
type slowly struct {
	ctx context.Context
	io.Reader
	waits []time.Duration
}

func (s *slowly) wait() error {
	w, first := world.Of(s.ctx), s.waits[0]
	s.waits = s.waits[1:]
	w.Sleep(s.ctx, w.Now().Add(first))
	return s.ctx.Err()
}

func (s *slowly) Read(p []byte) (int, error) {
	if err := s.wait(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p[:1])
}

func (s *slowly) Close() error { return nil }

func (s *slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	s.ctx = req.Context()
	if err := s.wait(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: s}, nil
}

// A round trip has the World of its context: its limits, and those of reading what is
// left of an answer, strike in that World's time.
func TestRoundTripInVirtualTime(t *testing.T) {
	const second, hour = time.Second, time.Hour
	for name, tt := range map[string]struct {
		waits []time.Duration
		read  func(*RoundTrip, *http.Response)
		phase Phase
		after time.Duration
		err   error
	}{
		"in time":           {[]time.Duration{4 * second, 4 * second, 4 * second}, nil, 0, 12 * second, nil},
		"headers":           {[]time.Duration{hour}, nil, PhaseRead, 5 * second, context.DeadlineExceeded},
		"a chunk":           {[]time.Duration{second, second, hour}, nil, PhaseRead, 7 * second, context.DeadlineExceeded},
		"the deadline":      {[]time.Duration{second, 4 * second, 4 * second, 4 * second, 4 * second}, nil, PhaseAttempt, 15 * second, context.DeadlineExceeded},
		"a declined answer": {[]time.Duration{second, hour}, func(r *RoundTrip, resp *http.Response) { r.ReadError(resp.Body, true) }, 0, 1500 * time.Millisecond, context.Canceled},
		"a drain":           {[]time.Duration{second, hour}, func(r *RoundTrip, resp *http.Response) { r.Drain(resp.Body) }, 0, 1050 * time.Millisecond, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			w := virtual.New(1)
			start := w.Now()
			w.Go(func() {
				deadline := start.Add(15 * second)
				r, ctx := new(RoundTrip), w.Context(w.Background(), deadline)
				r.Start(ctx, start, deadline, &Limits{Read: 5 * second})
				resp, err := r.Do(&slowly{Reader: strings.NewReader(strings.Repeat("x", len(tt.waits)-1)), waits: append(tt.waits, 0)}, get(t, r, "http://x.test"))
				switch {
				case err != nil:
				case tt.read != nil:
					tt.read(r, resp)
				default:
					_, _ = ReadAll(resp.Body, -1, 0)
				}
				if phase, _, _, ok := r.Expired(); ok != (tt.err == context.DeadlineExceeded) || phase != tt.phase || r.Err() != tt.err || w.Now().Sub(start) != tt.after {
					t.Errorf("%v after %v: %v %v, want %v %v after %v", r.Err(), w.Now().Sub(start), phase, ok, tt.err, tt.phase, tt.after)
				}
				r.End()
			})
			if err := w.Run(); err != nil {
				t.Error(err)
			}
			if late := w.Now().Sub(start); late != tt.after {
				t.Errorf("a timer is left until %v", late)
			}
		})
	}
}

// net/http cannot wait in another World.
func TestNetHTTPIsOfTheRealWorld(t *testing.T) {
	w := virtual.New(1)
	for _, rt := range []http.RoundTripper{NewTransport(TransportConfig{}), new(http.Transport)} {
		r := new(RoundTrip)
		r.Start(w.Context(w.Background(), time.Time{}), w.Now(), time.Time{}, &Limits{})
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "wire: net/http waits in real time") {
					t.Errorf("a %T is used in virtual time", rt)
				}
			}()
			_, _ = r.Do(rt, get(t, r, "http://x.test"))
		}()
	}
}
