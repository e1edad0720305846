package holdfast

import (
	"context"
	"net/http"
	"slices"
)

// Instrument is called at the start and at the end of an operation and of each attempt,
// and can change their contexts and headers: a tracer starts its spans here. An
// Observer receives more events, and can change nothing.
//
// Many goroutines call the methods and the functions that they return, and never under
// a lock. The returned function is called once, at the end of the operation or the
// attempt. It may be nil.
type Instrument interface {
	// StartOperation returns the context of the operation, a child of ctx, the caller's.
	// Its values reach the policy's function, or net/http. end gets EventSucceeded or
	// EventFailed. If the caller reads the body, the operation ends with the headers; a
	// stream's operation ends with its first line or event.
	StartOperation(ctx context.Context, op Operation) (_ context.Context, end func(Event))
	// StartAttempt does the same for one attempt. ctx is the operation's. end gets
	// EventAttemptDone. Headers added to at.Header are sent with the attempt, in the
	// place of those with the same name, but not to another origin.
	StartAttempt(ctx context.Context, at AttemptStart) (_ context.Context, end func(Event))
}

// Operation describes an operation that starts.
type Operation struct {
	Name         string // the client's or the policy's
	RequestID    string // empty for a policy, as are Method and Path
	Method, Path string
}

// AttemptStart describes an attempt that starts.
type AttemptStart struct {
	Operation
	Number, Of int         // Number counts from 1; Of is the largest number possible
	Probe      bool        // the attempt is a probe of a half-open breaker
	Header     http.Header // empty; nil for a policy
}

// WithInstrument adds an instrument. Instruments start in the order in which they
// were added, and end in the reverse order.
func WithInstrument(i Instrument) Option {
	return func(all *options) {
		if i != nil {
			all.instruments = append(all.instruments, i)
		}
	}
}

type instruments []Instrument

// start starts all instruments by one of their methods. One that returns no context leaves
// ctx as it is.
func (is instruments) start(ctx context.Context, method func(Instrument, context.Context) (context.Context, func(Event))) (context.Context, func(Event)) {
	ends := make([]func(Event), len(is))
	for n, i := range is {
		next, end := method(i, ctx)
		if ends[n] = end; next != nil {
			ctx = next
		}
	}
	return ctx, func(e Event) {
		for _, end := range slices.Backward(ends) {
			if end != nil {
				end(e)
			}
		}
	}
}
