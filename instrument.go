package holdfast

import (
	"context"
	"net/http"
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

// Operation is an operation that starts.
type Operation struct {
	Name         string // the client's or the policy's
	RequestID    string // empty for a policy, as are Method and Path
	Method, Path string
}

// AttemptStart is an attempt that starts.
type AttemptStart struct {
	Operation
	Number, Of int         // Number counts from 1; Of is the largest number possible
	Probe      bool        // the attempt is a probe of a half-open breaker
	Header     http.Header // empty; nil for a policy
}

// WithInstrument adds an instrument. Instruments start in the order in which they
// were added, and end in the reverse order.
func WithInstrument(i Instrument) Option {
	return func(all *options) { all.instruments = append(all.instruments, i) }
}

type instruments []Instrument

func (is instruments) startOperation(ctx context.Context, op Operation) (context.Context, func(Event)) {
	ends := make([]func(Event), len(is))
	for n, i := range is {
		next, end := i.StartOperation(ctx, op)
		ctx, ends[n] = followed(ctx, next), end
	}
	return ctx, inReverse(ends)
}

func (is instruments) startAttempt(ctx context.Context, at AttemptStart) (context.Context, func(Event)) {
	ends := make([]func(Event), len(is))
	for n, i := range is {
		next, end := i.StartAttempt(ctx, at)
		ctx, ends[n] = followed(ctx, next), end
	}
	return ctx, inReverse(ends)
}

// followed is next, or ctx if an instrument has returned nil.
func followed(ctx, next context.Context) context.Context {
	if next == nil {
		return ctx
	}
	return next
}

func inReverse(ends []func(Event)) func(Event) {
	return func(e Event) {
		for n := len(ends) - 1; n >= 0; n-- {
			if end := ends[n]; end != nil {
				end(e)
			}
		}
	}
}
