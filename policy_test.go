package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// script is a function with the results in ends, the last one for all further calls. It
// keeps the times of its calls.
type script struct {
	ends  []error
	calls []time.Time
}

func (s *script) call(context.Context) (int, error) {
	s.calls = append(s.calls, time.Now())
	n := len(s.calls)
	return n, s.ends[min(n, len(s.ends))-1]
}

// everyPath runs a test of a policy on the fast path, with a logger at INFO, and with an
// observer, which needs the full path.
func everyPath(t *testing.T, f func(t *testing.T, opts ...holdfast.Option)) {
	t.Run("fast path", func(t *testing.T) { bubble(t, func(t *testing.T) { f(t) }) })
	t.Run("logged", func(t *testing.T) {
		bubble(t, func(t *testing.T) { f(t, holdfast.WithLogger(slog.New(slog.DiscardHandler))) })
	})
	t.Run("observed", func(t *testing.T) {
		bubble(t, func(t *testing.T) { f(t, holdfast.WithObserver(new(recorder))) })
	})
}

var noJitter = holdfast.Retry{Jitter: holdfast.NoJitter}

func policy(t *testing.T, cfg holdfast.PolicyConfig, opts ...holdfast.Option) *holdfast.Policy {
	t.Helper()
	p, err := holdfast.NewPolicy(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func breakerOf(t *testing.T, cfg holdfast.BreakerConfig, opts ...holdfast.Option) *holdfast.Breaker {
	t.Helper()
	b, err := holdfast.NewBreaker(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type throttled struct{}

func (throttled) Error() string             { return "slow down" }
func (throttled) RetryAfter() time.Duration { return 7 * time.Second }

func TestClassifyAndFilters(t *testing.T) {
	outcomes := map[string]holdfast.Outcome{
		"unknown": holdfast.Unknown, "transient": holdfast.Transient, "throttled": holdfast.Throttled,
		"permanent": holdfast.Permanent,
	}
	for _, c := range []struct {
		ends    string
		calls   int
		kind    error
		counted int // by a breaker
	}{
		{"unknown", 1, nil, 0},
		{"transient", 3, holdfast.ErrConnection, 1},
		{"throttled", 3, holdfast.ErrRateLimited, 0},
		{"permanent", 1, holdfast.ErrStatus, 0},
	} {
		t.Run(c.ends, func(t *testing.T) {
			everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
				f := &script{ends: []error{errors.New(c.ends)}}
				b := breakerOf(t, holdfast.BreakerConfig{})
				p := policy(t, holdfast.PolicyConfig{
					Retry: holdfast.Retry{MaxRetries: 2}, Breaker: b,
					Classify: func(err error) holdfast.Outcome { return outcomes[err.Error()] },
				}, opts...)
				_, err := holdfast.Do(t.Context(), p, f.call)
				equal(t, "number of calls", len(f.calls), c.calls)
				equal(t, "failures counted", b.Stats().FailureCount, c.counted)
				if c.kind != nil {
					is(t, err, c.kind)
				} else {
					isNot(t, err, holdfast.ErrConnection, holdfast.ErrStatus, holdfast.ErrRateLimited)
				}
				equal(t, "outcome", attempts(t, err)[0].Outcome, outcomes[c.ends])
			})
		})
	}

	t.Run("an error with a method RetryAfter", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			f := &script{ends: []error{fmt.Errorf("wrapped: %w", throttled{}), nil}}
			p := policy(t, holdfast.PolicyConfig{Retry: noJitter}, opts...)
			_, err := holdfast.Do(t.Context(), p, f.call)
			if err != nil {
				t.Fatal(err)
			}
			if d := f.calls[1].Sub(f.calls[0]); d < 7*time.Second || d > 7700*time.Millisecond {
				t.Errorf("waited %v, want 7s and at most a tenth more", d)
			}
		})
	})

	t.Run("Any, Is and As", func(t *testing.T) {
		on := holdfast.Any(holdfast.Is(errDown), holdfast.As[throttled]())
		for err, want := range map[error]bool{
			fmt.Errorf("x: %w", errDown): true, throttled{}: true, errors.New("else"): false,
		} {
			equal(t, "match of "+err.Error(), on(err), want)
		}
	})
}

// Classify can return Canceled although the caller has not canceled: the error stays the
// cause.
func TestClassifiedAsCanceled(t *testing.T) {
	p := policy(t, holdfast.PolicyConfig{Classify: func(error) holdfast.Outcome { return holdfast.Canceled }})
	err := holdfast.Run(t.Context(), p, func(context.Context) error { return errDown })
	is(t, err, errDown, holdfast.ErrCanceled)
	if e := new(holdfast.Error); !errors.As(err, &e) || e.Err != errDown || !strings.HasSuffix(err.Error(), errDown.Error()) {
		t.Errorf("%v has the cause %v", err, e.Err)
	}
}

// The caller's context: a cancellation is never a timeout, and a deadline is one.
func TestTheCallersContext(t *testing.T) {
	hang := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	t.Run("deadline on the wire", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
			p := policy(t, holdfast.PolicyConfig{Breaker: b}, opts...)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := holdfast.Do(ctx, p, hang)
			is(t, err, holdfast.ErrTimeout, holdfast.ErrConnection, context.DeadlineExceeded)
			isNot(t, err, holdfast.ErrCanceled)
			equal(t, "number of attempts", len(attempts(t, err)), 1)
			// Otherwise no breaker would notice a service that hangs.
			equal(t, "state", b.State(), holdfast.Open)
			var limit *holdfast.TimeoutError
			if !errors.As(err, &limit) || limit.Phase != "deadline" {
				t.Errorf("the limit is %+v", limit)
			}
		})
	})
	t.Run("deadline during a backoff", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{BaseDelay: 5 * time.Second, Jitter: holdfast.NoJitter}}, opts...)
			f := &script{ends: []error{errDown}}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			_, err := holdfast.Do(ctx, p, f.call)
			is(t, err, errDown)
			// A wait that does not fit is not started.
			equal(t, "time taken", time.Since(start), 0)
			var e *holdfast.Error
			errors.As(err, &e)
			equal(t, "reason", e.Stopped, "a wait of 5s does not fit into the 3s that are left")
		})
	})
	t.Run("Total passes before a permit is free", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1})
			permit, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer permit.Release()
			_, err = holdfast.Do(t.Context(), policy(t, holdfast.PolicyConfig{Bulkhead: b, Total: time.Second}, opts...), hang)
			is(t, err, holdfast.ErrTimeout)
			var e *holdfast.Error
			errors.As(err, &e)
			equal(t, "reason", e.Stopped, "the limit of the whole call passed")
		})
	})
	t.Run("deadline before any attempt", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
			p := policy(t, holdfast.PolicyConfig{Breaker: b}, opts...)
			f := &script{ends: []error{nil}}
			ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			defer cancel()
			_, err := holdfast.Do(ctx, p, f.call)
			is(t, err, holdfast.ErrTimeout)
			equal(t, "number of calls", len(f.calls), 0)
			equal(t, "state", b.State(), holdfast.Closed)
		})
	})
	why := errors.New("the user went home")
	t.Run("cancel on the wire", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
			p := policy(t, holdfast.PolicyConfig{Breaker: b}, opts...)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(why) })
			_, err := holdfast.Do(ctx, p, hang)
			is(t, err, holdfast.ErrCanceled, context.Canceled, why)
			isNot(t, err, holdfast.ErrTimeout, holdfast.ErrConnection)
			equal(t, "state", b.State(), holdfast.Closed)
		})
	})
	t.Run("cancel, and an error of the function without the reason", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := holdfast.Do(ctx, policy(t, holdfast.PolicyConfig{}, opts...), func(context.Context) (int, error) {
				cancel(why)
				return 0, errDown
			})
			is(t, err, holdfast.ErrCanceled, why, errDown)
		})
	})
	t.Run("deadline with a cause", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), -1, why)
			defer cancel()
			_, err := holdfast.Do(ctx, policy(t, holdfast.PolicyConfig{}, opts...), (&script{ends: []error{nil}}).call)
			is(t, err, holdfast.ErrTimeout, context.DeadlineExceeded, why)
		})
	})
	t.Run("cancel during a backoff", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second})
			p := policy(t, holdfast.PolicyConfig{Breaker: b, Retry: holdfast.Retry{BaseDelay: 5 * time.Second, Jitter: holdfast.NoJitter}}, opts...)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(why) })
			f := &script{ends: []error{errDown}}
			_, err := holdfast.Do(ctx, p, f.call)
			// The error has the cancellation and the last failure.
			is(t, err, holdfast.ErrCanceled, why, errDown)
			// The verdict is that of the last attempt.
			equal(t, "failures", b.Stats().FailureCount, 1)
		})
	})
}

func TestAttemptTimeout(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		p := policy(t, holdfast.PolicyConfig{
			Name: "slow", AttemptTimeout: 2 * time.Second,
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Second, Jitter: holdfast.NoJitter},
		}, opts...)
		var contexts []context.Context
		start := time.Now()
		_, err := holdfast.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			contexts = append(contexts, ctx)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		is(t, err, holdfast.ErrTimeout, context.DeadlineExceeded)
		equal(t, "time taken", time.Since(start), 5*time.Second)
		if len(contexts) != 2 || contexts[0] == contexts[1] {
			t.Errorf("the attempts' contexts are %v", contexts)
		}
		equal(t, "the error", err.Error(), "holdfast: slow: timed out after 2 attempts in 5s: attempt timeout of 2s")
	})
	t.Run("without a matching filter is not repeated, and counts", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			b := breakerOf(t, holdfast.BreakerConfig{})
			p := policy(t, holdfast.PolicyConfig{
				AttemptTimeout: time.Second, Breaker: b, Retry: holdfast.Retry{On: holdfast.Is(errDown)},
			}, opts...)
			_, err := holdfast.Do(t.Context(), p, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
			equal(t, "number of attempts", len(attempts(t, err)), 1)
			equal(t, "failures", b.Stats().FailureCount, 1)
		})
	})
	t.Run("ends with the attempt", func(t *testing.T) {
		everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
			p := policy(t, holdfast.PolicyConfig{}, opts...)
			ctx, err := holdfast.Do(t.Context(), p, func(ctx context.Context) (context.Context, error) {
				if ctx.Err() != nil {
					t.Error("the context has ended before its attempt")
				}
				return ctx, nil
			})
			if err != nil || ctx.Err() != context.Canceled {
				t.Errorf("after the attempt the context's error is %v", ctx.Err())
			}
		})
	})
}

// A half-open breaker waits for a probe as long as the operation may take.
func TestLimitOfAProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 1})
		p := policy(t, holdfast.PolicyConfig{Total: 5 * time.Second, Breaker: b})
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		time.Sleep(time.Second)
		_, err := holdfast.Do(t.Context(), p, func(context.Context) (int, error) {
			time.Sleep(5 * time.Second) // ignores its context
			if _, err := b.Acquire(); err == nil {
				t.Error("another probe was admitted before the first one expired")
			}
			time.Sleep(time.Second)
			other, err := b.Acquire()
			if err != nil {
				t.Errorf("no probe was admitted after the lost one expired: %v", err)
			}
			other.Done(holdfast.Canceled)
			return 1, nil
		})
		if err != nil {
			t.Error(err)
		}
		equal(t, "state after a late verdict", b.State(), holdfast.HalfOpen)
	})
}

// A wait for a permit that reaches Total or the caller's deadline is a timeout.
func TestTotalBoundsTheWaitForAPermit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1})
		taken, _ := bulkhead.TryAcquire()
		defer taken.Release()
		p := policy(t, holdfast.PolicyConfig{Total: time.Second, Bulkhead: bulkhead})
		start := time.Now()
		_, err := holdfast.Do(t.Context(), p, (&script{ends: []error{nil}}).call)
		is(t, err, holdfast.ErrTimeout)
		isNot(t, err, holdfast.ErrPoolTimeout)
		equal(t, "time taken", time.Since(start), time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		_, err = holdfast.Do(ctx, p, (&script{ends: []error{nil}}).call)
		is(t, err, holdfast.ErrTimeout)
		equal(t, "waiting", bulkhead.Waiting(), 0)
	})
}

func TestTotal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := policy(t, holdfast.PolicyConfig{Name: "bounded", Total: 3 * time.Second})
		start := time.Now()
		_, err := holdfast.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		is(t, err, holdfast.ErrTimeout)
		equal(t, "time taken", time.Since(start), 3*time.Second)
		equal(t, "the error", err.Error(), "holdfast: bounded: timed out after 1 attempt in 3s: total timeout of 3s")
	})
}

// Panics and Goexit pass through, and all permits are returned.
func TestPanicAndGoexit(t *testing.T) {
	for name, act := range map[string]func(){
		"panic":  func() { panic("a bug of the caller's") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
				b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second, HalfOpenMaxCalls: 1})
				bulkhead, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1})
				if err != nil {
					t.Fatal(err)
				}
				p := policy(t, holdfast.PolicyConfig{Breaker: b, Bulkhead: bulkhead}, opts...)
				for _, state := range []holdfast.State{holdfast.Closed, holdfast.HalfOpen} {
					done, recovered := make(chan struct{}), any(nil)
					go func() {
						defer close(done)
						defer func() { recovered = recover() }()
						_, _ = holdfast.Do(t.Context(), p, func(context.Context) (int, error) {
							act()
							return 0, nil
						})
					}()
					<-done
					if name == "panic" && recovered != "a bug of the caller's" {
						t.Errorf("recovered %v", recovered)
					}
					equal(t, "permits in use", bulkhead.InUse(), 0)
					equal(t, "state", b.State(), state)
					if state == holdfast.Closed { // then the same with a probe
						permit, _ := b.Acquire()
						permit.Done(holdfast.Transient)
						time.Sleep(time.Second)
					}
				}
				// The probe was returned, so the next one closes the breaker.
				if _, err := holdfast.Do(t.Context(), p, (&script{ends: []error{nil}}).call); err != nil {
					t.Error(err)
				}
				equal(t, "state", b.State(), holdfast.Closed)
			})
		})
	}
}

// Requirement B7: the defaults.
func TestPolicyDefaults(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		f := &script{ends: []error{errDown}}
		_, err := holdfast.Do(t.Context(), policy(t, holdfast.PolicyConfig{Retry: noJitter}, opts...), f.call)
		if !strings.HasPrefix(err.Error(), "holdfast: operation: failed after 4 attempts") {
			t.Errorf("three retries of an operation: %v", err)
		}
		equal(t, "the first delay", f.calls[1].Sub(f.calls[0]), 500*time.Millisecond)

		f = &script{ends: []error{errDown}}
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 6, Jitter: holdfast.NoJitter}}, opts...)
		_, _ = holdfast.Do(t.Context(), p, f.call)
		equal(t, "the longest delay", f.calls[6].Sub(f.calls[5]), 10*time.Second) // and not 16s

		// Every error is repeated, except after the caller's cancellation.
		f = &script{ends: []error{context.Canceled, io.EOF, nil}}
		_, err = holdfast.Do(t.Context(), policy(t, holdfast.PolicyConfig{}, opts...), f.call)
		if err != nil || len(f.calls) != 3 {
			t.Errorf("%d calls, %v", len(f.calls), err)
		}
	})
}

// Off, for each field that has it.
func TestPolicyOff(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		do := func(cfg holdfast.PolicyConfig, ends ...error) (calls int, took time.Duration) {
			f := &script{ends: ends}
			start := time.Now()
			_, _ = holdfast.Do(t.Context(), policy(t, cfg, opts...), f.call)
			return len(f.calls), time.Since(start)
		}
		calls, _ := do(holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, errDown)
		equal(t, "calls without retries", calls, 1)

		calls, took := do(holdfast.PolicyConfig{Retry: holdfast.Retry{BaseDelay: holdfast.Off}}, errDown)
		equal(t, "calls without a backoff", calls, 4)
		equal(t, "their time", took, 0)

		asks := holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter}
		_, took = do(holdfast.PolicyConfig{Retry: asks}, throttled{}, nil)
		if took < 7*time.Second {
			t.Errorf("asked for 7s, waited %v", took)
		}
		asks.MaxRetryAfter = holdfast.Off
		_, took = do(holdfast.PolicyConfig{Retry: asks}, throttled{}, nil)
		equal(t, "the wait without Retry-After", took, 500*time.Millisecond)

		for _, cfg := range []holdfast.PolicyConfig{{AttemptTimeout: holdfast.Off}, {Total: holdfast.Off}} {
			_, _ = holdfast.Do(t.Context(), policy(t, cfg, opts...), func(ctx context.Context) (int, error) {
				if deadline, ok := ctx.Deadline(); ok {
					t.Errorf("%+v: the attempt has a deadline, %v", cfg, deadline)
				}
				return 1, nil
			})
		}
		bulkhead, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 1, MaxWait: holdfast.Off})
		if err != nil {
			t.Fatal(err)
		}
		permit, _ := bulkhead.TryAcquire()
		time.AfterFunc(time.Hour, permit.Release)
		calls, took = do(holdfast.PolicyConfig{Bulkhead: bulkhead}, nil)
		equal(t, "calls without a limit for the wait", calls, 1)
		equal(t, "its wait", took, time.Hour)
	})
}

// A breaker and a bulkhead are shared by calls with different results.
func TestPartsAreSharedAcrossResultTypes(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 2})
		bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off})
		once := holdfast.Retry{MaxRetries: holdfast.Off}
		number := policy(t, holdfast.PolicyConfig{Name: "count", Retry: once, Breaker: b, Bulkhead: bulkhead}, opts...)
		text := policy(t, holdfast.PolicyConfig{Name: "read", Retry: once, Breaker: b, Bulkhead: bulkhead}, opts...)

		_, err := holdfast.Do(t.Context(), number, func(ctx context.Context) (int, error) {
			_, err := holdfast.Do(ctx, text, func(context.Context) (string, error) { return "", nil })
			is(t, err, holdfast.ErrPoolTimeout) // the only permit is in use
			return 1, nil
		})
		if err != nil {
			t.Error(err)
		}
		_, _ = holdfast.Do(t.Context(), number, func(context.Context) (int, error) { return 0, errDown })
		_, _ = holdfast.Do(t.Context(), text, func(context.Context) (string, error) { return "", errDown })
		equal(t, "state after a failure of each", b.State(), holdfast.Open)
		for _, err := range []error{
			call(t, number, 1), call(t, text, "x"), call(t, text, []string{"x"}), // so is a policy
		} {
			is(t, err, holdfast.ErrCircuitOpen)
		}
	})
}

// call is an operation that would succeed.
func call[T any](t *testing.T, p *holdfast.Policy, out T) error {
	_, err := holdfast.Do(t.Context(), p, func(context.Context) (T, error) { return out, nil })
	return err
}

func TestNestedPoliciesMultiply(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 2}}, opts...)
		f := &script{ends: []error{errDown}}
		_, err := holdfast.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			return holdfast.Do(ctx, p, f.call)
		})
		is(t, err, errDown)
		equal(t, "number of calls", len(f.calls), 9)
	})
}

func TestWrap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		double := holdfast.Wrap(policy(t, holdfast.PolicyConfig{}), func(_ context.Context, n int) (int, error) {
			if calls++; calls < 3 {
				return 0, errDown
			}
			return 2 * n, nil
		})
		out, err := double(t.Context(), 21)
		if out != 42 || err != nil {
			t.Errorf("double(21) = %d, %v", out, err)
		}
	})
}

func TestPolicyWaitsForAPermit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := new(recorder)
		bulkhead, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 1, MaxWait: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		p := policy(t, holdfast.PolicyConfig{Name: "narrow", Bulkhead: bulkhead, Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
			holdfast.WithObserver(seen))
		slow := func(context.Context) (int, error) {
			time.Sleep(2500 * time.Millisecond)
			return 1, nil
		}
		first := make(chan error, 1)
		go func() {
			_, err := holdfast.Do(t.Context(), p, slow)
			first <- err
		}()
		time.Sleep(time.Second) // 1s: the permit is in use until 2.5s
		second := make(chan error, 1)
		go func() {
			_, err := holdfast.Do(t.Context(), p, slow)
			second <- err
		}()
		time.Sleep(time.Second / 2) // 1.5s: one call waits, and no other may
		_, err = holdfast.Do(t.Context(), p, slow)
		is(t, err, holdfast.ErrPoolTimeout)
		isNot(t, err, holdfast.ErrConnection) // it is not repeated
		equal(t, "attempts", len(attempts(t, err)), 0)

		if err := <-first; err != nil { // 2.5s: the second call, which waits since 1s, gets the permit
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
		equal(t, "waits", len(seen.all(holdfast.EventWaiting)), 2)
	})
}

func TestPolicyConfigProblems(t *testing.T) {
	_, err := holdfast.NewPolicy(holdfast.PolicyConfig{
		AttemptTimeout: -3 * time.Second,
		Retry:          holdfast.Retry{MaxRetries: 101, BaseDelay: -5 * time.Second, MaxDelay: holdfast.Off, On: holdfast.Is(errDown)},
		Classify:       func(error) holdfast.Outcome { return holdfast.Unknown },
	})
	want := `holdfast: PolicyConfig.Retry.MaxRetries is 101: must be at most 100
holdfast: PolicyConfig.Retry.BaseDelay is -5s: must be positive, zero for 500ms, or Off
holdfast: PolicyConfig.Retry.MaxDelay is -1ns (Off): must be positive or zero for 10s
holdfast: PolicyConfig.AttemptTimeout is -3s: must be positive, zero for none, or Off
holdfast: PolicyConfig.Retry.On is set beside Classify, which replaces it: set one of them`
	if err == nil || err.Error() != want {
		t.Errorf("the problems are\n%v\nwant\n%s", err, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustPolicy does not panic")
		}
	}()
	holdfast.MustPolicy(holdfast.PolicyConfig{Total: -7})
}

// The first attempt on the fast path without a limit is not timed: its start is zero,
// and so is its duration, as is the operation's without a retry.
func TestUntimedAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fail := func(context.Context) error {
			time.Sleep(time.Second)
			return errDown
		}
		for _, tt := range []struct {
			cfg   holdfast.PolicyConfig
			timed bool
		}{{holdfast.PolicyConfig{}, false}, {holdfast.PolicyConfig{AttemptTimeout: time.Minute}, true}, {holdfast.PolicyConfig{Total: time.Minute}, true}} {
			tt.cfg.Retry = holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off}
			var e *holdfast.Error
			if err := holdfast.Run(t.Context(), policy(t, tt.cfg), fail); !errors.As(err, &e) {
				t.Fatal(err)
			}
			first, second := e.Attempts[0], e.Attempts[1]
			equal(t, "the first attempt has a start", !first.Start.IsZero(), tt.timed)
			equal(t, "the first attempt has a duration", first.Took == time.Second, tt.timed)
			equal(t, "the second attempt has both", !second.Start.IsZero() && second.Took == time.Second, true)
			want := time.Second // since the first attempt ended
			if tt.timed {
				want = 2 * time.Second
			}
			equal(t, "the operation took", e.Took, want)
		}
	})
}

// A policy has a cooldown, as a client has: an error with a method RetryAfter, for which
// Classify returns Throttled, delays every call. Above MaxRetryAfter the calls fail.
// Retry.On starts none.
func TestPolicyCooldown(t *testing.T) {
	classify := func(error) holdfast.Outcome { return holdfast.Throttled }
	for _, c := range []struct {
		name   string
		cfg    holdfast.PolicyConfig
		waits  bool
		counts uint64 // operations that waited, or failed for it, of the two
		err    error
	}{
		{"classified as throttled", holdfast.PolicyConfig{Classify: classify}, true, 1, nil},
		{"longer than allowed", holdfast.PolicyConfig{Classify: classify, Retry: holdfast.Retry{MaxRetryAfter: time.Second}}, false, 1, holdfast.ErrCoolingDown},
		{"worth repeating", holdfast.PolicyConfig{Retry: holdfast.Retry{On: holdfast.As[throttled]()}}, false, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
				c.cfg.Retry.MaxRetries = holdfast.Off
				p := policy(t, c.cfg, opts...)
				start := time.Now()
				_ = holdfast.Run(t.Context(), p, func(context.Context) error { return throttled{} })
				time.Sleep(time.Second)
				if err := holdfast.Run(t.Context(), p, func(context.Context) error { return nil }); !errors.Is(err, c.err) {
					t.Errorf("%v, want %v", err, c.err)
				}
				if waited := time.Since(start) >= 7*time.Second; waited != c.waits {
					t.Errorf("the next call began after %v", time.Since(start))
				}
				equal(t, "cooldowns", p.Stats().Cooldowns, c.counts)
			})
		})
	}
}

// The allocations of a call that succeeds.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	closed, open := breakerOf(t, holdfast.BreakerConfig{}), breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
	_ = open.Do(ctx, func(context.Context) error { return errDown })
	bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{})
	retry := holdfast.MustPolicy(holdfast.PolicyConfig{})
	all := holdfast.MustPolicy(holdfast.PolicyConfig{AttemptTimeout: time.Second, Breaker: closed, Bulkhead: bulkhead})
	logged := holdfast.MustPolicy(holdfast.PolicyConfig{AttemptTimeout: time.Second, Breaker: closed, Bulkhead: bulkhead},
		holdfast.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))) // at INFO
	noop := func(context.Context) (int, error) { return 1, nil }
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"closed breaker", 0, func() { p, _ := closed.Acquire(); p.Done(holdfast.Success) }},
		{"open breaker", 0, func() { _, _ = open.Acquire() }},
		{"free permit", 0, func() { p, _ := bulkhead.Acquire(ctx); p.Release() }},
		{"retry", 1, func() { _, _ = holdfast.Do(ctx, retry, noop) }},
		{"breaker, retry, bulkhead, attempt timeout", 2, func() { _, _ = holdfast.Do(ctx, all, noop) }},
		{"the same with a logger at INFO", testing.AllocsPerRun(1000, func() { _, _ = holdfast.Do(ctx, all, noop) }),
			func() { _, _ = holdfast.Do(ctx, logged, noop) }},
	} {
		if got := testing.AllocsPerRun(1000, c.f); got > c.most {
			t.Errorf("%s: %v allocations, at most %v", c.name, got, c.most)
		}
	}
	// An operation through call.Run is one allocation of 400 bytes.
	bare := bytesPerRun(func() { _, _ = holdfast.Do(ctx, all, noop) })
	if got := bytesPerRun(func() { _, _ = holdfast.Do(ctx, logged, noop) }); got > bare+100 {
		t.Errorf("with a logger at INFO: %d bytes, without it %d", got, bare)
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
