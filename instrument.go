package holdfast

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/engine"
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

// AnswerInstrument is an Instrument that is also told when an answer has ended that the
// caller reads: of Client.Do, the SDK transport or Client.Stream.
type AnswerInstrument interface {
	Instrument
	// EndAnswer gets EventAnswerEnded, once for each attempt that has ended with
	// Event.Unread. ctx is the one of StartAttempt. It is called after the end of the
	// attempt, and before the end of the operation only if the answer is not the caller's
	// in the end. The answer's last reader, or the one that ended its context, calls it.
	EndAnswer(ctx context.Context, e Event)
}

// Operation describes an operation that starts.
type Operation struct {
	Name         string // the client's or the policy's
	RequestID    string // empty for a policy, as are Method and Path
	Method, Path string
	// URL is the address of the request, nil for a policy. It must not be changed. Its query
	// may have a credential: an instrument shows no value that it does not know.
	URL *url.URL
}

// AttemptStart describes an attempt that starts.
type AttemptStart struct {
	Operation
	Number, Of int  // Number counts from 1; Of is the largest number possible
	Probe      bool // the attempt is a probe of a half-open breaker
	// Header is empty, and nil for a policy. Do not keep it after StartAttempt has returned.
	Header http.Header
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

// answered are those that are told of the ends of answers.
func (is instruments) answered() (all []AnswerInstrument) {
	for _, i := range is {
		if i, ok := i.(AnswerInstrument); ok {
			all = append(all, i)
		}
	}
	return all
}

// start starts all instruments by one of their methods. One that returns no context leaves
// ctx as it is. end gets the function that ends them, nil for none: also those that have
// started before one that panics.
func (is instruments) start(ctx context.Context, end *func(Event), method func(Instrument, context.Context) (context.Context, func(Event))) context.Context {
	if len(is) == 1 { // without allocations
		next, only := method(is[0], ctx)
		if *end = only; next == nil {
			next = ctx
		}
		return next
	}
	started := make(endings, 0, len(is))
	*end = func(e Event) { started.call(e) }
	for _, i := range is {
		next, one := method(i, ctx)
		if one != nil {
			started = append(started, one)
		}
		if next != nil {
			ctx = next
		}
	}
	return ctx
}

// endings are functions that end instruments, in the order of their start.
type endings []func(Event)

// call calls the functions in the reverse order: all of them, also if one panics or calls
// Goexit.
func (es endings) call(e Event) {
	if last := len(es) - 1; last >= 0 {
		defer es[:last].call(e)
		es[last](e)
	}
}

// ends are the functions that instruments returned, until they are called, and the answer
// that they wait for.
type ends struct {
	operation func(Event)
	attempt   *engine.Attempt // the latest
	ofAttempt func(Event)

	proto  string                   // of the answer of the latest attempt
	stream bool                     // it is one of Client.Stream, and has begun
	left   *liveBody                // the latest attempt's, if the caller reads it
	unread atomic.Pointer[liveBody] // the same, from the end of the attempt to that of the answer
}

func (es *ends) endAttempt(a *engine.Attempt, e Event) {
	if es.attempt != a {
		return
	}
	end := es.ofAttempt
	es.attempt, es.ofAttempt = nil, nil
	if end != nil {
		end(e)
	}
}

func (es *ends) endOperation(e Event) {
	if end := es.operation; end != nil {
		es.operation = nil
		end(e)
	}
}

// tried notes for instruments what an attempt has left to its caller.
func (o *clientCall) tried(a *clientAttempt) {
	if a.HandedOver() && len(o.shared.answered) > 0 && a.live.ReadCloser != http.NoBody {
		o.awaited().left = &a.live
	}
	if o.ends != nil {
		_, stream := o.receiver.(streamReceiver)
		o.ends.stream = stream && a.Outcome == Success
	}
}

// awaits reports whether the end of an answer follows that of the latest attempt.
func (es *ends) awaits() bool {
	if es.left != nil {
		es.unread.Store(es.left)
		es.left = nil
		return true
	}
	return false
}

// tell tells the instruments how the answer ended, once, and the recorder if it was a
// stream.
func (b *liveBody) tell(o Outcome, class Class, err error) {
	es, r := b.a.call.ends, b.a.call.shared.recorder
	told := es != nil && es.unread.CompareAndSwap(b, nil)
	recorded := r != nil && b.stream && !b.recorded.Swap(true)
	if !told && !recorded {
		return
	}
	op, now := &b.a.call.operation, b.a.call.Now()
	e := op.named(Event{
		Kind: EventAnswerEnded, Time: now, Attempt: b.a.Number, Of: op.Most(), Outcome: o, Class: class, Err: err,
		Status: int(b.status), Sent: true, Duration: since(op.Began, now), Stream: b.stream,
	})
	if recorded {
		r.Observe(op.Caller, e)
	}
	if told {
		tellAll(b.a.Parent(), b.a.call.shared.answered, e)
	}
}

// tellAll calls the instruments in the reverse order, as endings.call does.
func tellAll(ctx context.Context, all []AnswerInstrument, e Event) {
	if last := len(all) - 1; last >= 0 {
		defer tellAll(ctx, all[:last], e)
		all[last].EndAnswer(ctx, e)
	}
}
