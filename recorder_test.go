package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// measures is a Metrics that makes one recorder for everything.
type measures struct {
	recorder
	mu        sync.Mutex
	of        []holdfast.Measured
	succeeded []holdfast.Succeeded
	none      bool
}

func (m *measures) Recorder(of holdfast.Measured) holdfast.Recorder {
	m.of = append(m.of, of)
	if m.none {
		return nil
	}
	return m
}

func (m *measures) Succeeded(_ context.Context, s holdfast.Succeeded) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.succeeded = append(m.succeeded, s)
}

// kinds are the events and the successes so far; it forgets them.
func (m *measures) kinds() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, e := range m.events {
		all = append(all, e.Kind.String())
	}
	for _, s := range m.succeeded {
		all = append(all, fmt.Sprintf("succeeded after %d in %v, the last in %v, stream %v", s.Attempts, s.Took, s.LastTook, s.Stream))
	}
	m.events, m.succeeded = nil, nil
	return strings.Join(all, "; ")
}

// A recorder gets the successes of a client as one call, and of the events only those of what
// does not go well.
func TestRecorderOfAClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(measures)
		c, _ := service(t, plan(
			rule("/once", "1", fault.Fault{Status: 503}), rule("/down", "", fault.Fault{Status: 500}),
			rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: time.Second}}),
		), holdfast.Config{
			Name: "api", Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter},
			Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
		}, holdfast.WithMetrics(m))
		equal(t, "what is measured", m.of[0].Name, "api")
		equal(t, "what is measured", m.of[0].Client, c)
		expect := func(what, want string) {
			t.Helper()
			equal(t, what, m.kinds(), want)
		}
		_ = get(t.Context(), c, "/slow")
		expect("a call", "succeeded after 1 in 1s, the last in 1s, stream false")
		_ = get(t.Context(), c, "/once")
		expect("a call with a retry", "attempt ended; retrying; succeeded after 2 in 1s, the last in 0s, stream false")

		go func() { _ = get(t.Context(), c, "/slow") }()
		synctest.Wait()
		_ = get(t.Context(), c, "/x")
		expect("a call that waits", "slot acquired; succeeded after 1 in 1s, the last in 1s, stream false; succeeded after 1 in 1s, the last in 0s, stream false")

		_ = get(t.Context(), c, "/down")
		expect("a failure", "attempt ended; retrying; attempt ended; circuit breaker opened; operation failed")
		var failed holdfast.Event
		_ = get(t.Context(), c, "/x") // an early rejection
		if all := m.all(holdfast.EventFailed); len(all) == 1 {
			failed = all[0]
		}
		equal(t, "its name", failed.Name, "api")
		equal(t, "its path", failed.Method+" "+failed.Path, "GET /x")
		equal(t, "its reason", failed.Reason, holdfast.ReasonBreaker)
		equal(t, "its attempts", failed.Attempt, 0)
		expect("a rejection", "operation failed")
		_ = get(holdfastContext(t), c, "/x")
		expect("another rejection", "operation failed")

		equal(t, "closed", c.Closed(), false)
		c.Close()
		equal(t, "closed", c.Closed(), true)
	})
}

// holdfastContext has a deadline.
func holdfastContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Of a policy, on the fast path and beside it.
func TestRecorderOfAPolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			cfg  holdfast.PolicyConfig
			opts []holdfast.Option
		}{
			{}, {cfg: holdfast.PolicyConfig{AttemptTimeout: time.Minute}}, {cfg: holdfast.PolicyConfig{Total: time.Minute}},
			{opts: []holdfast.Option{holdfast.WithObserver(new(recorder))}},
		} {
			m := new(measures)
			c.cfg.Retry = holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter}
			p := policy(t, c.cfg, append(c.opts, holdfast.WithMetrics(m))...)
			equal(t, "what is measured", m.of[0].Policy, p)
			equal(t, "its name", m.of[0].Name, "operation")
			calls := 0
			err := holdfast.Run(t.Context(), p, func(context.Context) error { time.Sleep(time.Second); return nil })
			equal(t, "error", err, nil)
			equal(t, "a call", m.kinds(), "succeeded after 1 in 1s, the last in 1s, stream false")
			_ = holdfast.Run(t.Context(), p, func(context.Context) error {
				if calls++; calls == 1 {
					time.Sleep(2 * time.Second)
					return errDown
				}
				return nil
			})
			failed := m.all(holdfast.EventAttemptDone)[0]
			equal(t, "the failed attempt took", failed.Duration, 2*time.Second)
			equal(t, "a call with a retry", m.kinds(), "attempt ended; retrying; succeeded after 2 in 2.5s, the last in 0s, stream false")
		}
	})
}

// A breaker has rejections only of Do and Acquire; a policy that shares it has its own.
func TestRecorderOfABreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m, ofPolicy := new(measures), new(measures)
		b := holdfast.MustBreaker(holdfast.BreakerConfig{Name: "b", FailureThreshold: 1}, holdfast.WithMetrics(m))
		p := policy(t, holdfast.PolicyConfig{Breaker: b, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, holdfast.WithMetrics(ofPolicy))
		equal(t, "what is measured", m.of[0].Breaker, b)
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		opened := m.events[0]
		equal(t, "from", opened.From, holdfast.Closed)
		equal(t, "a failure", m.kinds(), "circuit breaker opened")
		_ = b.Do(t.Context(), func(context.Context) error { return nil })
		_, _ = b.Acquire()
		equal(t, "rejections", m.kinds(), "circuit breaker open: rejecting request; circuit breaker open: rejecting request")
		_ = holdfast.Run(t.Context(), p, func(context.Context) error { return nil })
		equal(t, "a rejection of the policy", m.kinds()+ofPolicy.kinds(), "operation failed")
		time.Sleep(time.Hour)
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		from := []holdfast.State{m.events[0].From, m.events[1].From}
		equal(t, "from", from[0], holdfast.Open)
		equal(t, "from", from[1], holdfast.HalfOpen)
		equal(t, "a probe that fails", m.kinds(), "circuit breaker half-open; circuit breaker opened")
	})
}

// The breakers of scopes have the recorder of their client.
func TestRecorderOfAScope(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(measures)
		c, _ := service(t, plan(rule("/down", "", fault.Fault{Status: 500})), holdfast.Config{
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Scope: holdfast.ScopePath,
		}, holdfast.WithMetrics(m))
		_ = get(t.Context(), c, "/down")
		_ = get(t.Context(), c, "/down")
		equal(t, "events", m.kinds(), "attempt ended; circuit breaker opened; operation failed; operation failed")
	})
}

// A stream tells its beginning and its end, once. An ordinary answer tells no end.
func TestRecorderOfAStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(measures)
		c, _ := serving(t, chat, plan(rule("/events", "", fault.Fault{Cut: &fault.Cut{After: 40}})), holdfast.Config{}, holdfast.WithMetrics(m))
		ends := func() (all []string) {
			for _, e := range m.all(holdfast.EventAnswerEnded) {
				all = append(all, fmt.Sprint(e.Outcome, " ", e.Class, " ", e.Stream))
			}
			m.kinds()
			return all
		}
		open := func(path string) *holdfast.Stream {
			s, err := c.Stream(t.Context(), "GET", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			m.mu.Lock()
			equal(t, "its beginning", m.succeeded[0].Stream, true)
			m.mu.Unlock()
			return s
		}
		for range open("/lines").Lines() {
		}
		equal(t, "complete", strings.Join(ends(), ", "), "success  true")
		for range open("/lines").Lines() {
			break
		}
		equal(t, "left", strings.Join(ends(), ", "), "canceled canceled true")
		for range open("/events").Events() {
		}
		equal(t, "cut", strings.Join(ends(), ", "), "transient lost true")

		for _, path := range []string{"/lines", "/other"} {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", path, nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		equal(t, "of Do", strings.Join(ends(), ", "), "canceled canceled true")
	})
}

// Two Metrics, one that records nothing, and none.
func TestSeveralMetrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, none := new(measures), new(measures), &measures{none: true}
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
			holdfast.WithMetrics(a), holdfast.WithMetrics(none), holdfast.WithMetrics(nil), holdfast.WithMetrics(b))
		_ = holdfast.Run(t.Context(), p, func(context.Context) error { return nil })
		_ = holdfast.Run(t.Context(), p, func(context.Context) error { return errors.New("down") })
		for _, m := range []*measures{a, b} {
			equal(t, "calls", m.kinds(), "attempt ended; operation failed; succeeded after 1 in 0s, the last in 0s, stream false")
		}
		equal(t, "calls of none", none.kinds(), "")
	})
}

// free records nothing, without allocations.
type free struct{}

func (free) Recorder(holdfast.Measured) holdfast.Recorder  { return free{} }
func (free) Succeeded(context.Context, holdfast.Succeeded) {}
func (free) Observe(_ context.Context, _ holdfast.Event)   {}

// leastAllocs is the least of many short measurements: the collector, which the tests before
// have kept busy, empties pools, and most of the short ones meet none of its runs.
func leastAllocs(f func()) float64 {
	n := testing.AllocsPerRun(10, f)
	for range 49 {
		n = min(n, testing.AllocsPerRun(10, f))
	}
	return n
}

// A call that succeeds allocates nothing for its recorder.
func TestRecorderAllocations(t *testing.T) {
	rt := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	})
	var ofClient, ofPolicy []float64
	for _, opts := range [][]holdfast.Option{nil, {holdfast.WithMetrics(free{})}} {
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test"}, append(slices.Clone(opts), holdfast.WithTransport(rt))...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := holdfast.MustPolicy(holdfast.PolicyConfig{}, opts...)
		ofClient = append(ofClient, leastAllocs(func() { _, _ = c.Get(ctx, "/x") }))
		ofPolicy = append(ofPolicy, leastAllocs(func() { _ = holdfast.Run(ctx, p, func(context.Context) error { return nil }) }))
	}
	equal(t, "allocations of a client's call with a recorder", ofClient[1], ofClient[0])
	equal(t, "allocations of a policy's call with a recorder", ofPolicy[1], ofPolicy[0])
}
