package guards

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/eapache/go-resiliency/retrier"
)

// HystrixClosed is a closed circuit of hystrix-go: breaker, bulkhead and attempt
// timeout in one, kept by name for the whole process. Each call starts goroutines.
var HystrixClosed = Guard{Name: "hystrix-go", Rig: func(do Work) func(int) error {
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

// HystrixOpen is an open circuit of hystrix-go.
var HystrixOpen = Guard{Name: "hystrix-go", Rig: func(do Work) func(int) error {
	name := newCircuit()
	circuit, _, err := hystrix.GetCircuit(name)
	for err == nil && !circuit.IsOpen() { // hystrix-go counts in the background
		_ = hystrix.DoC(context.Background(), name, func(context.Context) error { return errDown }, nil)
	}
	call := func(ctx context.Context) error { _, err := do(ctx); return err }
	return func(n int) error {
		for range n {
			if err := hystrix.DoC(context.Background(), name, call, nil); err != hystrix.ErrCircuitOpen {
				return errors.Join(ErrAdmitted, err)
			}
		}
		return nil
	}
}}

// HystrixStack adds the retrier of go-resiliency to a circuit of hystrix-go, which
// does not retry.
var HystrixStack = Guard{Name: "hystrix-go+go-resiliency", Rig: func(do Work) func(int) error {
	name := newCircuit()
	r := retrier.New(retrier.ExponentialBackoff(Retries, 500*time.Millisecond), nil)
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

// newCircuit configures a circuit with more permits than callers, because a call
// of hystrix-go returns before its permit is free again.
func newCircuit() string {
	name := fmt.Sprintf("circuit %d", circuits.Add(1))
	hystrix.ConfigureCommand(name, hystrix.CommandConfig{
		Timeout:                int(AttemptTimeout / time.Millisecond),
		MaxConcurrentRequests:  1000,
		RequestVolumeThreshold: Threshold,
		SleepWindow:            int(OpenTimeout / time.Millisecond),
		ErrorPercentThreshold:  100,
	})
	return name
}
