package guards

import (
	"context"

	"github.com/sony/gobreaker/v2"
)

// GobreakerClosed is a closed breaker of gobreaker. It uses Execute:
// TwoStepCircuitBreaker.Allow allocates a closure.
var GobreakerClosed = Guard{Name: "gobreaker", Rig: func(do Work) func(int) error {
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

// GobreakerOpen is an open breaker of gobreaker.
var GobreakerOpen = Guard{Name: "gobreaker", Rig: func(do Work) func(int) error {
	b := newGobreaker()
	for range Threshold {
		_, _ = b.Execute(func() (int, error) { return 0, errDown })
	}
	call := func() (int, error) { return do(context.Background()) }
	return func(n int) error {
		for range n {
			if _, err := b.Execute(call); err != gobreaker.ErrOpenState {
				return ErrAdmitted
			}
		}
		return nil
	}
}}

func newGobreaker() *gobreaker.CircuitBreaker[int] {
	return gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Timeout:     OpenTimeout,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= Threshold },
	})
}
