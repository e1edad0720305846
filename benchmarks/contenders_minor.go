package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/avast/retry-go/v5"
	"github.com/eapache/go-resiliency/breaker"
	"github.com/eapache/go-resiliency/deadline"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/eapache/go-resiliency/semaphore"
)

// Libraries that are shown without a bar.

// Its breaker takes no lock on success, and forgets failures after openTimeout.
var eapacheBreaker = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	b := breaker.New(threshold, 1, openTimeout)
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

var eapacheOpen = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	b := breaker.New(threshold, 1, openTimeout)
	for range threshold {
		_ = b.Run(func() error { return errDown })
	}
	call := func() error { _, err := do(context.Background()); return err }
	return func(n int) error {
		for range n {
			if err := b.Run(call); err != breaker.ErrBreakerOpen {
				return errors.Join(errAdmitted, err)
			}
		}
		return nil
	}
}}

var eapacheSemaphore = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	sem := semaphore.New(slots, time.Minute)
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

var eapacheRetry = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	return eapacheRetries(do, retrier.ExponentialBackoff(retries, 500*time.Millisecond))
}}

var eapacheAtOnce = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	return eapacheRetries(do, retrier.ConstantBackoff(retries, 0))
}}

func eapacheRetries(do work, waits []time.Duration) func(int) error {
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

// Its deadline gives the work a channel; a context is made of that, since the
// work wants one.
var eapacheStack = contender{name: "go-resiliency", rig: func(do work) func(int) error {
	b := breaker.New(threshold, 1, openTimeout)
	r := retrier.New(retrier.ExponentialBackoff(retries, 500*time.Millisecond), nil)
	sem := semaphore.New(slots, 2*time.Minute)
	limit := deadline.New(attemptTimeout)
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

var avastRetry = contender{name: "avast/retry-go", rig: func(do work) func(int) error {
	return avastCalls(do, retry.Delay(500*time.Millisecond))
}}

var avastAtOnce = contender{name: "avast/retry-go", rig: func(do work) func(int) error {
	return avastCalls(do, retry.Delay(0), retry.DelayType(retry.FixedDelay))
}}

// The retrier has the context and so is made for each call, as a caller has to
// whose context is its own.
func avastCalls(do work, opts ...retry.Option) func(int) error {
	opts = append(opts, retry.Attempts(retries+1), retry.LastErrorOnly(true))
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

// hystrix-go keeps its circuits by name for the whole process: breaker, bulkhead
// and limit of the attempt in one, and a few goroutines for each call.
var hystrixClosed = contender{name: "hystrix-go", rig: func(do work) func(int) error {
	name := newCircuit()
	call := func(ctx context.Context) error { _, err := do(ctx); return err }
	return func(n int) error {
		for range n {
			if err := hystrix.DoC(context.Background(), name, call, nil); err != nil {
				return err
			}
		}
		return nil
	}
}}

var hystrixOpen = contender{name: "hystrix-go", rig: func(do work) func(int) error {
	name := newCircuit()
	circuit, _, err := hystrix.GetCircuit(name)
	for err == nil && !circuit.IsOpen() { // it counts in the background
		_ = hystrix.DoC(context.Background(), name, func(context.Context) error { return errDown }, nil)
	}
	call := func(ctx context.Context) error { _, err := do(ctx); return err }
	return func(n int) error {
		for range n {
			if err := hystrix.DoC(context.Background(), name, call, nil); err != hystrix.ErrCircuitOpen {
				return errors.Join(errAdmitted, err)
			}
		}
		return nil
	}
}}

// It does not retry; go-resiliency's retrier does that for it.
var hystrixStack = contender{name: "hystrix-go+go-resiliency", rig: func(do work) func(int) error {
	name := newCircuit()
	r := retrier.New(retrier.ExponentialBackoff(retries, 500*time.Millisecond), nil)
	attempt := func(ctx context.Context) error { _, err := do(ctx); return err }
	call := func(ctx context.Context) error { return r.RunCtx(ctx, attempt) }
	return func(n int) error {
		for range n {
			if err := hystrix.DoC(context.Background(), name, call, nil); err != nil {
				return err
			}
		}
		return nil
	}
}}

var circuits atomic.Int64

// newCircuit has more slots than callers: a call of hystrix-go returns before its
// slot is free again.
func newCircuit() string {
	name := fmt.Sprintf("circuit %d", circuits.Add(1))
	hystrix.ConfigureCommand(name, hystrix.CommandConfig{
		Timeout:                int(attemptTimeout / time.Millisecond),
		MaxConcurrentRequests:  1000,
		RequestVolumeThreshold: threshold,
		SleepWindow:            int(openTimeout / time.Millisecond),
		ErrorPercentThreshold:  100,
	})
	return name
}
