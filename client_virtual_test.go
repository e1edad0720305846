package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/internal/virtual"
	"github.com/holdfast-go/holdfast/internal/world"
)

// A client in virtual time, over a wire of the test's, does what it does in real time
// over net/http: the same events at the same instants, with the same ids, errors and
// explanations. Nothing differs, so there is no list of exceptions.
func TestClientInVirtualTime(t *testing.T) {
	const ms, second = time.Millisecond, time.Second
	status := func(n int) fault.Fault { return fault.Fault{Status: n} }
	slow := func(d time.Duration) fault.Fault { return fault.Fault{Latency: &fault.Latency{Fixed: d}} }
	hang, lost := fault.Fault{Hang: fault.BeforeAnswer}, fault.Fault{Close: fault.BeforeAnswer}
	get := func(s *stage, at ...time.Duration) {
		for _, d := range at {
			s.at(d, (*caller).get)
		}
	}
	for _, tt := range []struct {
		name   string
		cfg    holdfast.Config
		script []fault.Fault
		calls  func(*stage)
		covers []holdfast.EventKind // nil for a client without an observer
	}{
		{"success", holdfast.Config{}, []fault.Fault{{}, slow(second)}, func(s *stage) {
			get(s, 0)
			s.at(second, func(c *caller) { c.do(http.MethodPut, "a body") })
			s.at(4*second, (*caller).post)
		}, []holdfast.EventKind{holdfast.EventSucceeded, holdfast.EventKeyGenerated}},

		{"retries after 503", holdfast.Config{Retry: holdfast.Retry{Jitter: holdfast.Proportional}},
			[]fault.Fault{status(503), status(503), {}, status(500), status(500), status(500), status(500), status(404)},
			func(s *stage) { get(s, 0, 10*second, 30*second) },
			[]holdfast.EventKind{holdfast.EventRetrying, holdfast.EventSucceeded, holdfast.EventFailed}},

		{"429 and its cooldown", holdfast.Config{Retry: holdfast.Retry{Jitter: holdfast.Decorrelated, MaxDelay: second}},
			[]fault.Fault{{Status: 429, RetryAfter: 5 * second}}, func(s *stage) {
				get(s, 0, second, 2*second)
				s.at(3*second, func(c *caller) { c.within(second, (*caller).get) }) // which is too short
				get(s, 10*second)
			}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventCoolingDown, holdfast.EventSucceeded, holdfast.EventFailed}},

		{"attempt timeout", holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: second, Read: holdfast.Off}},
			[]fault.Fault{hang, slow(2 * second), slow(second / 2)}, func(s *stage) { get(s, 0) },
			[]holdfast.EventKind{holdfast.EventRetrying, holdfast.EventSucceeded}},

		{"total timeout and deadline", holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: second, Total: 3500 * ms}},
			[]fault.Fault{hang, hang, hang, hang, slow(second / 2)}, func(s *stage) {
				get(s, 0)
				s.at(10*second, func(c *caller) { c.within(second/4, (*caller).get) })
				s.at(20*second, func(c *caller) { c.within(1700*ms, (*caller).get) }) // too short for the backoff
			}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventFailed}},

		{"breaker", holdfast.Config{
			Retry:   holdfast.Retry{MaxRetries: holdfast.Off},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: 5 * second, HalfOpenMaxCalls: 1},
		}, []fault.Fault{status(500), status(502), hang, slow(second)}, func(s *stage) {
			get(s, 0, second, 2*second, 3*second) // two fail, two are rejected
			s.at(7*second, func(c *caller) { c.within(second, (*caller).get) })
			get(s, 8500*ms, 14*second, 14500*ms, 16*second) // the second of the probes is rejected
		}, []holdfast.EventKind{
			holdfast.EventBreakerOpened, holdfast.EventRejected, holdfast.EventBreakerHalfOpen, holdfast.EventProbe, holdfast.EventBreakerClosed,
		}},

		{"rejections that no observer hears of", holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Timeouts: holdfast.Timeouts{Total: 10 * second},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 5 * second},
		}, []fault.Fault{status(500)}, func(s *stage) { get(s, 0, second, 4999*ms, 5*second) }, nil},

		{"breaker that counts attempts", holdfast.Config{
			Breaker: holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: 5 * second, CountAttempts: true},
		}, []fault.Fault{status(500), status(502), status(503)}, func(s *stage) { get(s, 0, second/2, 7*second) },
			[]holdfast.EventKind{holdfast.EventBreakerOpened, holdfast.EventRejected, holdfast.EventProbe}},

		{"bulkhead", holdfast.Config{
			Timeouts: holdfast.Timeouts{Acquire: 2 * second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 2},
		}, []fault.Fault{slow(second), slow(5 * second)}, func(s *stage) {
			get(s, 0, 100*ms, 200*ms, 300*ms) // the last finds the queue full, the third waits too long
			s.at(2*second, func(c *caller) { c.within(second, (*caller).get) })
			get(s, 10*second)
		}, []holdfast.EventKind{holdfast.EventWaiting, holdfast.EventPermitAcquired, holdfast.EventFailed}},

		{"the caller cancels", holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}}, []fault.Fault{status(500), hang}, func(s *stage) {
			s.at(0, func(c *caller) { c.until(second/2, (*caller).get) })         // during the backoff
			s.at(10*second, func(c *caller) { c.until(2*second, (*caller).get) }) // on the wire
			s.at(10500*ms, func(c *caller) { c.until(second/2, (*caller).get) })  // waiting for a permit
			s.at(20*second, func(c *caller) { c.until(-1, (*caller).get) })       // before it begins
			s.at(30*second, func(c *caller) { c.within(-second, (*caller).get) }) // after its deadline
			s.at(40*second, func(c *caller) { c.do(http.MethodGet, "") })         // not at all
			s.at(50*second, func(c *caller) { _ = c.client.Close() })             // and neither here,
			s.at(51*second, (*caller).get)                                        // but the client is closed
			s.at(52*second, (*caller).shutdown)                                   // which takes no time
		}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventWaiting, holdfast.EventFailed}},

		{"streams that break off", holdfast.Config{Timeouts: holdfast.Timeouts{Read: 3 * second}},
			[]fault.Fault{{Cut: &fault.Cut{Of: fault.Chunks, After: 2}}, {Cut: &fault.Cut{After: 5}}, {}, {Stall: &fault.Stall{After: 20}}}, func(s *stage) {
				s.at(0, (*caller).stream)
				s.at(10*second, (*caller).stream) // is repeated, since no event was there
				s.at(20*second, (*caller).stream)
			}, []holdfast.EventKind{holdfast.EventBrokeOff, holdfast.EventRetrying, holdfast.EventSucceeded}},

		{"connection lost", holdfast.Config{}, []fault.Fault{lost, {}, {Cut: &fault.Cut{After: 10}}}, func(s *stage) {
			get(s, 0)
			s.at(10*second, func(c *caller) { c.do(http.MethodGet, "") })
		}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventBrokeOff}},

		{"a body that stalls", holdfast.Config{Timeouts: holdfast.Timeouts{Read: 2 * second}},
			[]fault.Fault{{Stall: &fault.Stall{After: 10}}, {Stall: &fault.Stall{After: 10, For: second}}, {Stall: &fault.Stall{After: 10}}}, func(s *stage) {
				get(s, 0)
				s.at(10*second, func(c *caller) { c.do(http.MethodGet, "") })
			}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventSucceeded, holdfast.EventBrokeOff}},

		{"the SDK transport", holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1}},
			[]fault.Fault{status(503), {}, status(503), status(503), status(503), lost}, func(s *stage) {
				for n := range 3 {
					s.at(time.Duration(n)*10*second, (*caller).sdk)
				}
			}, []holdfast.EventKind{holdfast.EventRetrying, holdfast.EventSucceeded, holdfast.EventFailed}},

		{"shutdown and a batch", holdfast.Config{}, []fault.Fault{slow(5 * second)}, func(s *stage) {
			get(s, 0)
			s.at(second, (*caller).batch)
			s.at(2*second, func(c *caller) { c.within(second, (*caller).shutdown) })
			s.at(3*second, (*caller).shutdown)
			get(s, 4*second)
		}, []holdfast.EventKind{holdfast.EventSucceeded, holdfast.EventFailed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cfg.Name = "svc"; tt.cfg.Retry.Jitter == holdfast.Full {
				tt.cfg.Retry.Jitter = holdfast.NoJitter
			}
			backend := faultserver.Echo
			if strings.HasPrefix(tt.name, "streams") {
				backend = counting
			}
			var url string
			var inSockets, inVirtual []string
			bubble(t, func(t *testing.T) {
				url, inSockets = overSockets(t, tt.cfg, tt.script, backend, tt.calls, tt.covers != nil)
			})
			tt.cfg.BaseURL = url
			inVirtual = overVirtualWire(t, tt.cfg, &virtualWire{script: tt.script, backend: backend}, tt.calls, tt.covers != nil)
			for _, kind := range tt.covers {
				if !slices.ContainsFunc(inSockets, func(line string) bool { return strings.Contains(line, " "+kind.String()+":") }) {
					t.Errorf("no event %q", kind)
				}
			}
			for i := range max(len(inSockets), len(inVirtual)) {
				real, other := line(inSockets, i), line(inVirtual, i)
				if real != other {
					t.Fatalf("after %q\nover sockets:    %s\nin virtual time: %s", line(inSockets, i-1), real, other)
				}
			}
		})
	}
}

func line(lines []string, i int) string {
	if i < 0 || i >= len(lines) {
		return "nothing"
	}
	return lines[i]
}

// counting answers with five events.
func counting(faultserver.Request) faultserver.Answer {
	a := faultserver.Answer{Status: 200, ContentType: "text/event-stream"}
	for n := range 5 {
		event := fmt.Sprintf("data: %d\n\n", n)
		a.Body = append(a.Body, event...)
		a.Chunks = append(a.Chunks, len(event))
	}
	return a
}

// stage is a client with its callers, in real or virtual time.
type stage struct {
	world  world.World
	root   context.Context
	start  time.Time
	client *holdfast.Client
	// bounded makes a context that ends with the function, and at the deadline if that
	// is not zero.
	bounded func(parent context.Context, deadline time.Time) (context.Context, func())
	callers []*caller
	calling sync.WaitGroup
}

// caller makes calls one after the other. What two callers do at one instant has no
// order, so each has a log of its own.
type caller struct {
	*stage
	ctx context.Context
	log []string
}

// overSockets has the calls made over net/http and sockets in memory, in the time of
// the bubble.
func overSockets(t *testing.T, cfg holdfast.Config, script []fault.Fault, backend faultserver.Service, calls func(*stage), observed bool) (url string, log []string) {
	var p fault.Plan
	for i, f := range script {
		f.Healthy = reflect.ValueOf(f).IsZero()
		p.Rules = append(p.Rules, rule("", fmt.Sprint(i+1), f))
	}
	w := world.From(&seeded{chance: virtual.New(1)})
	s := &stage{world: w, root: world.With(context.Background(), w), start: w.Now()}
	s.bounded = func(parent context.Context, deadline time.Time) (context.Context, func()) {
		if deadline.IsZero() {
			return context.WithCancel(parent)
		}
		return context.WithDeadline(parent, deadline)
	}
	var server *faultserver.Server
	s.client, server = serving(t, backend, p, cfg, s.options(observed)...)
	calls(s)
	s.calling.Wait()
	return server.URL(), s.log()
}

// seeded is the real World with the chance of a virtual one.
type seeded struct {
	world.World
	mu     sync.Mutex
	chance *virtual.World
}

func (s *seeded) Chance() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Chance()
}

func (s *seeded) Random() [16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Random()
}

// overVirtualWire has the calls made in virtual time.
func overVirtualWire(t *testing.T, cfg holdfast.Config, wire *virtualWire, calls func(*stage), observed bool) []string {
	w := virtual.New(1)
	s := &stage{world: w.World(), root: w.Background(), start: w.Now()}
	s.bounded = func(parent context.Context, deadline time.Time) (context.Context, func()) {
		ctx := w.Context(parent, deadline)
		return ctx, ctx.End
	}
	var err error
	if s.client, err = holdfast.New(cfg, append(s.options(observed), holdfast.WithTransport(wire))...); err != nil {
		t.Fatal(err)
	}
	calls(s)
	if err := w.Run(); err != nil {
		t.Error(err)
	}
	return s.log()
}

func (s *stage) options(observed bool) []holdfast.Option {
	if observed {
		return []holdfast.Option{holdfast.WithObserver(s)}
	}
	return nil
}

type callerKey struct{}

// at has another caller run f after d.
func (s *stage) at(d time.Duration, f func(*caller)) {
	c := &caller{stage: s}
	c.ctx = context.WithValue(s.root, callerKey{}, c)
	s.callers = append(s.callers, c)
	s.calling.Add(1)
	s.world.Go(func() {
		defer s.calling.Done()
		s.world.Sleep(c.ctx, s.start.Add(d))
		f(c)
	})
}

// log is that of all callers.
func (s *stage) log() (all []string) {
	for i, c := range s.callers {
		all = append(all, fmt.Sprintf("caller %d", i))
		all = append(all, c.log...)
	}
	return all
}

// Observe logs an event with its caller: each field that is not zero, and instants
// since the start.
func (s *stage) Observe(ctx context.Context, e holdfast.Event) {
	text, v := e.Kind.String()+":", reflect.ValueOf(e)
	for i := 1; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			continue
		}
		is := v.Field(i).Interface()
		if at, ok := is.(time.Time); ok {
			is = at.Sub(s.start)
		}
		text += fmt.Sprintf(" %s %v", v.Type().Field(i).Name, is)
	}
	ctx.Value(callerKey{}).(*caller).add("%s", text)
}

func (c *caller) add(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf("%v ", c.world.Since(c.start))+fmt.Sprintf(format, args...))
}

// within runs f with a deadline after d.
func (c *caller) within(d time.Duration, f func(*caller)) {
	ctx, end := c.bounded(c.ctx, c.world.Now().Add(d))
	defer end()
	c.ctx = ctx
	f(c)
}

// until runs f with a context that is canceled after d, and at once if d is negative.
func (c *caller) until(d time.Duration, f func(*caller)) {
	ctx, cancel := c.bounded(c.ctx, time.Time{})
	defer cancel()
	if d < 0 {
		cancel()
	} else {
		c.world.AfterFunc(d, cancel)
	}
	c.ctx = ctx
	f(c)
}

// ended logs how a call has ended.
func (c *caller) ended(what any, err error) {
	if e, ok := errors.AsType[*holdfast.Error](err); ok {
		c.add("  error %v, code %s\n%s", err, e.Code(), e.Explain())
		return
	}
	c.add("  %v, %v", what, err)
}

func (c *caller) get() {
	resp, err := c.client.Get(c.ctx, "/get")
	c.answered(resp, err)
}

func (c *caller) post() {
	resp, err := c.client.Post(c.ctx, "/post", map[string]int{"n": 1})
	c.answered(resp, err)
}

func (c *caller) answered(resp *holdfast.Response, err error) {
	if err != nil {
		c.ended(nil, err)
		return
	}
	c.ended(fmt.Sprintf("%s %d after %d: %s", resp.Proto, resp.Status, resp.Attempts, resp.Body), nil)
}

// do makes a request by Do.
func (c *caller) do(method, body string) {
	req, err := http.NewRequestWithContext(c.ctx, method, "/do", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		c.ended(nil, err)
		return
	}
	c.read(c.client.Do(req))
}

// sdk makes a request by the SDK transport.
func (c *caller) sdk() {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.client.Stats().BaseURL+"/sdk", nil)
	if err != nil {
		c.ended(nil, err)
		return
	}
	c.read(c.client.HTTPClient().Do(req))
}

func (c *caller) read(resp *http.Response, err error) {
	if err != nil {
		c.ended(nil, err)
		return
	}
	b, err := io.ReadAll(resp.Body)
	c.ended(fmt.Sprint(resp.StatusCode, " ", string(b)), err)
	_ = resp.Body.Close()
}

func (c *caller) stream() {
	stream, err := c.client.Stream(c.ctx, http.MethodPost, "/stream", nil)
	if err != nil {
		c.ended(nil, err)
		return
	}
	for e, err := range stream.Events() {
		c.ended(string(e.Data), err)
	}
}

// batch has two functions at a time wait a little.
func (c *caller) batch() {
	result, err := holdfast.Batch(c.ctx, []int{1, 2, 3, 4}, holdfast.BatchOptions{ChunkSize: 1, Width: 2}, func(ctx context.Context, n []int) ([]int, error) {
		c.world.Sleep(ctx, c.world.Now().Add(time.Duration(n[0])*100*time.Millisecond))
		return n, nil
	})
	c.ended(result.Out, err)
}

func (c *caller) shutdown() { c.ended("shut down", c.client.Shutdown(c.ctx)) }

// Breaker, Bulkhead and Fallback take the time of their context's World.
func TestMachinesInVirtualTime(t *testing.T) {
	w := virtual.New(1)
	start := w.Now()
	type key struct{}
	ctx := context.WithValue(w.Background(), key{}, "caller")
	fails := func(context.Context) error { return errDown }
	var told []holdfast.Event
	b := holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute, HalfOpenMaxCalls: 1},
		holdfast.WithObserver(holdfast.ObserverFunc(func(ctx context.Context, e holdfast.Event) {
			if told = append(told, e); ctx.Value(key{}) != "caller" || !e.Time.Equal(w.Now()) {
				t.Errorf("%v at %v, with another context or at another time", e.Kind, e.Time)
			}
		})))
	h := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxWait: time.Minute})
	w.Go(func() {
		is(t, b.Do(ctx, fails), errDown)
		rejected, ok := errors.AsType[*holdfast.RejectedError](b.Do(ctx, fails))
		if !ok || !rejected.RetryAt.Equal(start.Add(time.Minute)) {
			t.Errorf("rejection %+v", rejected)
		}
		w.World().Sleep(ctx, rejected.RetryAt)
		if err := b.Do(ctx, func(context.Context) error { return nil }); err != nil || len(told) != 5 {
			t.Errorf("%v, %d events", err, len(told))
		}

		held, _ := h.TryAcquire()
		_, err := h.Acquire(ctx)
		if e, ok := errors.AsType[*holdfast.Error](err); !ok || e.Took != time.Minute || !w.Now().Equal(start.Add(2*time.Minute)) {
			t.Errorf("%v at %v", err, w.Now())
		}
		held.Release()

		for left, want := range map[time.Duration]int{0: 0, time.Second: 1} {
			within := w.Context(ctx, w.Now().Add(time.Minute))
			others := 0
			_, _ = holdfast.Fallback(within, func(context.Context) (int, error) {
				w.World().Sleep(w.Background(), w.Now().Add(time.Minute-left))
				return 0, holdfast.ErrConnection
			}, func(context.Context) (int, error) {
				others++
				return 0, nil
			})
			equal(t, "other services that were asked", others, want)
			within.End()
		}
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}
