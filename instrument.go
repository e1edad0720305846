package holdfast

import (
	"context"
	"net/http"
)

// Instrument is told when an operation and each of its attempts start and end, and
// can change their contexts and headers: a tracer starts its spans here. An
// Observer is told more, and can change nothing.
//
// The methods and the functions that they return are called by many goroutines at
// once, never under a lock. The returned function is called once, when the
// operation or attempt has ended; it may be nil.
type Instrument interface {
	// StartOperation returns the context of the operation, which follows ctx, the
	// caller's. Its values reach the policy's function, or net/http. end gets
	// EventSucceeded or EventFailed. A body that the caller reads ends its operation
	// with the headers, a stream with its first line or event.
	StartOperation(ctx context.Context, op Operation) (_ context.Context, end func(Event))
	// StartAttempt does the same for one attempt; ctx is the operation's. end gets
	// EventAttemptDone. Headers that it adds to at.Header are sent with the attempt,
	// in the place of those with the same name, and not to another origin.
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
	Number, Of int         // counted from 1; Of is the most that there can be
	Probe      bool        // it is a half-open breaker's probe
	Header     http.Header // empty; nil for a policy
}

// WithInstrument adds an instrument. Instruments start in the order in which they
// were added, and end in the reverse order.
func WithInstrument(i Instrument) Option {
	return func(all *options) { all.instruments = append(all.instruments, i) }
}

// instruments starts several.
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
