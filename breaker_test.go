package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

func TestBreakerDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Second})
		// A cancellation is no failure of the service.
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Do(ctx, func(context.Context) error { cancel(); return ctx.Err() })
		if err != context.Canceled {
			t.Errorf("error is %v", err)
		}
		equal(t, "failures after a cancellation", b.Stats().FailureCount, 0)
		// A panic is a bug in the caller.
		func() {
			defer func() { _ = recover() }()
			_ = b.Do(t.Context(), func(context.Context) error { panic("bug") })
		}()
		equal(t, "failures after a panic", b.Stats().FailureCount, 0)
		// fn's error is returned unchanged.
		if err := b.Do(t.Context(), func(context.Context) error { return errDown }); err != errDown {
			t.Errorf("error is %v", err)
		}
		equal(t, "failures", b.Stats().FailureCount, 1)
		// A success resets the count.
		_ = b.Do(t.Context(), func(context.Context) error { return nil })
		equal(t, "failures after a success", b.Stats().FailureCount, 0)
	})
}

// Requirements A7 and B1a: the outcomes that count depend on the state.
func TestBreakerVerdicts(t *testing.T) {
	for _, c := range []struct {
		outcome          holdfast.Outcome
		closed, halfOpen holdfast.State // after one in each
	}{
		{holdfast.Success, holdfast.Closed, holdfast.Closed},
		{holdfast.Transient, holdfast.Open, holdfast.Open},
		{holdfast.Permanent, holdfast.Closed, holdfast.Closed}, // the service is up
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
				// After every outcome, the breaker admits another probe later.
				time.Sleep(time.Second)
				if _, err := b.Acquire(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A half-open probe makes one attempt. An operation makes no further attempt if its
// breaker opens while it waits.
func TestPolicyAndItsBreaker(t *testing.T) {
	retry := holdfast.Retry{BaseDelay: time.Second, Jitter: holdfast.NoJitter}

	t.Run("an operation is one failure", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			_, _ = holdfast.Do(t.Context(), p, (&script{ends: []error{errDown}}).call)
			equal(t, "failures after four attempts", b.Stats().FailureCount, 1)
		})
	})
	t.Run("with CountAttempts, each attempt is one", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 3, OpenTimeout: time.Minute, CountAttempts: true})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			f := &script{ends: []error{errDown}}
			_, err := holdfast.Do(t.Context(), p, f.call)
			equal(t, "calls until the breaker opened", len(f.calls), 3)
			equal(t, "state", b.State(), holdfast.Open)
			is(t, err, errDown)
			isNot(t, err, holdfast.ErrCircuitOpen) // something was sent
		})
	})
	t.Run("each attempt counts once, also before a cancellation", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{CountAttempts: true})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(1500*time.Millisecond, cancel)
			_, _ = holdfast.Do(ctx, p, (&script{ends: []error{errDown}}).call)
			equal(t, "failures after two attempts", b.Stats().FailureCount, 2)
		})
	})
	t.Run("a probe makes one attempt", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
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
	t.Run("no backoff before a rejection", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute})
			p := policy(t, holdfast.PolicyConfig{Retry: retry, Breaker: b}, opts...)
			permit, _ := b.Acquire()
			start := time.Now()
			_, err := holdfast.Do(t.Context(), p, func(context.Context) (int, error) {
				permit.Done(holdfast.Transient) // another operation's failure opens the breaker
				return 0, errDown
			})
			is(t, err, errDown)
			isNot(t, err, holdfast.ErrCircuitOpen)
			equal(t, "time taken", time.Since(start), 0)
		})
	})
	t.Run("opened during a backoff", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
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
	t.Run("an operation from before the outage needs a probe after it", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
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
			// The verdict counts in the half-open state.
			equal(t, "state", b.State(), holdfast.Closed)
		})
	})
	t.Run("rejected", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
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
			var rejected *holdfast.RejectedError
			if !errors.As(err, &rejected) || !rejected.RetryAt.Equal(b.Stats().RetryAt) {
				t.Errorf("the rejection is %+v", rejected)
			}
		})
	})
}

// Permits that come back late, twice or never.
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

		// One probe is free now. The lost one is free after ten minutes and the open time.
		again, err := b.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		again.Done(holdfast.Canceled)
		time.Sleep(10*time.Minute + time.Second)
		one, _ := b.Acquire()
		two, err := b.Acquire()
		if err != nil {
			t.Errorf("the probe that was lost: %v", err)
		}
		lost.Done(holdfast.Transient) // too late
		equal(t, "state", b.State(), holdfast.HalfOpen)
		one.Done(holdfast.Canceled)
		two.Done(holdfast.Success)
		equal(t, "state", b.State(), holdfast.Closed)
	})
}

// A rejection in half-open has the expiry of the probes, which is far away. It must not
// be returned in the open state that follows a failed probe.
func TestRejectionsOfEachState(t *testing.T) {
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
				t.Fatalf("still rejected after the open time: %v", err)
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

func TestNamesOutOfRange(t *testing.T) {
	for _, name := range []string{holdfast.Outcome(99).String(), holdfast.State(99).String(), holdfast.Jitter(99).String(), holdfast.EventKind(99).String()} {
		equal(t, "name", name, "invalid")
	}
}

// Requirement B11: the names in JSON.
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
	want := `holdfast: BreakerConfig.FailureThreshold is -1 (Off): must be positive or zero for 15
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
