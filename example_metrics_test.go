package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
)

// tally is a small Metrics: it prints what it records.
type tally struct{}

func (tally) Recorder(of holdfast.Measured) holdfast.Recorder { return tally{} }

func (tally) Succeeded(_ context.Context, s holdfast.Succeeded) {
	fmt.Println("succeeded, attempts:", s.Attempts, "at once:", s.Took < time.Minute)
}

func (tally) Observe(_ context.Context, e holdfast.Event) {
	switch e.Kind {
	case holdfast.EventAttemptDone:
		fmt.Println("attempt failed:", e.Outcome)
	case holdfast.EventFailed:
		fmt.Println("failed:", e.Reason)
	}
}

// Package promholdfast has a Metrics for Prometheus. Your own needs two methods.
func ExampleWithMetrics() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name: "orders", Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off},
	}, holdfast.WithMetrics(tally{}))
	_ = holdfast.Run(ctx, policy, func(context.Context) error { return nil })
	_ = holdfast.Run(ctx, policy, func(context.Context) error { return errors.New("connection reset") })
	// Output:
	// succeeded, attempts: 1 at once: true
	// attempt failed: transient
	// attempt failed: transient
	// failed: exhausted
}
