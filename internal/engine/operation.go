package engine

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/call"
	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Operation is one operation under its rules, and the only implementation of
// call.Effects. Its attempts and its records are its Work's.
type Operation struct {
	Engine  *Engine
	Rules   *Rules
	World   world.World     // of the caller's context
	Caller  context.Context // the caller's, or an instrument's that follows it
	Context context.Context // the operation's: Caller, or one that follows it
	Began   time.Time       // zero until the clock is read

	Schedule     *retry.Config // the rules', unless the call has its own
	AttemptLimit time.Duration // likewise
	Queued       time.Duration // how long it has waited for permits

	Made    int32 // attempts so far
	Watched bool  // an observer gets the events of what goes well
	Check   bool  // it is a health check, which gives no verdict
	permit  bool  // it holds a permit for the next attempt
	resumed bool  // its first attempt was made on the fast path

	work    Work
	ticket  breaker.Ticket
	pass    *cooldown.Pass // of the next attempt, or of the one that is being made; nil for none
	starts  time.Time      // when the next attempt starts: the cooldown was last looked at
	ended   time.Time      // when the latest failed attempt ended
	last    *Attempt       // the latest one that has ended
	current *Attempt       // the one that is being made
}

// Work has the attempts of an operation, and its records. Every method is called by the
// operation's goroutine.
type Work interface {
	// Try makes attempt n: it begins by Operation.Start and returns an attempt that
	// is concluded.
	Try(n int) *Attempt
	// Scope is the part of the service that the operation belongs to.
	Scope() cooldown.Scope
	// Told is the wait that an attempt was told, for the cooldown that it begins.
	Told(a *Attempt) cooldown.Told
	Records
}

// Records record an operation. now is the time of what they record.
type Records interface {
	// Waiting: no permit is free.
	Waiting(now time.Time)
	// Acquired: the operation has one. If it was queued, it waited that long. An
	// operation that was not queued is reported only if it is watched.
	Acquired(now time.Time, waited time.Duration, queued bool)
	// Saturated: no permit came free in time. full: too many operations wait for one.
	Saturated(full bool)
	// CoolingDown: the operation waits until the cooldown is over.
	CoolingDown(now, until time.Time)
	// CooldownTooLong: it cannot wait that long, or too many do already.
	CooldownTooLong(until time.Time)
	// Rejected: the breaker rejected the operation, or its next attempt.
	Rejected(err error)
	// Ended: an attempt has ended.
	Ended(a *Attempt)
	// Abandoned: an attempt has panicked, or called Goexit.
	Abandoned(a *Attempt)
	// Retrying: another attempt follows a, which may still hold its answer.
	Retrying(now time.Time, a *Attempt, d retry.Decision)
}

// Begin makes o an operation of w under r. The clock is read if a limit or an
// observer needs it now: otherwise the operation begins with the first look at it,
// since nothing before that takes time.
func (o *Operation) Begin(ctx context.Context, e *Engine, r *Rules, w Work) {
	o.Engine, o.Rules, o.World, o.work, o.Caller, o.Context = e, r, world.Of(ctx), w, ctx, ctx
	o.Schedule, o.AttemptLimit = &r.Retry, r.Attempt
	o.Watched = e.Listener.Wants(ctx)
	if r.Total > 0 || o.Watched {
		o.Began = o.World.Now()
	}
}

// Run takes the operation through the rules.
func (o *Operation) Run() retry.Decision { return call.Run(o, o.Schedule, o.Check) }

// OwnDeadline is the deadline by Rules.Total, zero if there is none.
func (o *Operation) OwnDeadline() time.Time {
	if o.Rules.Total <= 0 {
		return time.Time{}
	}
	return o.Began.Add(o.Rules.Total)
}

// AttemptStart is when the latest attempt started.
func (o *Operation) AttemptStart() time.Time { return o.starts }

// Last is the latest attempt that has ended, nil if none has.
func (o *Operation) Last() *Attempt { return o.last }

// Most is the most attempts that there can be. Without retries, a stale connection adds
// one.
func (o *Operation) Most() int { return max(o.Schedule.Most()+1, int(o.Made)) }

// Now reads the world's clock.
func (o *Operation) Now() time.Time { return o.World.Now() }

// Time and chance.

func (o *Operation) Ended() time.Time { return o.ended }
func (o *Operation) Chance() float64  { return o.World.Chance() }

// Deadline is the earlier of the rules' and the caller's.
func (o *Operation) Deadline() time.Time {
	own := o.OwnDeadline()
	if theirs, ok := o.Caller.Deadline(); ok && (own.IsZero() || theirs.Before(own)) {
		return theirs
	}
	return own
}

// limit is how long an attempt that begins now may take, zero if it has no limit: a probe
// is one attempt.
func (o *Operation) limit() time.Duration {
	limit := o.AttemptLimit
	if d := o.Deadline(); !d.IsZero() {
		if left := max(d.Sub(o.Now()), time.Nanosecond); limit <= 0 || left < limit {
			limit = left
		}
	}
	return limit
}

// begunBy records the first look at the clock.
func (o *Operation) begunBy(now time.Time) {
	if o.Made == 0 && o.Began.IsZero() {
		o.Began = now
	}
}

// The breaker.

func (o *Operation) Admit() bool {
	g := &o.Engine.Breaker
	if g.Breaker == nil || o.resumed {
		return true
	}
	var ok bool
	if o.ticket, ok = g.Load().Admit(); ok {
		return true
	}
	return o.admitted(g.Hooks.Admit(o.Caller, o.World, o.limit()))
}

func (o *Operation) Confirm() bool {
	g := &o.Engine.Breaker
	if g.Breaker == nil || o.resumed || g.Load().Confirms(o.ticket) {
		return true
	}
	return o.admitted(g.Hooks.Confirm(o.Caller, o.World, o.ticket, o.limit()))
}

func (o *Operation) admitted(t breaker.Ticket, rejected error) bool {
	if rejected != nil {
		o.work.Rejected(rejected)
		return false
	}
	o.ticket = t
	return true
}

func (o *Operation) Admits(t time.Time) bool {
	b := o.Engine.Breaker.Breaker
	if b == nil {
		return true
	}
	if _, open := b.Load().Open(); !open {
		return true
	}
	return b.Stats(t).State != breaker.Open
}

func (o *Operation) Probe() bool { return o.ticket.Probe() }

// Settle gives the ticket back. With Note and SettleAnswer it is the only place that tells
// the breaker. After a panic of a record it also gives back what the operation holds for an
// attempt that was not made.
func (o *Operation) Settle(verdict outcome.Outcome) {
	o.endPass(false)
	o.release(&o.permit)
	g := &o.Engine.Breaker
	switch {
	case g.Breaker == nil:
	case verdict == outcome.Success && o.last != nil && o.last.handedOver:
		if !g.Load().Confirms(o.ticket) {
			g.Hooks.AnswerBegan(o.Caller, o.World, o.ticket)
		}
	case !g.Load().NoOp(o.ticket, verdict):
		g.Hooks.Done(o.Caller, o.World, o.ticket, verdict, o.lastErr())
	}
}

func (o *Operation) Note(failed outcome.Outcome) bool {
	g := &o.Engine.Breaker
	if !g.CountAttempts {
		return false
	}
	if g.Breaker != nil && !g.Load().NoOp(o.ticket, failed) {
		g.Hooks.Note(o.Caller, o.World, o.ticket, failed, o.lastErr())
	}
	return true
}

// SettleAnswer tells the breaker how an answer ended that was handed over. It is called at
// most once, from any goroutine. A health check tells nothing.
func (o *Operation) SettleAnswer(verdict outcome.Outcome, cause error) {
	if g := &o.Engine.Breaker; g.Breaker != nil && !o.Check && !g.Load().AnswerEndedNoOp(verdict) {
		g.Hooks.AnswerEnded(o.Caller, o.World, o.ticket, verdict, cause)
	}
}

func (o *Operation) lastErr() error {
	if o.last == nil {
		return nil
	}
	return o.last.Err
}

// The waits.

func (o *Operation) Cooldown() retry.Reason {
	c := o.Engine.Cooldown
	if c == nil || o.resumed || !c.Requested() {
		return retry.Go
	}
	now := o.Now()
	o.begunBy(now)
	pass, wait, ok := c.Ask(now, o.work.Scope(), o.Chance())
	if ok {
		o.hold(pass)
		return retry.Go
	}
	full := o.Engine.coolingDown.Add(1) > int64(o.Rules.Waiters)
	defer o.Engine.coolingDown.Add(-1)
	deadline := o.Deadline()
	for told := false; !ok; {
		if full || wait.End.Sub(now) > o.Rules.Retry.MaxRetryAfter || !deadline.IsZero() && !wait.Until.Before(deadline) {
			o.work.CooldownTooLong(wait.End)
			return retry.CoolingDown
		}
		if !told {
			told = true
			o.work.CoolingDown(now, wait.Until)
		}
		if why := o.sleep(wait.Until); why != retry.Go {
			return why
		}
		now = o.Now()
		pass, wait, ok = c.Ask(now, o.work.Scope(), o.Chance())
	}
	o.hold(pass)
	return retry.Go
}

// hold keeps the pass of an attempt, if it has one.
func (o *Operation) hold(pass cooldown.Pass) {
	if pass.Held() {
		o.pass = &pass
	}
}

// passed is the pass of the attempt, zero for none.
func (o *Operation) passed() cooldown.Pass {
	if o.pass == nil {
		return cooldown.Pass{}
	}
	return *o.pass
}

// endPass gives back the pass of an attempt.
func (o *Operation) endPass(succeeded bool) {
	if o.pass != nil {
		o.Engine.Cooldown.End(o.Now(), *o.pass, succeeded)
		o.pass = nil
	}
}

// CoolingDown is called right before Confirm. It reads the clock for both, and
// before their last answers: an attempt that starts later than a cooldown was
// requested, or than a change to open, really started after it. A cooldown that is
// over by a later look at the clock may not be by this one, so that there was none
// counts only if it was so before, too.
func (o *Operation) CoolingDown() bool {
	if o.resumed {
		return false
	}
	c := o.Engine.Cooldown
	requested := c != nil && c.Requested()
	o.starts = o.Now()
	o.begunBy(o.starts)
	if c == nil || !requested && !c.Requested() {
		return false
	}
	return c.Blocks(o.starts, o.work.Scope(), o.passed())
}

func (o *Operation) Acquire() retry.Reason {
	if o.resumed {
		return retry.Go
	}
	if o.Context.Err() != nil {
		return retry.Ended
	}
	b := o.Engine.Bulkhead
	switch {
	case b == nil:
	case b.TryAcquire():
		o.permit = true
		if o.Watched {
			o.work.Acquired(o.Now(), 0, false)
		}
	default:
		return o.waitForPermit(b)
	}
	return retry.Go
}

func (o *Operation) waitForPermit(b *Bulkhead) retry.Reason {
	now := o.Now()
	o.begunBy(now)
	o.work.Waiting(now)
	how := b.Acquire(o.Context, o.World, now, o.OwnDeadline())
	after := o.Now()
	waited := after.Sub(now)
	o.Queued += waited
	switch how {
	case Acquired:
		o.permit = true
		o.work.Acquired(after, waited, true)
		return retry.Go
	case ContextEnded:
		return retry.Ended
	}
	if own := o.OwnDeadline(); !own.IsZero() && !after.Before(own) {
		return retry.Ended
	}
	o.work.Saturated(how == QueueFull)
	return retry.NoPermit
}

// Release gives back the permit of an attempt that was not made, or has ended.
func (o *Operation) Release() {
	held := &o.permit
	a := o.current
	o.endPass(a != nil && a.concluded && (a.Outcome == outcome.Success || a.Outcome == outcome.Permanent))
	if a != nil {
		o.current = nil
		if !a.concluded {
			defer o.work.Abandoned(a)
			a.End() // nothing else does if a record has panicked before the attempt was made
		}
		if a.handedOver && a.concluded {
			return
		}
		held = &a.permit
	}
	o.release(held)
}

// ReleaseHeld gives back the permit of an attempt that was handed over. It is
// called once, from any goroutine.
func (o *Operation) ReleaseHeld(a *Attempt) {
	if a.stream {
		a.stream = false
		o.Engine.Bulkhead.EndStream()
	}
	o.release(&a.permit)
}

// HandOverStream is Attempt.HandOver for an answer that is a stream. It gives its permit
// back, and returns true, if there is a place for another stream.
func (o *Operation) HandOverStream(a *Attempt) bool {
	a.HandOver()
	if a.permit && o.Engine.Bulkhead.ReleaseStream() {
		a.permit, a.stream = false, true
	}
	return a.stream
}

func (o *Operation) release(held *bool) {
	if *held {
		*held = false
		o.Engine.Bulkhead.Release()
	}
}

func (o *Operation) Backoff(d retry.Decision) retry.Reason {
	o.work.Retrying(o.ended, o.last, d)
	if d.Wait <= 0 {
		return retry.Go
	}
	return o.sleep(d.At)
}

// sleep waits until an instant, or until the operation's context ends.
func (o *Operation) sleep(until time.Time) retry.Reason {
	if !o.Now().Before(until) {
		return retry.Go
	}
	if o.World.Sleep(o.Context, until) == world.ByContext {
		return retry.Ended
	}
	return retry.Go
}

// The attempts.

// Start begins attempt n in a: its number, its context below parent, and its
// permit. parent is Caller, or a context that follows it. With a watch, Work ends the
// context at its deadline.
func (o *Operation) Start(a *Attempt, n int, parent context.Context, watch *lazyctx.Watch) {
	a.Number, a.Started, a.Probe = n, o.starts, o.Probe()
	a.permit, o.permit = o.permit, false
	o.Made, o.current = int32(n), a
	deadline := o.OwnDeadline()
	if o.AttemptLimit > 0 {
		if own := o.starts.Add(o.AttemptLimit); deadline.IsZero() || own.Before(deadline) {
			deadline = own
		}
	}
	if watch == nil {
		a.Init(parent, deadline)
	} else {
		a.InitWatched(parent, deadline, watch)
	}
}

// Attempt makes attempt n and acts on its end.
func (o *Operation) Attempt(n int) outcome.Result {
	a := o.work.Try(n)
	o.last, o.resumed = a, false
	switch {
	case a.Outcome != outcome.Success: // an error tells how long it took
		o.ended = o.Now()
		if !a.Started.IsZero() {
			a.Took = o.ended.Sub(a.Started)
		}
		if o.Began.IsZero() {
			o.Began = o.ended
		}
	case o.Engine.Timed || o.Watched:
		a.Took = o.World.Since(a.Started)
	}
	if a.Cooldown && o.Engine.Cooldown != nil {
		o.Engine.Cooldown.Request(a.Arrived, o.work.Scope(), o.work.Told(a), o.passed())
	}
	o.work.Ended(a)
	return outcome.Result{Outcome: a.Outcome, RetryAfter: a.RetryAfter, NoRepeat: a.Why != judge.May, AtOnce: a.AtOnce, Free: a.Free, Stands: a.Stands}
}

// ReachedLimit is a limit of this side that has ended an attempt.
type ReachedLimit struct {
	Limit judge.Limit
	Phase string        // its name in errors: attempt, total or deadline
	Set   time.Duration // its setting; zero for the caller's deadline
	After time.Duration // how long it took; zero if it was not timed
}

// ReachedLimit returns the limit that ended ctx, the context of an attempt that started
// at started. Call it before the attempt ends its context itself.
func (o *Operation) ReachedLimit(ctx context.Context, started time.Time) (s ReachedLimit, ok bool) {
	if ctx.Err() != context.DeadlineExceeded {
		return s, false
	}
	now, own := o.Now(), o.OwnDeadline()
	switch theirs, bound := o.Caller.Deadline(); {
	case bound && !now.Before(theirs):
		return ReachedLimit{judge.OperationLimit, "deadline", 0, since(o.Began, now)}, true
	case !own.IsZero() && !now.Before(own):
		return ReachedLimit{judge.OperationLimit, "total", o.Rules.Total, since(o.Began, now)}, true
	}
	return ReachedLimit{judge.AttemptLimit, "attempt", o.AttemptLimit, since(started, now)}, true
}

// since is the time from then to now, zero if then was not timed.
func since(then, now time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return now.Sub(then)
}
