package guards

import (
	"context"

	"github.com/cenkalti/backoff/v5"
)

// backoffOptions are shared, since they only carry numbers. Retry makes a new
// exponential backoff for each operation, since that holds the operation's state.
var backoffOptions = []backoff.RetryOption{backoff.WithMaxTries(Retries + 1)}

// BackoffRetry is Retry of cenkalti/backoff with its default backoff.
var BackoffRetry = Guard{Name: "backoff", Rig: func(do Work) func(int) error {
	return backoffCalls(do, backoffOptions...)
}}

// BackoffAtOnce retries without a wait.
var BackoffAtOnce = Guard{Name: "backoff", Rig: func(do Work) func(int) error {
	return backoffCalls(do, backoff.WithMaxTries(Retries+1), backoff.WithBackOff(new(backoff.ZeroBackOff)))
}}

func backoffCalls(do Work, opts ...backoff.RetryOption) func(int) error {
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
