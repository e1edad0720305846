package holdfast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// What attempts and operations come to: the books that an operation keeps, and
// the error that is made of them.

// start opens the books for attempt n and gives it a context of its own, which
// whoever makes the attempt ends.
func (o *operation) start(n int) *lazyctx.Context {
	ctx := &o.first
	if n > 1 {
		ctx = new(lazyctx.Context)
	}
	if o.made, o.noted = n, false; o.bad != nil {
		o.bad.retryAt = time.Time{}
	}
	deadline := o.deadline
	if o.attempt > 0 {
		if own := o.asked.Add(o.attempt); deadline.IsZero() || own.Before(deadline) {
			deadline = own
		}
	}
	ctx.Init(o.caller, deadline)
	if !o.watched {
		return ctx
	}
	o.tell(Event{Kind: EventAttempt, Time: o.asked, Attempt: n, Of: o.most(), Probe: o.Probe()})
	return ctx
}

// succeeded closes them.
func (o *operation) succeeded(status int) outcome.Result {
	o.tellDone(Attempt{Number: o.made, Outcome: Success, Status: status, Sent: status != 0})
	return outcome.Result{Outcome: Success}
}

// failed keeps what a failed attempt came to.
func (o *operation) failed(a Attempt, kind error, noRepeat bool) outcome.Result {
	a.Number, a.Start, a.Probe = o.made, o.asked, o.Probe()
	if now := time.Now(); a.Start.IsZero() {
		a.Start = now // see Attempt.Took
	} else {
		a.Took = now.Sub(a.Start)
	}
	bad := o.trouble()
	bad.failures, bad.kind = append(bad.failures, a), kind
	if kind == ErrTimeout {
		o.rules.counts.timedOut()
	}
	o.tellDone(a)
	return outcome.Result{Outcome: a.Outcome, RetryAfter: a.RetryAfter, NoRepeat: noRepeat}
}

func (o *operation) tellDone(a Attempt) {
	if !o.watched && o.rules.counts == nil {
		return // looking at the clock is the dearest part of an attempt that succeeds
	}
	o.took = time.Since(o.asked) // which leaves out the time of day, half of what time.Now costs
	if a.Outcome == Success && o.beganWithIt() {
		o.rules.counts.both(o.took) // and end has nothing more to count
	} else {
		o.rules.counts.attempt(a.Outcome, o.took)
	}
	if !o.watched {
		return
	}
	e := Event{
		Kind: EventAttemptDone, Time: o.asked.Add(o.took), Attempt: a.Number, Of: o.most(), Probe: o.Probe(), Outcome: a.Outcome,
		Status: a.Status, Err: a.Err, Sent: a.Sent, RetryAfter: a.RetryAfter, Duration: o.took,
	}
	if o.bad != nil {
		e.RetryAt = o.bad.retryAt
	}
	o.tell(e)
}

// beganWithIt reports whether the operation began with its last attempt, and so took
// as long: nothing was waited for. Nearly all do.
func (o *operation) beganWithIt() bool { return o.began == o.asked }

// timedOut says which limit has ended ctx, nil if none has. It is asked before
// ctx is ended with its attempt.
func (o *operation) timedOut(ctx context.Context) *TimeoutError {
	if ctx.Err() != context.DeadlineExceeded {
		return nil
	}
	now := time.Now()
	switch theirs, ok := o.caller.Deadline(); {
	case ok && !now.Before(theirs):
		return &TimeoutError{Phase: "deadline", After: since(o.began, now)}
	case !o.deadline.IsZero() && !now.Before(o.deadline):
		return &TimeoutError{Phase: "total", Limit: o.rules.total, After: since(o.began, now)}
	}
	return &TimeoutError{Phase: "attempt", Limit: o.attempt, After: since(o.asked, now)}
}

// since is how long ago a moment was; zero if nobody looked at the clock then.
func since(then, now time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return now.Sub(then)
}

func (o *operation) lastError() error {
	if a := o.last(); a != nil {
		return a.Err
	}
	return nil
}

// end turns how the operation ended into its error, nil for success, and tells
// it.
func (o *operation) end(d retry.Decision) error {
	if d.Why == retry.Answered {
		done := o.asked.Add(o.took)
		took := since(o.began, done)
		if !o.beganWithIt() {
			o.rules.counts.ended(true, o.made, took)
		}
		if o.watched {
			o.tell(Event{Kind: EventSucceeded, Time: done, Attempt: o.made, Of: o.most(), Outcome: Success, Duration: took})
		}
		return nil
	}
	now := time.Now()
	e := o.error(d, now)
	o.rules.counts.ended(false, o.made, e.Took)
	sent := slices.ContainsFunc(o.trouble().failures, func(a Attempt) bool { return a.Sent })
	o.tell(Event{Kind: EventFailed, Time: now, Attempt: o.made, Of: o.most(), Err: e, Sent: sent, Duration: e.Took})
	return e
}

// named is e with what names the operation.
func (o *operation) named(e *Error) *Error {
	e.Name = o.rules.name
	if o.request != nil {
		e.Method, e.URL, e.RequestID = o.request.Method, wire.Shown(o.request.URL), o.id
	}
	return e
}

func (o *operation) error(d retry.Decision, now time.Time) *Error {
	bad := o.trouble()
	e := o.named(&Error{Attempts: bad.failures, Stopped: o.stopped(d, now), kind: bad.kind, Err: o.lastError()})
	began := o.began
	switch {
	case !began.IsZero():
	case len(bad.failures) > 0:
		began = bad.failures[0].Start
	default: // it was refused at once
		began = now
	}
	e.Took = now.Sub(began)
	if deadline := o.Deadline(); !deadline.IsZero() {
		e.Allowed = deadline.Sub(began)
	}
	switch {
	case d.Why == retry.Ended:
		e.last = e.Err
		e.kind, e.Err = o.ended()
	case bad.kind == ErrCanceled && !errors.Is(e.Err, context.Cause(o.caller)): // why the caller cancelled must not be lost
		e.last, e.Err = e.Err, context.Cause(o.caller)
	case len(bad.failures) == 0: // refused before anything was sent
		e.Err = bad.refused
		switch d.Why {
		case retry.NoSlot:
			e.kind = ErrPoolTimeout
		case retry.HeldBack:
			e.kind = ErrRateLimited
		default:
			e.kind, e.Stopped = ErrCircuitOpen, breakerIsOpen
		}
	}
	return e
}

const breakerIsOpen = "the circuit breaker is open"

// ended says why the operation's context, or its own time, is over.
func (o *operation) ended() (kind, cause error) {
	switch {
	case o.caller.Err() != nil:
		return contextKindSince(o.caller, o.began)
	case o.ctx.Err() == context.Canceled: // and not by the caller
		return ErrClosed, ErrClosed
	}
	return ErrTimeout, &TimeoutError{Phase: "total", Limit: o.rules.total, After: since(o.began, time.Now())}
}

// contextKind tells a caller's deadline from its cancellation, and keeps the
// cause that the caller gave.
func contextKind(ctx context.Context) (kind, cause error) { return contextKindSince(ctx, time.Time{}) }

// contextKindSince is that of an operation that began then.
func contextKindSince(ctx context.Context, began time.Time) (kind, cause error) {
	if ctx.Err() == context.DeadlineExceeded {
		if cause := context.Cause(ctx); cause != context.DeadlineExceeded {
			return ErrTimeout, cause
		}
		return ErrTimeout, &TimeoutError{Phase: "deadline", After: since(began, time.Now())}
	}
	return ErrCanceled, context.Cause(ctx)
}

// stopped says in words why there was no further attempt.
func (o *operation) stopped(d retry.Decision, now time.Time) string {
	switch d.Why {
	case retry.NotRepeatable:
		if why := o.trouble().unrepeatable; why != "" {
			return why
		}
	case retry.NoTime:
		wait := d.Wait
		if asked := o.last().RetryAfter; asked > 0 {
			wait = asked // what chance would have added is nothing to explain
		}
		return fmt.Sprintf("a wait of %v does not fit into the %v that are left", rounded(wait), rounded(max(0, o.Deadline().Sub(now))))
	case retry.AskedTooMuch:
		return fmt.Sprintf("the service asked for %v, more than the %v that are allowed", rounded(d.Wait), rounded(o.rules.retry.MaxRetryAfter))
	}
	return d.Why.String()
}

// expired says which limit has ended an attempt, nil if none has.
func (o *exchange) expired(trip *wire.Trip) *TimeoutError {
	if phase, limit, after, ok := trip.Expired(); ok && phase != wire.Whole {
		return &TimeoutError{Phase: phase.String(), Limit: limit, After: after}
	}
	return o.timedOut(trip)
}

// limitedBy is a limit together with what net/http said of it, which differs
// from one protocol to the other: where it is only that a context has ended, the
// limit says it better, and nobody has cancelled anything.
func limitedBy(limit *TimeoutError, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return limit
	}
	return &limited{limit, err}
}
