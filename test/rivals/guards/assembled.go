package guards

import (
	"context"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"
)

// AssembledStack combines gobreaker, backoff, the semaphore of golang.org/x/sync
// and a context in holdfast's order: one result per operation for the breaker, a
// permit and a timeout per attempt.
var AssembledStack = Guard{Name: "gobreaker+backoff+x/sync+context", Rig: func(do Work) func(int) error {
	b := newGobreaker()
	sem := semaphore.NewWeighted(Permits)
	attempt := func(ctx context.Context) (int, error) {
		if err := sem.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer sem.Release(1)
		ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
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
