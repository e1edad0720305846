package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// tracer records its calls, and adds a value to each context and a header to each attempt.
type tracer struct {
	name string
	mu   sync.Mutex
	log  []string
}

type spanKey struct{ tracer string }

func (tr *tracer) write(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.log = append(tr.log, tr.name+fmt.Sprintf(format, args...))
}

func (tr *tracer) StartOperation(ctx context.Context, op holdfast.Operation) (context.Context, func(holdfast.Event)) {
	tr.write("operation %s %s%s", op.Name, op.Method, op.Path)
	return context.WithValue(ctx, spanKey{tr.name}, "operation"), func(e holdfast.Event) {
		tr.write("%v after %d: %v", e.Kind, e.Attempt, e.Err != nil)
	}
}

func (tr *tracer) StartAttempt(ctx context.Context, at holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	tr.write("attempt %d of %d in %v", at.Number, at.Of, ctx.Value(spanKey{tr.name}))
	if at.Header != nil {
		at.Header.Set("Traceparent", fmt.Sprintf("%s%d", tr.name, at.Number))
	}
	return context.WithValue(ctx, spanKey{tr.name}, fmt.Sprint("attempt ", at.Number)), func(e holdfast.Event) {
		tr.write("%v %d: %v %d", e.Kind, e.Attempt, e.Outcome, e.Status)
	}
}

func (tr *tracer) expect(t *testing.T, want ...string) {
	t.Helper()
	equal(t, "the tracer's log", strings.Join(tr.log, "\n"), strings.Join(want, "\n"))
}

// roundTripper is a fake service.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A client's instrument is called for the operation and for each attempt. Its contexts reach
// the transport, and the headers of each attempt reach the service.
func TestInstrumentOfAClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sent []string
		statuses := []int{503, 200}
		rt := roundTripper(func(req *http.Request) (*http.Response, error) {
			sent = append(sent, fmt.Sprintf("%v %v %v", req.Header["Traceparent"], req.Context().Value(spanKey{"a "}), req.Header.Get("X-Own")))
			status := statuses[0]
			statuses = statuses[1:]
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
		})
		tr := &tracer{name: "a "}
		c, err := holdfast.New(holdfast.Config{Name: "api", BaseURL: "http://api.test", Header: http.Header{"X-Own": {"own"}, "Traceparent": {"replaced"}}},
			holdfast.WithTransport(rt), holdfast.WithInstrument(tr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		equal(t, "the requests of the transport", strings.Join(sent, "; "), "[a 1] attempt 1 own; [a 2] attempt 2 own")
		tr.expect(t,
			"a operation api GET/x",
			"a attempt 1 of 4 in operation", "a attempt ended 1: transient 503",
			"a attempt 2 of 4 in operation", "a attempt ended 2: success 200",
			"a operation succeeded after 2: false")
	})
}

// A redirect is a part of its attempt: it has the attempt's context, and at the same origin
// its headers.
func TestInstrumentOfARedirect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sent []string
		rt := roundTripper(func(req *http.Request) (*http.Response, error) {
			sent = append(sent, fmt.Sprintf("%v %v %v", req.URL, req.Header["Traceparent"], req.Context().Value(spanKey{"a "})))
			to := map[string]string{"/x": "/y", "/y": "http://other.test/z"}[req.URL.Path]
			if to == "" {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: 307, Header: http.Header{"Location": {to}}, Body: http.NoBody}, nil
		})
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test", MaxRedirects: 2},
			holdfast.WithTransport(rt), holdfast.WithInstrument(&tracer{name: "a "}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		equal(t, "the requests of the transport", strings.Join(sent, "; "),
			"http://api.test/x [a 1] attempt 1; http://api.test/y [a 1] attempt 1; http://other.test/z [] attempt 1")
	})
}

// Over real connections, the headers arrive and answers are unpacked.
func TestInstrumentOnTheWire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tr := &tracer{name: "a "}
		var got []string
		backend := func(req faultserver.Request) faultserver.Answer {
			got = append(got, req.Header.Get("Traceparent")+" accepts "+req.Header.Get("Accept-Encoding"))
			return faultserver.Answer{Status: 503 - 303*(len(got)-1)}
		}
		c, _ := serving(t, backend, plan(), holdfast.Config{}, holdfast.WithInstrument(tr))
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		equal(t, "the headers that arrived", strings.Join(got, ", "), "a 1 accepts gzip, a 2 accepts gzip")
	})
}

// A policy with an instrument takes the full path. A failure, a panic, and two instruments.
func TestInstrumentOfAPolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := &tracer{name: "a "}, &tracer{name: "b "}
		p := policy(t, holdfast.PolicyConfig{Name: "work", Retry: holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter}},
			holdfast.WithInstrument(a), holdfast.WithInstrument(b))
		err := holdfast.Run(t.Context(), p, func(ctx context.Context) error {
			return fmt.Errorf("in %v and %v", ctx.Value(spanKey{"a "}), ctx.Value(spanKey{"b "}))
		})
		if err == nil || !strings.HasSuffix(err.Error(), "in attempt 2 and attempt 2") {
			t.Errorf("the function's context: %v", err)
		}
		want := []string{
			"operation work ", "attempt 1 of 2 in operation", "attempt ended 1: transient 0",
			"attempt 2 of 2 in operation", "attempt ended 2: transient 0", "operation failed after 2: true"}
		for _, tr := range []*tracer{a, b} {
			var named []string
			for _, line := range want {
				named = append(named, tr.name+line)
			}
			tr.expect(t, named...)
			tr.log = nil
		}
		func() {
			defer func() { equal(t, "the panic", recover(), any("oh")) }()
			_ = holdfast.Run(t.Context(), p, func(context.Context) error { panic("oh") })
		}()
		a.expect(t, "a operation work ", "a attempt 1 of 2 in operation", "a attempt ended 1: unknown 0", "a operation failed after 1: false")
	})
}

// An operation that an open breaker rejects has a span.
func TestInstrumentOfARejection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tr := &tracer{}
		c, _ := service(t, plan(rule("/down", "", fault.Fault{Status: 500})), holdfast.Config{
			Name: "api", Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		}, holdfast.WithInstrument(tr))
		_ = get(t.Context(), c, "/down")
		tr.log = nil
		if err := get(t.Context(), c, "/x"); !errors.Is(err, holdfast.ErrCircuitOpen) {
			t.Fatal(err)
		}
		tr.expect(t, "operation api GET/x", "operation failed after 0: true")
	})
}

// instrument is made of its two methods.
type instrument struct {
	operation func(context.Context) context.Context
	attempt   func(context.Context, http.Header) context.Context
}

func (i instrument) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return i.operation(ctx), nil
}

func (i instrument) StartAttempt(ctx context.Context, at holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return i.attempt(ctx, at.Header), nil
}

// An instrument that returns no context leaves it as it is.
func TestInstrumentWithoutAContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		none := instrument{func(context.Context) context.Context { return nil }, func(context.Context, http.Header) context.Context { return nil }}
		tr := &tracer{name: "a "}
		p := policy(t, holdfast.PolicyConfig{}, holdfast.WithInstrument(tr), holdfast.WithInstrument(none))
		if err := holdfast.Run(t.Context(), p, func(ctx context.Context) error {
			equal(t, "the context of the other instrument", ctx.Value(spanKey{"a "}), any("attempt 1"))
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// A header that cannot be sent is a mistake of the instrument or of Authorize: the call is not
// repeated, and the breaker does not count it. A header in another spelling replaces the
// caller's.
func TestHeadersOfAnAttempt(t *testing.T) {
	add := func(name, value string) holdfast.Option {
		return holdfast.WithInstrument(instrument{
			func(ctx context.Context) context.Context { return ctx },
			func(ctx context.Context, h http.Header) context.Context { h[name] = []string{value}; return ctx },
		})
	}
	bubble(t, func(t *testing.T) {
		cfg := holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Header: http.Header{"Traceparent": {"the caller's"}}}
		invalid := func(what string, c *holdfast.Client) {
			err := get(t.Context(), c, "/x")
			if a := attempts(t, err); len(a) != 1 || a[0].Sent || a[0].Outcome != holdfast.Unknown {
				t.Errorf("%s: %+v", what, a)
			}
			isNot(t, err, holdfast.ErrConnection)
			equal(t, what+": the breaker", c.Stats().BreakerState, holdfast.StateClosed)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: the error shows the value: %v", what, err)
			}
		}
		c, _ := service(t, plan(), cfg, add("Baggage", "a\nsecret"))
		invalid("a value of an instrument", c)
		c, _ = service(t, plan(), cfg, add("Bag gage", "a"))
		invalid("a name of an instrument", c)
		signed := cfg
		signed.Authorize = func(r *http.Request) error { r.Header.Set("Authorization", "secret\n"); return nil }
		c, _ = service(t, plan(), signed)
		invalid("a value of Authorize", c)

		var got []string
		backend := func(req faultserver.Request) faultserver.Answer {
			got = req.Header["Traceparent"]
			return faultserver.Answer{Status: 200}
		}
		c, _ = serving(t, backend, plan(), cfg, add("traceparent", "the attempt's"))
		if err := get(t.Context(), c, "/x"); err != nil {
			t.Fatal(err)
		}
		equal(t, "the header", strings.Join(got, ", "), "the attempt's")
	})
}

// hookedContext counts the functions that wait for its end.
type hookedContext struct {
	context.Context
	done  chan struct{}
	hooks atomic.Int64
}

func (c *hookedContext) Done() <-chan struct{} { return c.done }

func (c *hookedContext) AfterFunc(func()) (stop func() bool) {
	c.hooks.Add(1)
	return func() bool { return c.hooks.Add(-1) >= 0 }
}

// countedSpans counts what has started and not ended.
type countedSpans struct{ open, ended atomic.Int64 }

func (c *countedSpans) start(ctx context.Context) (context.Context, func(holdfast.Event)) {
	c.open.Add(1)
	return ctx, func(holdfast.Event) { c.open.Add(-1); c.ended.Add(1) }
}

func (c *countedSpans) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return c.start(ctx)
}

func (c *countedSpans) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return c.start(ctx)
}

// A panic of an observer, at any event, ends what the instruments have started, and
// leaves nothing in the caller's context, which may live as long as the program.
func TestInstrumentEndsAfterAPanic(t *testing.T) {
	for _, kind := range []holdfast.EventKind{
		holdfast.EventPermitAcquired, holdfast.EventAttempt, holdfast.EventAttemptDone, holdfast.EventRetrying, holdfast.EventSucceeded, holdfast.EventFailed,
	} {
		for _, path := range []string{"/well", "/down"} {
			t.Run(kind.String()+path, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					seen := false
					shaky := holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
						if e.Kind == kind {
							seen = true
							panic("shaky")
						}
					})
					spans := new(countedSpans)
					ctx := &hookedContext{Context: context.Background(), done: make(chan struct{})}
					c, _ := service(t, plan(rule("/down", "", fault.Fault{Status: 503})), holdfast.Config{
						Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}, Retry: holdfast.Retry{MaxRetries: 1},
					}, holdfast.WithObserver(shaky), holdfast.WithInstrument(spans))
					func() {
						defer func() { equal(t, "the panic", recover() != nil, seen) }()
						_, _ = c.Get(ctx, path)
					}()
					equal(t, "spans that have not ended", spans.open.Load(), 0)
					equal(t, "functions that wait for the caller's context", ctx.hooks.Load(), 0)
					equal(t, "in flight", c.Stats().InFlight, 0)

					spans.ended.Store(0)
					p := policy(t, holdfast.PolicyConfig{Bulkhead: holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1}), Retry: holdfast.Retry{MaxRetries: 1}},
						holdfast.WithObserver(shaky), holdfast.WithInstrument(spans))
					func() {
						defer func() { _ = recover() }()
						_ = holdfast.Run(ctx, p, func(context.Context) error {
							if path == "/down" {
								return errDown
							}
							return nil
						})
					}()
					equal(t, "a policy's spans that have not ended", spans.open.Load(), 0)
					equal(t, "a policy's operation has ended", spans.ended.Load() > 0, true)
				})
			})
		}
	}
}

// The headers of one attempt are not those of the next, nor those of its redirects, and not those
// of another call.
func TestHeadersOfOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sent []string
		rt := roundTripper(func(req *http.Request) (*http.Response, error) {
			sent = append(sent, fmt.Sprintf("%s%s %v %v %v %v", req.URL.Host, req.URL.Path, req.Header["X-First"], req.Header["X-Number"], req.Header["X-Own"], req.Header["User-Agent"]))
			status, to := 200, ""
			switch n := len(sent); {
			case n <= 2:
				status = 503
			case req.URL.Path == "/x":
				status, to = 307, "/y"
			case req.URL.Path == "/y":
				status, to = 307, "http://other.test/z"
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {to}}, Body: http.NoBody}, nil
		})
		attempt := 0
		adds := instrument{
			func(ctx context.Context) context.Context { return ctx },
			func(ctx context.Context, h http.Header) context.Context {
				if attempt++; attempt == 1 || attempt == 5 {
					h.Set("x-first", "yes")
				}
				if attempt != 3 && attempt != 4 {
					h["x-number"] = []string{fmt.Sprint(attempt)}
				}
				if attempt == 5 { // goes to other origins, and so must be a copy
					h.Set("User-Agent", "a tracer")
				}
				return ctx
			},
		}
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test", MaxRedirects: 2, Header: http.Header{"X-Own": {"own"}}}, holdfast.WithTransport(rt), holdfast.WithInstrument(adds))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 { // attempts 1 to 3, then 4, and then 5
			if _, err := c.Get(t.Context(), "/x"); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, "the requests", strings.Join(sent, "\n"), strings.Join([]string{
			"api.test/x [yes] [1] [own] []",
			"api.test/x [] [2] [own] []",
			"api.test/x [] [] [own] []", "api.test/y [] [] [own] []", "other.test/z [] [] [] []",
			"api.test/x [] [] [own] []", "api.test/y [] [] [own] []", "other.test/z [] [] [] []",
			"api.test/x [yes] [5] [own] [a tracer]", "api.test/y [yes] [5] [own] [a tracer]", "other.test/z [] [] [] []",
		}, "\n"))
	})
}
