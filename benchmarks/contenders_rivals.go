package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"
)

// modules names the modules behind the contenders, for their versions.
var modules = []struct{ name, path string }{
	{"gobreaker", "github.com/sony/gobreaker/v2"},
	{"backoff", "github.com/cenkalti/backoff/v5"},
	{"x/sync", "golang.org/x/sync"},
	{"failsafe-go", "github.com/failsafe-go/failsafe-go"},
	{"go-resiliency", "github.com/eapache/go-resiliency"},
	{"avast/retry-go", "github.com/avast/retry-go/v5"},
	{"hystrix-go", "github.com/afex/hystrix-go"},
	{"go-retryablehttp", "github.com/hashicorp/go-retryablehttp"},
	{"resty", "resty.dev/v3"},
	{"heimdall", "github.com/gojek/heimdall/v7"},
}

var errAdmitted = errors.New("an open breaker admitted a call")

// Execute and not TwoStepCircuitBreaker, whose Allow allocates a closure.
var gobreakerClosed = contender{name: "gobreaker", rig: func(do work) func(int) error {
	b := newGobreaker()
	call := func() (int, error) { return do(context.Background()) }
	return func(n int) error {
		for range n {
			if _, err := b.Execute(call); err != nil {
				return err
			}
		}
		return nil
	}
}}

var gobreakerOpen = contender{name: "gobreaker", rig: func(do work) func(int) error {
	b := newGobreaker()
	for range threshold {
		_, _ = b.Execute(func() (int, error) { return 0, errors.New("down") })
	}
	call := func() (int, error) { return do(context.Background()) }
	return func(n int) error {
		for range n {
			if _, err := b.Execute(call); err != gobreaker.ErrOpenState {
				return errAdmitted
			}
		}
		return nil
	}
}}

func newGobreaker() *gobreaker.CircuitBreaker[int] {
	return gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Timeout:     openTimeout,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= threshold },
	})
}

var semaphoreFree = contender{name: "x/sync semaphore", rig: func(do work) func(int) error {
	sem := semaphore.NewWeighted(slots)
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if err := sem.Acquire(ctx, 1); err != nil {
				return err
			}
			_, err := do(ctx)
			sem.Release(1)
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

// semaphoreTimed limits the wait, which takes a context; only those who wait pay
// for it.
var semaphoreTimed = contender{name: "x/sync semaphore and a deadline", rig: func(do work) func(int) error {
	sem := semaphore.NewWeighted(slots)
	ctx := context.Background()
	wait := func() error {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return sem.Acquire(limited, 1)
	}
	return func(n int) error {
		for range n {
			if !sem.TryAcquire(1) {
				if err := wait(); err != nil {
					return err
				}
			}
			_, err := do(ctx)
			sem.Release(1)
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

// The options are made once: they only carry numbers. The exponential backoff
// is not, as it keeps the state of one operation; Retry makes its own.
var backoffOptions = []backoff.RetryOption{backoff.WithMaxTries(retries + 1)}

var backoffRetry = contender{name: "backoff", rig: func(do work) func(int) error {
	return backoffCalls(do, backoffOptions...)
}}

var backoffAtOnce = contender{name: "backoff", rig: func(do work) func(int) error {
	return backoffCalls(do, backoff.WithMaxTries(retries+1), backoff.WithBackOff(new(backoff.ZeroBackOff)))
}}

func backoffCalls(do work, opts ...backoff.RetryOption) func(int) error {
	ctx := context.Background()
	call := func() (int, error) { return do(ctx) }
	return func(n int) error {
		for range n {
			if _, err := backoff.Retry(ctx, call, opts...); err != nil {
				return err
			}
		}
		return nil
	}
}

// assembledStack is what an engineer puts together from the best-known parts,
// in holdfast's order: one verdict per operation, a slot and a time limit per
// attempt.
var assembledStack = contender{name: "gobreaker+backoff+x/sync+context", rig: func(do work) func(int) error {
	b := newGobreaker()
	sem := semaphore.NewWeighted(slots)
	attempt := func(ctx context.Context) (int, error) {
		if err := sem.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer sem.Release(1)
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		return do(ctx)
	}
	call := func(ctx context.Context) (int, error) {
		return b.Execute(func() (int, error) {
			return backoff.Retry(ctx, func() (int, error) { return attempt(ctx) }, backoffOptions...)
		})
	}
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if _, err := call(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}}

// The permit API and not an executor, which costs ten times as much.
var failsafeBreaker = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	b := newFailsafeBreaker()
	return func(n int) error {
		for range n {
			if !b.TryAcquirePermit() {
				return circuitbreaker.ErrOpen
			}
			if _, err := do(context.Background()); err != nil {
				b.RecordFailure()
				return err
			}
			b.RecordSuccess()
		}
		return nil
	}
}}

var failsafeOpen = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	b := newFailsafeBreaker()
	b.Open()
	return func(n int) error {
		for range n {
			if b.TryAcquirePermit() {
				_, err := do(context.Background())
				return errors.Join(errAdmitted, err)
			}
		}
		return nil
	}
}}

func newFailsafeBreaker() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureThreshold(threshold).WithDelay(openTimeout).Build()
}

var failsafeBulkhead = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	b := bulkhead.New[int](slots)
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if err := b.AcquirePermit(ctx); err != nil {
				return err
			}
			_, err := do(ctx)
			b.ReleasePermit()
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

var failsafeRetry = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	return failsafeCalls(do, newFailsafeRetry())
}}

var failsafeAtOnce = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	return failsafeCalls(do, retrypolicy.NewBuilder[int]().WithMaxRetries(retries).Build())
}}

var failsafeStack = contender{name: "failsafe-go", rig: func(do work) func(int) error {
	return failsafeCalls(do,
		newFailsafeBreaker(),
		newFailsafeRetry(),
		bulkhead.NewBuilder[int](slots).WithMaxWaitTime(time.Minute).Build(),
		timeout.New[int](attemptTimeout))
}}

func newFailsafeRetry() retrypolicy.RetryPolicy[int] {
	return retrypolicy.NewBuilder[int]().WithMaxRetries(retries).WithBackoff(500*time.Millisecond, 10*time.Second).Build()
}

// failsafeCalls hands the caller's context over per call and gives the attempt's
// to the work, as holdfast.Do does.
func failsafeCalls(do work, policies ...failsafe.Policy[int]) func(int) error {
	executor := failsafe.With(policies...)
	call := func(e failsafe.Execution[int]) (int, error) { return do(e.Context()) }
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if _, err := executor.WithContext(ctx).GetWithExecution(call); err != nil {
				return fmt.Errorf("failsafe-go: %w", err)
			}
		}
		return nil
	}
}
