package guards

import (
	"context"
	"time"

	"github.com/avast/retry-go/v5"
)

// AvastRetry is avast/retry-go with its default backoff.
var AvastRetry = Guard{Name: "avast/retry-go", Rig: func(do Work) func(int) error {
	return avastCalls(do, retry.Delay(500*time.Millisecond))
}}

// AvastAtOnce retries without a wait.
var AvastAtOnce = Guard{Name: "avast/retry-go", Rig: func(do Work) func(int) error {
	return avastCalls(do, retry.Delay(0), retry.DelayType(retry.FixedDelay))
}}

// avastCalls makes a retrier for each call, because a retrier holds the context
// of one caller.
func avastCalls(do Work, opts ...retry.Option) func(int) error {
	opts = append(opts, retry.Attempts(Retries+1), retry.LastErrorOnly(true))
	ctx := context.Background()
	call := func() (int, error) { return do(ctx) }
	all := append([]retry.Option{retry.Context(ctx)}, opts...)
	return func(n int) error {
		for range n {
			if _, err := retry.NewWithData[int](all...).Do(call); err != nil {
				return err
			}
		}
		return nil
	}
}
