package guards

import (
	"context"
	"errors"
	"time"

	"github.com/eapache/go-resiliency/breaker"
	"github.com/eapache/go-resiliency/deadline"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/eapache/go-resiliency/semaphore"
)

// ResiliencyBreaker is a closed breaker of go-resiliency. It takes no lock on
// success, and forgets failures after OpenTimeout.
var ResiliencyBreaker = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	b := breaker.New(Threshold, 1, OpenTimeout)
	call := func() error { _, err := do(context.Background()); return err }
	return func(n int) error {
		for range n {
			if err := b.Run(call); err != nil {
				return err
			}
		}
		return nil
	}
}}

// ResiliencyOpen is an open breaker of go-resiliency.
var ResiliencyOpen = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	b := breaker.New(Threshold, 1, OpenTimeout)
	for range Threshold {
		_ = b.Run(func() error { return errDown })
	}
	call := func() error { _, err := do(context.Background()); return err }
	return func(n int) error {
		for range n {
			if err := b.Run(call); err != breaker.ErrBreakerOpen {
				return errors.Join(ErrAdmitted, err)
			}
		}
		return nil
	}
}}

// ResiliencySemaphore is the semaphore of go-resiliency, with a limit for the wait.
var ResiliencySemaphore = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	sem := semaphore.New(Permits, time.Minute)
	return func(n int) error {
		for range n {
			if err := sem.Acquire(); err != nil {
				return err
			}
			_, err := do(context.Background())
			sem.Release()
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

// ResiliencyRetry is the retrier of go-resiliency with exponential backoff.
var ResiliencyRetry = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	return resiliencyRetries(do, retrier.ExponentialBackoff(Retries, 500*time.Millisecond))
}}

// ResiliencyAtOnce retries without a wait.
var ResiliencyAtOnce = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	return resiliencyRetries(do, retrier.ConstantBackoff(Retries, 0))
}}

func resiliencyRetries(do Work, waits []time.Duration) func(int) error {
	r := retrier.New(waits, nil)
	ctx := context.Background()
	call := func(ctx context.Context) error { _, err := do(ctx); return err }
	return func(n int) error {
		for range n {
			if err := r.RunCtx(ctx, call); err != nil {
				return err
			}
		}
		return nil
	}
}

// ResiliencyStack combines the breaker, retrier, semaphore and deadline of
// go-resiliency. The deadline passes a channel, of which stopped makes a context.
var ResiliencyStack = Guard{Name: "go-resiliency", Rig: func(do Work) func(int) error {
	b := breaker.New(Threshold, 1, OpenTimeout)
	r := retrier.New(retrier.ExponentialBackoff(Retries, 500*time.Millisecond), nil)
	sem := semaphore.New(Permits, 2*time.Minute)
	limit := deadline.New(AttemptTimeout)
	attempt := func(ctx context.Context) error {
		if err := sem.Acquire(); err != nil {
			return err
		}
		defer sem.Release()
		return limit.Run(func(stop <-chan struct{}) error {
			_, err := do(stopped{ctx, stop})
			return err
		})
	}
	call := func() error { return r.RunCtx(context.Background(), attempt) }
	return func(n int) error {
		for range n {
			if err := b.Run(call); err != nil {
				return err
			}
		}
		return nil
	}
}}

// stopped is a context that ends when a channel is closed.
type stopped struct {
	context.Context
	stop <-chan struct{}
}

func (s stopped) Done() <-chan struct{} { return s.stop }

func (s stopped) Err() error {
	select {
	case <-s.stop:
		return context.Canceled
	default:
		return nil
	}
}
