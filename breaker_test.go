package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

func TestBreakerDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Second})
		// The caller's cancellation is no failure of the service.
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Do(ctx, func(context.Context) error { cancel(); return ctx.Err() })
		if err != context.Canceled {
			t.Errorf("error is %v", err)
		}
		equal(t, "failures after a cancellation", b.Stats().FailureCount, 0)
		// A panic is a bug of the caller's.
		func() {
			defer func() { _ = recover() }()
			_ = b.Do(t.Context(), func(context.Context) error { panic("bug") })
		}()
		equal(t, "failures after a panic", b.Stats().FailureCount, 0)
		// fn's own error comes back as it is.
		if err := b.Do(t.Context(), func(context.Context) error { return errDown }); err != errDown {
			t.Errorf("error is %v", err)
		}
		equal(t, "failures", b.Stats().FailureCount, 1)
		// A success in between starts the count again.
		_ = b.Do(t.Context(), func(context.Context) error { return nil })
		equal(t, "failures after a success", b.Stats().FailureCount, 0)
	})
}

// Rows A7 and B1a: what counts depends on the state.
func TestBreakerVerdicts(t *testing.T) {
	for _, c := range []struct {
		outcome          holdfast.Outcome
		closed, halfOpen holdfast.State // after one in each
	}{
		{holdfast.Success, holdfast.Closed, holdfast.Closed},
		{holdfast.Transient, holdfast.Open, holdfast.Open},
		{holdfast.Permanent, holdfast.Closed, holdfast.Closed}, // answered no: it is up
		{holdfast.Throttled, holdfast.Closed, holdfast.HalfOpen},
		{holdfast.Canceled, holdfast.Closed, holdfast.HalfOpen},
		{holdfast.Unknown, holdfast.Closed, holdfast.HalfOpen},
	} {
		t.Run(c.outcome.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 1})
				p, _ := b.Acquire()
				p.Done(c.outcome)
				equal(t, "closed, then", b.State(), c.closed)
				if b.State() == holdfast.Closed {
					p, _ = b.Acquire()
					p.Done(holdfast.Transient)
				}
				time.Sleep(time.Second)
				p, err := b.Acquire()
				if err != nil || !p.Probe() {
					t.Fatalf("no probe: %v", err)
				}
				p.Done(c.outcome)
				equal(t, "half-open, then", b.State(), c.halfOpen)
				// Whatever it was, there is a next time.
				time.Sleep(time.Second)
				if _, err := b.Acquire(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A half-open probe makes one attempt, and an operation whose breaker opens
// while it waits makes no further one.
func TestPolicyAndItsBreaker(t *testing.T) {
	retry := holdfast.Retry{BaseDelay: time.Second, Jitter: holdfast.NoJitter}

	t.Run("one operation is one failure", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			_, _ = holdfast.Do(t.Context(), p, (&script{ends: []error{errDown}}).call)
			equal(t, "failures after four attempts", b.Stats().FailureCount, 1)
		})
	})
	t.Run("or each attempt is one", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 3, OpenTimeout: time.Minute, CountAttempts: true})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			f := &script{ends: []error{errDown}}
			_, err := holdfast.Do(t.Context(), p, f.call)
			equal(t, "calls until it opened", len(f.calls), 3)
			equal(t, "state", b.State(), holdfast.Open)
			is(t, err, errDown)
			isNot(t, err, holdfast.ErrCircuitOpen) // something was sent
		})
	})
	t.Run("each attempt once, also where the last was counted before a cancellation", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{CountAttempts: true})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(1500*time.Millisecond, cancel)
			_, _ = holdfast.Do(ctx, p, (&script{ends: []error{errDown}}).call)
			equal(t, "failures after two attempts", b.Stats().FailureCount, 2)
		})
	})
	t.Run("a probe makes one attempt", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			permit, _ := b.Acquire()
			permit.Done(holdfast.Transient)
			time.Sleep(time.Second)
			f := &script{ends: []error{errDown}}
			_, err := holdfast.Do(t.Context(), p, f.call)
			equal(t, "calls", len(f.calls), 1)
			equal(t, "state", b.State(), holdfast.Open)
			var e *holdfast.Error
			errors.As(err, &e)
			equal(t, "reason", e.Stopped, "a half-open probe makes one attempt")
			equal(t, "probe", e.Attempts[0].Probe, true)
		})
	})
	t.Run("no wait for a refusal", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			permit, _ := b.Acquire()
			start := time.Now()
			_, err := holdfast.Do(t.Context(), p, func(context.Context) (int, error) {
				permit.Done(holdfast.Transient) // somebody else's failure opens it meanwhile
				return 0, errDown
			})
			is(t, err, errDown)
			isNot(t, err, holdfast.ErrCircuitOpen)
			equal(t, "time taken", time.Since(start), 0)
		})
	})
	t.Run("opened during a backoff", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			time.AfterFunc(time.Second/2, func() {
				permit, _ := b.Acquire()
				permit.Done(holdfast.Transient)
			})
			f := &script{ends: []error{errDown}}
			_, err := holdfast.Do(t.Context(), p, f.call)
			equal(t, "calls", len(f.calls), 1)
			is(t, err, errDown)
			equal(t, "attempts", len(attempts(t, err)), 1)
		})
	})
	t.Run("whoever was admitted before the outage needs a probe's slot after it", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second / 4, HalfOpenMaxCalls: 1})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			time.AfterFunc(time.Second/2, func() {
				permit, _ := b.Acquire()
				permit.Done(holdfast.Transient) // open until 0.75s, half-open after it
			})
			f := &script{ends: []error{errDown, nil}}
			if _, err := holdfast.Do(t.Context(), p, f.call); err != nil {
				t.Fatal(err)
			}
			// Its verdict counts in the state in which it was made.
			equal(t, "state", b.State(), holdfast.Closed)
		})
	})
	t.Run("refused", func(t *testing.T) {
		ways(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Name: "op", Breaker: b}, opts...)
			permit, _ := b.Acquire()
			permit.Done(holdfast.Transient)
			f := &script{ends: []error{nil}}
			_, err := holdfast.Do(t.Context(), p, f.call)
			is(t, err, holdfast.ErrCircuitOpen)
			equal(t, "calls", len(f.calls), 0)
			equal(t, "rejected", b.Stats().Rejected, 1)
			equal(t, "the error", err.Error(), "holdfast: op: circuit breaker open: rejecting request")
			var refused *holdfast.RejectedError
			if !errors.As(err, &refused) || !refused.RetryAt.Equal(b.Stats().RetryAt) {
				t.Errorf("the refusal is %+v", refused)
			}
		})
	})
}

// A permit that returns late, twice or never.
func TestPermits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 2})
		old, _ := b.Acquire()
		p, _ := b.Acquire()
		p.Done(holdfast.Transient)
		time.Sleep(time.Second)

		first, _ := b.Acquire()
		lost, _ := b.Acquire()
		if _, err := b.Acquire(); !errors.Is(err, holdfast.ErrCircuitOpen) {
			t.Errorf("a third probe: %v", err)
		}
		first.Done(holdfast.Success)
		first.Done(holdfast.Success) // twice
		old.Done(holdfast.Success)   // from before the outage
		holdfast.BreakerPermit{}.Done(holdfast.Success)
		equal(t, "successes", b.Stats().SuccessCount, 1)
		equal(t, "state", b.State(), holdfast.HalfOpen)

		// One slot is free; the lost one is, after ten minutes and the open time.
		again, err := b.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		again.Done(holdfast.Canceled)
		time.Sleep(10*time.Minute + time.Second)
		one, _ := b.Acquire()
		two, err := b.Acquire()
		if err != nil {
			t.Errorf("the slot that was lost: %v", err)
		}
		lost.Done(holdfast.Transient) // too late
		equal(t, "state", b.State(), holdfast.HalfOpen)
		one.Done(holdfast.Canceled)
		two.Done(holdfast.Success)
		equal(t, "state", b.State(), holdfast.Closed)
	})
}

// A refusal of half-open names the expiry of its probes, far away; it must not be
// given out for the open state that follows a failed probe.
func TestRefusalsAreThoseOfTheirState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 500 {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 1})
			_ = b.Do(t.Context(), func(context.Context) error { return errDown })
			time.Sleep(time.Second)
			probe, err := b.Acquire()
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 20 {
						_, _ = b.Acquire()
					}
				})
			}
			wg.Go(func() { probe.Done(holdfast.Transient) })
			wg.Wait()
			time.Sleep(time.Second)
			if _, err := b.Acquire(); err != nil {
				t.Fatalf("still refused after the open time: %v", err)
			}
		}
	})
}

func TestBreakerEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := new(recorder)
		b := breakerOf(t, holdfast.BreakerConfig{Name: "api", FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 1},
			holdfast.WithObserver(seen))
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		_ = b.Do(t.Context(), func(context.Context) error { return nil })
		time.Sleep(3 * time.Second)
		_ = b.Do(t.Context(), func(context.Context) error { return nil })
		var got []string
		for i, e := range seen.events {
			got = append(got, e.Kind.String())
			equal(t, "name", e.Name, "api")
			if e.Epoch != 0 && i > 0 && e.Epoch <= seen.events[0].Epoch {
				t.Errorf("epoch %d after %d", e.Epoch, seen.events[0].Epoch)
			}
		}
		want := []string{"circuit breaker opened", "circuit breaker open: rejecting request", "circuit breaker half-open", "probe admitted", "circuit breaker closed"}
		if len(got) != len(want) {
			t.Fatalf("events %q, want %q", got, want)
		}
		for i := range want {
			equal(t, "event", got[i], want[i])
		}
		equal(t, "failures", seen.events[0].Failures, 1)
		equal(t, "open for", seen.events[0].Delay, time.Second)
		equal(t, "half-open after", seen.events[2].Duration, 3*time.Second)
	})
}

func TestNamesOfWhatIsOutOfRange(t *testing.T) {
	for _, name := range []string{holdfast.Outcome(99).String(), holdfast.State(99).String(), holdfast.Jitter(99).String(), holdfast.EventKind(99).String()} {
		equal(t, "name", name, "invalid")
	}
}

// Row B11: the second seed's names.
func TestBreakerStatsJSON(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{Name: "api", FailureThreshold: 2})
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		got, err := json.Marshal(b.Stats())
		if err != nil {
			t.Fatal(err)
		}
		want := `{"name":"api","state":"closed","failure_count":1,"success_count":0,"last_failure":"` +
			time.Now().Format(time.RFC3339Nano) + `","opened_at":null,"retry_at":null,"rejected":0}`
		equal(t, "statistics", string(got), want)
	})
}

func TestBreakerConfigProblems(t *testing.T) {
	_, err := holdfast.NewBreaker(holdfast.BreakerConfig{FailureThreshold: holdfast.Off, OpenTimeout: -time.Second, HalfOpenMaxCalls: 1001})
	want := `holdfast: BreakerConfig.FailureThreshold is -1: must be positive or zero for 15
holdfast: BreakerConfig.OpenTimeout is -1s: must be positive or zero for 1m0s
holdfast: BreakerConfig.HalfOpenMaxCalls is 1001: must be at most 1000`
	if err == nil || err.Error() != want {
		t.Errorf("the problems are\n%v\nwant\n%s", err, want)
	}
	_, err = holdfast.NewBulkhead(holdfast.BulkheadConfig{MaxConcurrent: -2, MaxQueue: 1 << 21})
	want = `holdfast: BulkheadConfig.MaxConcurrent is -2: must be positive or zero for 50
holdfast: BulkheadConfig.MaxQueue is 2097152: must be at most 1048576`
	if err == nil || err.Error() != want {
		t.Errorf("the problems are\n%v\nwant\n%s", err, want)
	}
}

func TestBulkhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{Name: "gate", MaxConcurrent: 2, MaxQueue: 10, MaxWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		one, _ := b.Acquire(t.Context())
		two, ok := b.TryAcquire()
		if !ok {
			t.Fatal("no second slot")
		}
		if _, ok := b.TryAcquire(); ok {
			t.Error("a third slot of two")
		}
		// Those who wait are served in order.
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 3 {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				_ = b.Do(t.Context(), func(context.Context) error {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					return nil
				})
			})
		}
		time.Sleep(time.Millisecond)
		equal(t, "waiting", b.Waiting(), 3)
		one.Release()
		wg.Wait()
		for i, got := range order {
			equal(t, "served", got, i)
		}
		// One that nobody gives back is waited for only so long.
		three, _ := b.Acquire(t.Context())
		start := time.Now()
		_, err = b.Acquire(t.Context())
		is(t, err, holdfast.ErrPoolTimeout)
		equal(t, "wait", time.Since(start), time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		err = b.Do(ctx, func(context.Context) error { t.Error("called without a slot"); return nil })
		is(t, err, holdfast.ErrCanceled)
		two.Release()
		three.Release()
		holdfast.BulkheadPermit{}.Release()
		equal(t, "in use", b.InUse(), 0)
		equal(t, "waiting", b.Waiting(), 0)
		defer func() {
			if recover() == nil {
				t.Error("a second Release goes unnoticed")
			}
		}()
		three.Release()
	})
}

// What the happy path may allocate is exact.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	closed, open := breakerOf(t, holdfast.BreakerConfig{}), breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
	_ = open.Do(ctx, func(context.Context) error { return errDown })
	slots := holdfast.MustBulkhead(holdfast.BulkheadConfig{})
	retry := holdfast.MustPolicy(holdfast.PolicyConfig{})
	all := holdfast.MustPolicy(holdfast.PolicyConfig{AttemptTimeout: time.Second, Breaker: closed, Bulkhead: slots})
	logged := holdfast.MustPolicy(holdfast.PolicyConfig{AttemptTimeout: time.Second, Breaker: closed, Bulkhead: slots},
		holdfast.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))) // at INFO
	noop := func(context.Context) (int, error) { return 1, nil }
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"closed breaker", 0, func() { p, _ := closed.Acquire(); p.Done(holdfast.Success) }},
		{"open breaker", 0, func() { _, _ = open.Acquire() }},
		{"free slot", 0, func() { s, _ := slots.Acquire(ctx); s.Release() }},
		{"retry", 1, func() { _, _ = holdfast.Do(ctx, retry, noop) }},
		{"breaker, retry, bulkhead, attempt timeout", 2, func() { _, _ = holdfast.Do(ctx, all, noop) }},
		{"the same, and a silent logger", testing.AllocsPerRun(1000, func() { _, _ = holdfast.Do(ctx, all, noop) }),
			func() { _, _ = holdfast.Do(ctx, logged, noop) }},
	} {
		if got := testing.AllocsPerRun(1000, c.f); got > c.most {
			t.Errorf("%s: %v allocations, at most %v", c.name, got, c.most)
		}
	}
	// An operation that goes the long way takes 400 bytes, in one allocation.
	bare := bytesPerRun(func() { _, _ = holdfast.Do(ctx, all, noop) })
	if got := bytesPerRun(func() { _, _ = holdfast.Do(ctx, logged, noop) }); got > bare+100 {
		t.Errorf("a silent logger: %d bytes, without it %d", got, bare)
	}
}

func bytesPerRun(f func()) uint64 {
	const runs = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}
