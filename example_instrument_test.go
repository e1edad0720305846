package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast"
)

// spans is a small tracer: its spans are lines.
type spans struct{}

func (spans) StartOperation(ctx context.Context, op holdfast.Operation) (context.Context, func(holdfast.Event)) {
	fmt.Println("start", op.Name)
	return ctx, func(e holdfast.Event) { fmt.Println("end", op.Name, "after", e.Attempt, "attempts") }
}

func (spans) StartAttempt(ctx context.Context, at holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	if at.Header != nil { // a client's
		at.Header.Set("Traceparent", "00-…")
	}
	return ctx, func(e holdfast.Event) { fmt.Println("  attempt", at.Number, e.Outcome) }
}

// A tracer starts a span for each operation and each attempt.
func ExampleWithInstrument() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name: "orders", Retry: holdfast.Retry{BaseDelay: holdfast.Off},
	}, holdfast.WithInstrument(spans{}))
	tries := 0
	_ = holdfast.Run(ctx, policy, func(context.Context) error {
		if tries++; tries == 1 {
			return errors.New("connection reset")
		}
		return nil
	})
	// Output:
	// start orders
	//   attempt 1 transient
	//   attempt 2 success
	// end orders after 2 attempts
}
