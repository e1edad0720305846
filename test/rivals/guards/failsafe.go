package guards

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

// FailsafeBreaker is a closed breaker of failsafe-go. It uses the permits of the
// breaker: an executor takes ten times as long.
var FailsafeBreaker = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
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

// FailsafeOpen is an open breaker of failsafe-go.
var FailsafeOpen = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
	b := newFailsafeBreaker()
	b.Open()
	return func(n int) error {
		for range n {
			if b.TryAcquirePermit() {
				_, err := do(context.Background())
				return errors.Join(ErrAdmitted, err)
			}
		}
		return nil
	}
}}

func newFailsafeBreaker() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureThreshold(Threshold).WithDelay(OpenTimeout).Build()
}

// FailsafeBulkhead is the bulkhead of failsafe-go, without a limit for the wait.
var FailsafeBulkhead = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
	b := bulkhead.New[int](Permits)
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

// FailsafeRetry is the retry policy of failsafe-go with exponential backoff.
var FailsafeRetry = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
	return failsafeCalls(do, newFailsafeRetry())
}}

// FailsafeAtOnce retries without a wait.
var FailsafeAtOnce = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
	return failsafeCalls(do, retrypolicy.NewBuilder[int]().WithMaxRetries(Retries).Build())
}}

// FailsafeStack combines the breaker, retries, bulkhead and timeout of failsafe-go.
var FailsafeStack = Guard{Name: "failsafe-go", Rig: func(do Work) func(int) error {
	return failsafeCalls(do,
		newFailsafeBreaker(),
		newFailsafeRetry(),
		bulkhead.NewBuilder[int](Permits).WithMaxWaitTime(time.Minute).Build(),
		timeout.New[int](AttemptTimeout))
}}

func newFailsafeRetry() retrypolicy.RetryPolicy[int] {
	return retrypolicy.NewBuilder[int]().WithMaxRetries(Retries).WithBackoff(500*time.Millisecond, 10*time.Second).Build()
}

// failsafeCalls passes the caller's context to each call and the attempt's
// context to the work, as holdfast.Do does.
func failsafeCalls(do Work, policies ...failsafe.Policy[int]) func(int) error {
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
