package holdfast

import (
	"context"
	"time"
)

// Metrics makes a Recorder for each client, policy and breaker that has it by WithMetrics.
// Packages that export metrics implement it, such as promholdfast.
type Metrics interface {
	// Recorder is called once by New, NewPolicy and NewBreaker. nil is for no recorder.
	Recorder(of Measured) Recorder
}

// Measured is what a Recorder records: one of Client, Policy and Breaker is set. It is
// complete when its constructor returns, so a Metrics keeps it for later. To keep it by a
// weak pointer leaves it to the garbage collector when the program drops it.
type Measured struct {
	Name    string
	Client  *Client
	Policy  *Policy
	Breaker *Breaker
}

// Recorder records what one client, policy or breaker does. It is an Observer for which a
// call that succeeds costs next to nothing: it is one call of Succeeded, without events,
// and without another look at the clock.
//
// Many goroutines call the methods, and never under a lock. ctx is as in Observer.
type Recorder interface {
	// Succeeded is called at the end of an operation that succeeded, in the place of the
	// events EventAttemptDone of its last attempt and EventSucceeded. If the caller reads the
	// body, the operation ends with the headers.
	Succeeded(ctx context.Context, s Succeeded)
	// Observe gets the other events, but EventStarted, EventKeyGenerated, EventWaiting,
	// EventAttempt, EventProbe, and EventPermitAcquired without a wait. It also gets
	// EventAnswerEnded of a stream. It gets EventRejected only for Breaker.Do and
	// Breaker.Acquire: for a client or a policy, the operation's EventFailed tells it by its
	// Reason.
	Observer
}

// Succeeded is an operation that succeeded.
type Succeeded struct {
	Time     time.Time     // of the end
	Took     time.Duration // the operation, with all its attempts and waits
	LastTook time.Duration // the last attempt
	Attempts int
	Stream   bool // the answer is one of Client.Stream: it ended with its first line or event
}

// WithMetrics adds a Metrics. It does not replace an Observer or an Instrument.
func WithMetrics(m Metrics) Option {
	return func(all *options) {
		if m != nil {
			all.metrics = append(all.metrics, m)
		}
	}
}

// recorder makes the recorder of a client, a policy or a breaker, nil for none.
func (all *options) recorder(of Measured) Recorder {
	var rs recorders
	for _, m := range all.metrics {
		if r := m.Recorder(of); r != nil {
			rs = append(rs, r)
		}
	}
	switch len(rs) {
	case 0:
		return nil
	case 1:
		return rs[0]
	}
	return rs
}

type recorders []Recorder

func (rs recorders) Succeeded(ctx context.Context, s Succeeded) {
	for _, r := range rs {
		r.Succeeded(ctx, s)
	}
}

func (rs recorders) Observe(ctx context.Context, e Event) {
	for _, r := range rs {
		r.Observe(ctx, e)
	}
}

// record makes r the recorder. It is called before the first operation.
func (s *shared) record(r Recorder) {
	s.recorder = r
	s.Timed = s.Timed || r != nil
}

// isRecorded reports whether a Recorder gets the event of an operation.
func (e *Event) isRecorded() bool {
	switch e.Kind {
	case EventStarted, EventKeyGenerated, EventWaiting, EventAttempt, EventSucceeded:
		return false
	case EventPermitAcquired:
		return e.Duration > 0
	case EventAttemptDone:
		return e.Outcome != Success
	}
	return true
}

// succeeded records the success of the operation.
func (o *operation) succeeded(last time.Duration, done time.Time, took time.Duration, stream bool) {
	if r := o.shared.recorder; r != nil {
		r.Succeeded(o.Caller, Succeeded{Time: done, Took: took, LastTook: last, Attempts: int(o.Made), Stream: stream})
	}
}
