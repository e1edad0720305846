package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// cooldownWaiters is the most operations that wait out a cooldown at once, where no
// bulkhead's queue bounds them.
const cooldownWaiters = 1000

// shared is what the operations of one client or policy share.
type shared struct {
	engine.Engine
	name        string
	breaker     *Breaker  // nil is none
	bulkhead    *Bulkhead // nil is none
	observer    Observer  // nil is none
	instruments instruments
	counts      counters
}

func (s *shared) init(name string, all *options, b *Breaker, h *Bulkhead) {
	s.name, s.breaker, s.bulkhead, s.observer, s.instruments = name, b, h, all.observer(), all.instruments
	s.Cooldown, s.Listener = new(engine.Cooldown), listener(s.observer)
	s.Listener.All = s.Listener.All || s.instruments != nil
	if b != nil {
		s.Breaker = b.gate()
	}
	if h != nil {
		s.Bulkhead = h.handle
	}
}

// listener is an observer as the engine knows it: a logger wants nothing of an
// operation that goes well unless its DEBUG is enabled.
func listener(o Observer) engine.Listener {
	if l, ok := o.(*log); ok {
		return engine.Listener{Log: l.logger}
	}
	return engine.Listener{All: o != nil}
}

// operation is the record of one operation: the events that it tells, what is
// counted of it, and the attempts that its error lists.
type operation struct {
	engine.Operation
	shared *shared
	bad    *trouble // nil as long as all goes well
	ends   *ends    // nil without instruments

	// A policy's operation has neither.
	id      string
	request *http.Request
}

// ends are the instruments' functions for what is under way.
type ends struct {
	operation func(Event)
	attempts  map[*engine.Attempt]func(Event)
}

// trouble is what an error tells. An operation whose first attempt succeeds has
// none.
type trouble struct {
	failures []Attempt
	kind     error     // the last attempt's, among the Err variables
	why      judge.Why // why the last attempt must not be repeated
	rejected error     // why the next attempt was not made
}

func (o *operation) trouble() *trouble {
	if o.bad == nil {
		o.bad = new(trouble)
	}
	return o.bad
}

// last is the last attempt that failed, nil if none has.
func (o *operation) last() *Attempt {
	if o.bad == nil || len(o.bad.failures) == 0 {
		return nil
	}
	return &o.bad.failures[len(o.bad.failures)-1]
}

// The records of package engine.

func (o *operation) Waiting(now time.Time) { o.tell(Event{Kind: EventWaiting, Time: now}) }

func (o *operation) Acquired(now time.Time, waited time.Duration, queued bool) {
	if queued {
		o.shared.counts.waited(waited)
	}
	h := o.shared.bulkhead
	o.tell(Event{Kind: EventPermitAcquired, Time: now, Remaining: h.permits - h.InUse(), Duration: waited})
}

func (o *operation) Saturated() {
	o.trouble().rejected = ErrPoolTimeout
	o.shared.counts.poolTimeouts.Add(1)
}

func (o *operation) CoolingDown(now, until time.Time) {
	o.shared.counts.cooldowns.Add(1)
	o.tell(Event{Kind: EventCoolingDown, Time: now, Delay: until.Sub(now)})
}

func (o *operation) CooledOff(until time.Time) {
	o.shared.counts.cooldowns.Add(1)
	o.trouble().rejected = &RejectedError{Name: o.shared.name, RetryAt: until, kind: ErrRateLimited}
}

func (o *operation) Rejected(err error) { o.trouble().rejected = err }

// start begins attempt n in a. It returns what instruments give the attempt: the
// parent of its context, and more headers.
func (o *operation) start(a *engine.Attempt, n int, watch *lazyctx.Watch) (parent context.Context, added http.Header) {
	parent = o.Caller
	if o.ends != nil {
		at := AttemptStart{Operation: o.info(), Number: n, Of: o.Most(), Probe: o.Probe()}
		if o.request != nil {
			added = http.Header{}
			at.Header = added
		}
		parent, o.ends.attempts[a] = o.shared.instruments.startAttempt(parent, at)
	}
	o.Start(a, n, parent, watch)
	if o.Watched {
		o.tell(Event{Kind: EventAttempt, Time: a.Started, Attempt: a.Number, Of: o.Most(), Probe: a.Probe})
	}
	return parent, added
}

func (o *operation) Ended(a *engine.Attempt) {
	switch {
	case a.Outcome == Success && o.beganWith(a):
		o.shared.counts.together.Record(a.Took) // and end has nothing more to count
	default:
		o.shared.counts.attempt(a.Outcome, a.Took)
	}
	if a.Outcome != Success {
		bad := o.trouble()
		bad.failures = append(bad.failures, Attempt{
			Number: a.Number, Start: a.Started, Took: a.Took, Outcome: a.Outcome, Err: a.Err, Status: a.Status,
			Reused: a.Reused, Probe: a.Probe, Sent: a.Sent, RetryAfter: a.RetryAfter,
		})
		if bad.kind, bad.why = kindErrors[a.Kind], a.Why; a.Kind == judge.Timeout {
			o.shared.counts.timeouts.Add(1)
		}
	}
	if o.Watched {
		o.endAttempt(a, Event{
			Kind: EventAttemptDone, Time: a.Started.Add(a.Took), Attempt: a.Number, Of: o.Most(), Probe: a.Probe, Outcome: a.Outcome,
			Status: a.Status, Err: a.Err, Sent: a.Sent, RetryAfter: a.RetryAfter, RetryAt: a.RetryAt(), Duration: a.Took,
		})
	}
}

// Abandoned ends attempt and operation for the instruments; a panic tells no
// observer.
func (o *operation) Abandoned(a *engine.Attempt) {
	if o.ends == nil {
		return
	}
	now := o.Now()
	if end := o.ends.attempts[a]; end != nil {
		end(o.named(Event{Kind: EventAttemptDone, Time: now, Attempt: a.Number, Of: o.Most(), Probe: a.Probe}))
	}
	o.ends.operation(o.named(Event{Kind: EventFailed, Time: now, Attempt: a.Number, Of: o.Most()}))
}

// endAttempt tells the observer and the instruments.
func (o *operation) endAttempt(a *engine.Attempt, e Event) {
	o.tell(e)
	if o.ends == nil {
		return
	}
	if end := o.ends.attempts[a]; end != nil {
		delete(o.ends.attempts, a)
		end(o.named(e))
	}
}

func (o *operation) Retrying(now time.Time, _ *engine.Attempt, d retry.Decision) {
	failed := o.last()
	failed.Wait, failed.MaxWait = d.Wait, d.Most
	o.shared.counts.retries.Add(1)
	o.tell(Event{Kind: EventRetrying, Time: now, Attempt: failed.Number, Of: o.Most(), Err: failed.Err, Sent: failed.Sent, Delay: d.Wait})
}

// beganWith reports whether the operation began with attempt a, and so takes as
// long: nothing was waited for. Nearly all do.
func (o *operation) beganWith(a *engine.Attempt) bool { return o.Began == a.Started }

// info is what names the operation.
func (o *operation) info() Operation {
	op := Operation{Name: o.shared.name}
	if o.request != nil {
		op.RequestID, op.Method, op.Path = o.id, o.request.Method, o.request.URL.EscapedPath()
	}
	return op
}

// named is e with what names the operation.
func (o *operation) named(e Event) Event {
	op := o.info()
	e.Name, e.RequestID, e.Method, e.Path = op.Name, op.RequestID, op.Method, op.Path
	return e
}

// tell tells the observer, if there is one.
func (o *operation) tell(e Event) {
	if o.shared.observer != nil {
		o.shared.observer.Observe(o.Caller, o.named(e))
	}
}

// instrument starts the instruments, and returns the context that they give the
// operation.
func (o *operation) instrument(ctx context.Context) context.Context {
	if o.shared.instruments == nil {
		return ctx
	}
	o.ends = &ends{attempts: map[*engine.Attempt]func(Event){}}
	ctx, o.ends.operation = o.shared.instruments.startOperation(ctx, o.info())
	return ctx
}

// endOperation tells the observer and the instruments.
func (o *operation) endOperation(e Event) {
	o.tell(e)
	if o.ends != nil {
		o.ends.operation(o.named(e))
	}
}

// end counts and tells how the operation ended, and returns its error: nil for
// success.
func (o *operation) end(d retry.Decision) error {
	if d.Why == retry.Answered {
		a := o.Last()
		done := a.Started.Add(a.Took)
		took := since(o.Began, done)
		if !o.beganWith(a) {
			o.shared.counts.ended(true, o.Made, took)
		}
		if o.Watched {
			o.endOperation(Event{Kind: EventSucceeded, Time: done, Attempt: o.Made, Of: o.Most(), Outcome: Success, Duration: took})
		}
		return nil
	}
	now := o.Now()
	e := o.error(d, now)
	o.shared.counts.ended(false, o.Made, e.Took)
	sent := slices.ContainsFunc(o.trouble().failures, func(a Attempt) bool { return a.Sent })
	o.endOperation(Event{Kind: EventFailed, Time: now, Attempt: o.Made, Of: o.Most(), Err: e, Sent: sent, Duration: e.Took})
	return e
}

// describe is e with what names the operation.
func (o *operation) describe(e *Error) *Error {
	e.Name = o.shared.name
	if o.request != nil {
		e.Method, e.URL, e.RequestID = o.request.Method, wire.Shown(o.request.URL), o.id
	}
	return e
}

// error is the error of an operation that ended by d.
func (o *operation) error(d retry.Decision, now time.Time) *Error {
	bad := o.trouble()
	began := o.Began
	if began.IsZero() { // it was rejected at once
		began = now
	}
	var allowed time.Duration
	if deadline := o.Deadline(); !deadline.IsZero() {
		allowed = deadline.Sub(began)
	}
	if len(bad.failures) == 0 && d.Why == retry.BreakerOpened {
		e := o.describe(rejected(bad.rejected, allowed))
		e.Took = now.Sub(began)
		return e
	}
	e := o.describe(&Error{Attempts: bad.failures, Stopped: o.stopped(d, now), Took: now.Sub(began), Allowed: allowed, kind: bad.kind})
	if a := o.last(); a != nil {
		e.Err = a.Err
	}
	switch {
	case d.Why == retry.Ended:
		e.last = e.Err
		e.kind, e.Err = o.ended()
	case bad.kind == ErrCanceled && o.Caller.Err() != nil && !errors.Is(e.Err, context.Cause(o.Caller)): // the caller's reason must not be lost
		e.last, e.Err = e.Err, context.Cause(o.Caller)
	case len(bad.failures) == 0: // stopped before the first attempt
		e.Err, e.kind = bad.rejected, ErrRateLimited
		if d.Why == retry.NoPermit {
			e.kind = ErrPoolTimeout
		}
	}
	return e
}

// rejected is the error of an operation that the breaker did not let through:
// nothing was sent.
func rejected(err error, allowed time.Duration) *Error {
	return &Error{Stopped: "the circuit breaker is open", Allowed: allowed, Err: err, kind: ErrCircuitOpen}
}

// ended returns why the operation's context, or its own time, is over.
func (o *operation) ended() (kind, cause error) {
	switch theirs := o.Caller.Err(); {
	case o.Context.Err() == context.Canceled && theirs != context.Canceled: // a deadline passed later, or not at all
		return ErrClosed, ErrClosed
	case theirs != nil:
		return contextKindSince(o.Caller, o.Began, o.Now())
	}
	return ErrTimeout, &TimeoutError{Phase: "total", Limit: o.Rules.Total, After: since(o.Began, o.Now())}
}

// contextKind tells a caller's deadline from its cancellation, and keeps the
// cause that the caller gave.
func contextKind(ctx context.Context) (kind, cause error) {
	return contextKindSince(ctx, time.Time{}, time.Time{})
}

// contextKindSince is the same for an operation that began then.
func contextKindSince(ctx context.Context, began, now time.Time) (kind, cause error) {
	if ctx.Err() == context.DeadlineExceeded {
		if cause := context.Cause(ctx); cause != context.DeadlineExceeded {
			return ErrTimeout, cause
		}
		return ErrTimeout, &TimeoutError{Phase: "deadline", After: since(began, now)}
	}
	return ErrCanceled, context.Cause(ctx)
}

// since is the time from then to now; zero if then was not timed.
func since(then, now time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return now.Sub(then)
}

// stopped explains in words why there was no further attempt.
func (o *operation) stopped(d retry.Decision, now time.Time) string {
	switch d.Why {
	case retry.NotRepeatable:
		if why := o.trouble().why.String(); why != "" {
			return why
		}
	case retry.NoTime:
		wait := d.Wait
		if asked := o.last().RetryAfter; asked > 0 {
			wait = asked // without the part that jitter added
		}
		return fmt.Sprintf("a wait of %v does not fit into the %v that are left", rounded(wait), rounded(max(0, o.Deadline().Sub(now))))
	case retry.AskedTooMuch:
		return fmt.Sprintf("the service asked for %v, more than the %v that are allowed", rounded(d.Wait), rounded(o.Rules.Retry.MaxRetryAfter))
	}
	return d.Why.String()
}

// limitOf is a limit that ended an attempt, as errors tell it.
func limitOf(s engine.Struck) *TimeoutError {
	return &TimeoutError{Phase: s.Phase, Limit: s.Is, After: s.After}
}
