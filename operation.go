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

// cooldownWaiters is the largest number of operations that wait for the end of a cooldown
// if no queue of a bulkhead bounds them.
const cooldownWaiters = 1000

// shared is what the operations of one client or policy share.
type shared struct {
	engine.Engine
	name        string
	breaker     *Breaker  // nil for none
	bulkhead    *Bulkhead // nil for none
	observer    Observer  // nil for none
	recorder    Recorder  // nil for none
	instruments instruments
	answered    []AnswerInstrument // of instruments
	counts      counters
	window      window // of a client
}

func (s *shared) init(name string, all *options, retry Retry, b *Breaker, h *Bulkhead) {
	s.Name, s.name, s.breaker, s.bulkhead, s.observer, s.instruments = name, name, b, h, all.observer, all.instruments
	s.answered = all.instruments.answered()
	s.Cooldown = engine.NewCooldown(retry.MaxCooldown)
	if l, ok := s.observer.(*log); ok && s.instruments == nil {
		s.Listener.Log = l.logger // below DEBUG it has no event of an operation that succeeds
	} else {
		s.Listener.All = s.observer != nil || s.instruments != nil
	}
	if b != nil {
		s.Breaker = b.gate()
	}
	if h != nil {
		s.Bulkhead = h.handle
	}
}

// operation records one operation: it reports the events, counts, and keeps the failed
// attempts for the error.
type operation struct {
	engine.Operation
	shared      *shared
	lazyFailure *failure // nil until something fails
	ends        *ends    // nil until an instrument waits for an end

	// A policy's operation has neither.
	id      string
	request *http.Request
}

// failure has the parts of an operation's error.
type failure struct {
	attempts []Attempt
	kind     error     // of the last attempt
	why      judge.Why // the reason why the last attempt must not be repeated
	rejected error     // the reason why the next attempt was not made
}

// beforeTheEnd is the last error that tells more than that the operation's time was over,
// nil if there is none.
func (f *failure) beforeTheEnd() error {
	for _, a := range slices.Backward(f.attempts) {
		if !isOver(a.Err) {
			return a.Err
		}
	}
	return nil
}

// kept is the most bytes that an error keeps of declining answers, in all.
const kept = 64 << 10

// bound drops the beginnings of declining answers, the oldest first, until the error keeps
// no more than it may. A StatusError may be in use elsewhere, so that a copy is cut.
func (f *failure) bound() {
	left := kept
	for i := range slices.Backward(f.attempts) {
		a := &f.attempts[i]
		declined, ok := a.Err.(*StatusError)
		misled, redirected := a.Err.(*RedirectError)
		switch {
		case redirected:
			declined = misled.answer
		case !ok:
			continue
		}
		size := declined.size()
		if size > left {
			declined = declined.cut(left)
			if size = declined.size(); redirected {
				a.Err = &RedirectError{Hops: misled.Hops, Reason: misled.Reason, answer: declined}
			} else {
				a.Err = declined
			}
		}
		left -= size
	}
}

// instrument starts the instruments, and returns the context for the operation.
func (o *operation) instrument(ctx context.Context) context.Context {
	if o.shared.instruments == nil {
		return ctx
	}
	op, is := o.info(), o.shared.instruments
	method := func(i Instrument, ctx context.Context) (context.Context, func(Event)) {
		return i.StartOperation(ctx, op)
	}
	if len(is) > 1 {
		return is.start(ctx, &o.awaited().operation, method)
	}
	var end func(Event)
	if ctx = is.start(ctx, &end, method); end != nil {
		o.awaited().operation = end
	}
	return ctx
}

// awaited are the ends that instruments wait for.
func (o *operation) awaited() *ends {
	if o.ends == nil {
		o.ends = new(ends)
	}
	return o.ends
}

// start begins attempt n in a, and returns the headers that instruments add to it. watch
// is memory for the attempt's context; it may be nil.
func (o *operation) start(a *engine.Attempt, n int, watch *lazyctx.Watch) (added http.Header) {
	parent := o.Caller
	if o.shared.instruments != nil {
		at := AttemptStart{Operation: o.info(), Number: n, Of: o.Most(), Probe: o.Probe()}
		if o.request != nil {
			added = newAdded(n)
			at.Header = added
		}
		a.Number, a.Probe = at.Number, at.Probe // for the end, if an instrument panics
		is := o.shared.instruments
		method := func(i Instrument, ctx context.Context) (context.Context, func(Event)) { return i.StartAttempt(ctx, at) }
		if len(is) > 1 {
			es := o.awaited()
			es.attempt, es.proto = a, ""
			parent = is.start(parent, &es.ofAttempt, method)
		} else {
			var end func(Event)
			if parent = is.start(parent, &end, method); end != nil {
				es := o.awaited()
				es.attempt, es.ofAttempt, es.proto = a, end, ""
			}
		}
	}
	o.Start(a, n, parent, watch)
	if o.Watched {
		o.report(Event{Kind: EventAttempt, Time: a.Started, Attempt: a.Number, Of: o.Most(), Probe: a.Probe})
	}
	return added
}

// end counts and reports the end of the operation, and returns its error, nil for a
// success. stream: it is one of Client.Stream.
func (o *operation) end(d retry.Decision, stream bool) error {
	if d.Why == retry.Answered {
		a := o.Last()
		done := a.Started.Add(a.Took)
		took := since(o.Began, done)
		if !o.beganWith(a) {
			o.shared.counts.operation(true, int(o.Made), took)
		}
		if o.Watched {
			o.reportEnd(Event{Kind: EventSucceeded, Time: done, Attempt: int(o.Made), Of: o.Most(), Outcome: Success, Duration: took})
		}
		o.succeeded(a.Took, done, took, stream)
		return nil
	}
	now := o.Now()
	e := o.error(d, now)
	if o.Made == 0 {
		o.shared.window.began(now.UnixNano(), o.shared)
	}
	o.shared.counts.operation(false, int(o.Made), e.Took)
	sent := slices.ContainsFunc(e.Attempts, func(a Attempt) bool { return a.Sent })
	class := ClassNone // of the last attempt
	if a := o.lastFailed(); a != nil {
		class = a.Class
	}
	o.reportEnd(Event{Kind: EventFailed, Time: now, Attempt: int(o.Made), Of: o.Most(), Class: class, Err: e, Reason: e.Reason, Sent: sent, Duration: e.Took})
	return noted(o.Caller, e)
}

// beganWith reports whether the operation began with attempt a, and so takes as long:
// it waited for nothing.
func (o *operation) beganWith(a *engine.Attempt) bool { return o.Began == a.Started }

// error is the error of an operation that ended by d.
func (o *operation) error(d retry.Decision, now time.Time) *Error {
	f := o.failure()
	began := o.Began
	if began.IsZero() { // the breaker rejected it before the clock was read
		began = now
	}
	e := o.describe(&Error{Attempts: f.attempts, Stopped: o.stopped(d, now), Took: now.Sub(began), Queued: o.Queued, kind: f.kind})
	if deadline := o.Deadline(); !deadline.IsZero() {
		e.Allowed = deadline.Sub(began)
	}
	if a := o.lastFailed(); a != nil {
		e.Err = a.Err
	}
	switch {
	case d.Why == retry.Ended:
		e.last = e.Err
		e.kind, e.Err = o.ended()
	case f.kind == ErrCanceled && o.pastDeadline(now): // by http.Client.Timeout
		e.kind, e.Err = ErrTimeout, &TimeoutError{Phase: "deadline", After: now.Sub(began)}
	case f.kind == ErrCanceled && o.Caller.Err() != nil && !errors.Is(e.Err, context.Cause(o.Caller)): // the error has the caller's reason too
		e.last, e.Err = e.Err, context.Cause(o.Caller)
	case isOver(e.Err):
		e.last = f.beforeTheEnd()
	case d.Why == retry.NoTime:
		e.note = e.Stopped
	case len(f.attempts) > 0:
	case d.Why == retry.BreakerOpened:
		e.Err, e.kind = f.rejected, ErrCircuitOpen
	case d.Why == retry.NoPermit:
		e.Err, e.kind = f.rejected, ErrPoolTimeout
	default:
		e.Err, e.kind = f.rejected, ErrCoolingDown
	}
	e.Reason = o.reason(d, e.kind, now)
	return e
}

// describe adds the names of the operation to e.
func (o *operation) describe(e *Error) *Error {
	e.Name = o.shared.name
	if o.request != nil {
		e.Method, e.URL, e.RequestID = o.request.Method, wire.Shown(o.request.URL), o.id
	}
	return e
}

const breakerIsOpen = "the circuit breaker is open"

// stopped is Error.Stopped.
func (o *operation) stopped(d retry.Decision, now time.Time) string {
	switch d.Why {
	case retry.BreakerOpened:
		if o.Made == 0 {
			return breakerIsOpen
		}
	case retry.NotRepeatable:
		switch why := o.failure().why; {
		case why == judge.UserForbids: // a failure that Retry.On does not match
			return retry.NotWorthRepeating.String()
		case why == judge.ServiceForbids:
			return "the service forbids a retry: x-should-retry: false"
		case why.String() != "":
			return why.String()
		}
	case retry.NoTime:
		wait := d.Wait
		if asked := o.lastFailed().RetryAfter; asked > 0 {
			wait = asked // without the jitter
		}
		left := o.Deadline().Sub(now)
		if left <= 0 {
			return "no time is left"
		}
		return fmt.Sprintf("a wait of %v does not fit into the %v that are left", rounded(wait), rounded(left))
	case retry.Ended:
		if kind, _ := o.ended(); kind == ErrClosed {
			return "the client was closed"
		}
		if o.Caller.Err() == nil {
			return "the limit of the whole call passed"
		}
	case retry.AskedTooMuch:
		return fmt.Sprintf("the service asked for %v, more than the %v that are allowed", rounded(d.Wait), rounded(o.Rules.Retry.MaxRetryAfter))
	}
	return d.Why.String()
}

// ended returns the reason why the operation's context, or its own time, is over.
func (o *operation) ended() (kind, cause error) {
	switch caller := o.Caller.Err(); {
	case o.Context.Err() == context.Canceled && caller != context.Canceled: // a deadline passed later, or not at all
		return ErrClosed, ErrClosed
	case caller != nil:
		return contextKind(o.Caller, since(o.Began, o.Now()))
	}
	return ErrTimeout, &TimeoutError{Phase: "total", Limit: o.Rules.Total, After: since(o.Began, o.Now())}
}

// pastDeadline reports whether the caller's deadline has passed, and the caller has not
// canceled before. The timer of the caller's context may be late.
func (o *operation) pastDeadline(now time.Time) bool {
	deadline, ok := o.Caller.Deadline()
	return ok && !now.Before(deadline) && o.Caller.Err() != context.Canceled
}

// contextKind returns the kind and the cause of the error for a caller's context that
// has ended: its deadline or its cancellation. after is the time until then, zero if it
// was not measured.
func contextKind(ctx context.Context, after time.Duration) (kind, cause error) {
	switch cause = context.Cause(ctx); {
	case ctx.Err() != context.DeadlineExceeded:
		return ErrCanceled, cause
	case cause == context.DeadlineExceeded:
		cause = &TimeoutError{Phase: "deadline", After: after}
	}
	return ErrTimeout, cause
}

// timeoutOf is the error of a limit that ended an attempt.
func timeoutOf(s engine.ReachedLimit) *TimeoutError {
	return &TimeoutError{Phase: s.Phase, Limit: s.Set, After: s.After}
}

// since is the time from then to now, zero if then was not measured.
func since(then, now time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return now.Sub(then)
}

func (o *operation) failure() *failure {
	if o.lazyFailure == nil {
		o.lazyFailure = new(failure)
	}
	return o.lazyFailure
}

// lastFailed is the last attempt that failed, nil if none has.
func (o *operation) lastFailed() *Attempt {
	if o.lazyFailure == nil || len(o.lazyFailure.attempts) == 0 {
		return nil
	}
	return &o.lazyFailure.attempts[len(o.lazyFailure.attempts)-1]
}

// info names the operation for instruments and events.
func (o *operation) info() Operation {
	op := Operation{Name: o.shared.name}
	if o.request != nil {
		op.RequestID, op.Method, op.Path, op.URL = o.id, o.request.Method, o.request.URL.EscapedPath(), o.request.URL
	}
	return op
}

// queued is how long attempts waited for permits.
func queued(attempts []Attempt) (sum time.Duration) {
	for i := range attempts {
		sum += attempts[i].Queued
	}
	return sum
}

// askedFrom is Attempt.RetryAfterFrom.
func askedFrom(a *engine.Attempt) string {
	if a.RetryAfter <= 0 {
		return ""
	}
	switch err := a.Err.(type) {
	case *StatusError:
		return err.askedFrom
	case *ProxyError:
		return "the proxy's retry-after"
	}
	return "RetryAfter of the error"
}

// named returns e with the names of the operation.
func (o *operation) named(e Event) Event {
	op := o.info()
	e.Name, e.RequestID, e.Method, e.Path = op.Name, op.RequestID, op.Method, op.Path
	return e
}

// report sends an event to the observer and to the recorder, if there are such.
func (o *operation) report(e Event) {
	s := o.shared
	recorded := s.recorder != nil && e.isRecorded()
	if s.observer == nil && !recorded {
		return
	}
	e = o.named(e)
	if s.observer != nil {
		s.observer.Observe(o.Caller, e)
	}
	if recorded {
		s.recorder.Observe(o.Caller, e)
	}
}

// reportEnd reports the end of the operation, to the instruments too.
func (o *operation) reportEnd(e Event) {
	o.report(e)
	if o.ends != nil {
		e.Breaker, e.Unread = o.breakerState(), o.ends.unread.Load() != nil
		o.ends.endOperation(o.named(e))
	}
}

// breakerState is the state of the breaker now.
func (o *operation) breakerState() string {
	b := o.Engine.Breaker.Breaker
	if b == nil {
		return StateOff
	}
	if _, closed := b.Load().Admit(); closed { // without a lock
		return StateClosed
	}
	return b.Stats(o.Now()).State.String()
}

// abandon ends what the instruments have started, after a panic or Goexit of the function,
// an observer or another instrument. Observers have no event of it. If all has ended,
// abandon does nothing.
func (o *operation) abandon() {
	if o.ends == nil {
		return
	}
	e := Event{Time: o.Now(), Kind: EventFailed, Attempt: int(o.Made)}
	if o.Schedule != nil { // it has begun
		e.Of = o.Most()
	}
	defer o.ends.endOperation(o.named(e))
	if a := o.ends.attempt; a != nil {
		e.Kind, e.Attempt, e.Probe = EventAttemptDone, a.Number, a.Probe
		o.ends.endAttempt(a, o.named(e))
	}
}

// The methods of engine.Records.

func (o *operation) Waiting(now time.Time) { o.report(Event{Kind: EventWaiting, Time: now}) }

func (o *operation) Acquired(now time.Time, waited time.Duration, queued bool) {
	if queued {
		o.shared.counts.waits.Add(1)
		o.shared.counts.waited.Add(int64(waited))
	}
	h := o.shared.bulkhead
	o.report(Event{Kind: EventPermitAcquired, Time: now, Remaining: h.permits - h.InUse(), Duration: waited})
}

func (o *operation) Saturated(full bool) {
	o.failure().rejected = ErrPoolTimeout
	if h := o.shared.bulkhead; full {
		o.failure().rejected = h.queueFull()
	}
	o.shared.counts.poolTimeouts.Add(1)
}

func (o *operation) CoolingDown(now, until time.Time) {
	o.shared.counts.cooldowns.Add(1)
	o.report(Event{Kind: EventCoolingDown, Time: now, Delay: until.Sub(now)})
}

func (o *operation) CooldownTooLong(until time.Time) {
	o.shared.counts.cooldowns.Add(1)
	o.failure().rejected = &RejectedError{Name: o.Engine.Name, RetryAt: until, kind: ErrCoolingDown}
}

func (o *operation) Rejected(err error) { o.failure().rejected = err }

func (o *operation) Ended(a *engine.Attempt) {
	c := &o.shared.counts
	if a.Outcome == Success && o.beganWith(a) {
		c.together.Record(a.Took) // and end counts nothing more
	} else {
		c.attempts.Record(a.Took)
	}
	if a.Outcome == Throttled {
		c.throttled.Add(1)
	}
	if a.Outcome != Success {
		f := o.failure()
		f.kind, f.why = kindErrors[a.Kind], a.Why
		f.attempts = append(f.attempts, Attempt{
			Number: a.Number, Start: a.Started, Took: a.Took, Outcome: a.Outcome, Class: a.Class, Err: a.Err, Status: a.Status,
			Reused: a.Reused, Probe: a.Probe, Sent: a.Sent, RetryAfter: a.RetryAfter, RetryAfterFrom: askedFrom(a), Queued: o.Queued - queued(f.attempts),
		})
		f.bound()
		if a.Kind == judge.Timeout {
			c.timeouts.Add(1)
		}
	}
	if !o.Watched && (a.Outcome == Success || o.shared.recorder == nil) {
		return
	}
	e := Event{
		Kind: EventAttemptDone, Time: a.Started.Add(a.Took), Attempt: a.Number, Of: o.Most(), Probe: a.Probe, Outcome: a.Outcome, Class: a.Class,
		Status: a.Status, Err: a.Err, Sent: a.Sent, RetryAfter: a.RetryAfter, RetryAfterFrom: askedFrom(a), RetryAt: a.RetryAt(), Duration: a.Took,
	}
	o.report(e)
	if o.ends != nil {
		e.Proto, e.Stream, e.Unread = o.ends.proto, o.ends.stream, o.ends.awaits()
		o.ends.endAttempt(a, o.named(e))
	}
}

func (o *operation) Abandoned(*engine.Attempt) { o.abandon() }

func (o *operation) Retrying(now time.Time, _ *engine.Attempt, d retry.Decision) {
	failed := o.lastFailed()
	failed.Wait, failed.MaxWait = d.Wait, d.Most
	o.shared.counts.retries.Add(1)
	o.report(Event{Kind: EventRetrying, Time: now, Attempt: failed.Number, Of: o.Most(), Class: failed.Class, Err: failed.Err, Sent: failed.Sent, Delay: d.Wait})
}
