package holdfast

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// rules are what the operations of one client or policy have in common.
type rules struct {
	name     string
	retry    retry.Config
	attempt  time.Duration    // the limit of one attempt; zero is none
	total    time.Duration    // of the operation; zero is none
	breaker  *Breaker         // nil is none
	bulkhead *Bulkhead        // nil is none
	pause    *engine.Cooldown // nil is none
	mayHold  int              // how many may wait out a silence at once
	held     atomic.Int64     // how many do
	observer Observer         // nil: nobody listens
	counts   *counters        // nil: nobody counts
}

// operation is one operation under its rules: all effects of call.Effects but
// the attempt itself, which is what the operations of a policy and of a client
// differ in.
type operation struct {
	rules    *rules
	caller   context.Context
	ctx      context.Context // the operation's: the caller's, or one that follows it
	began    time.Time
	schedule *retry.Config // the rules', but for a health check
	attempt  time.Duration // the limit of each attempt; zero is none
	deadline time.Time     // by rules.total; zero if it has none

	ticket breaker.Ticket
	slot   bool // it holds one
	noted  bool // the breaker has counted the last attempt already
	// watched: somebody wants to hear of what goes well.
	watched bool
	asked   time.Time       // when silence and breaker were last asked; the attempt counts from there
	took    time.Duration   // the last attempt; zero if nobody wanted to know
	first   lazyctx.Context // the first attempt's context, so that it costs nothing
	made    int             // attempts so far

	bad *trouble // nil as long as all goes well

	// What names the operation in events and errors; a policy's has none.
	id      string
	request *http.Request
}

// trouble is what is kept for an error. An operation whose first attempt succeeds
// has none.
type trouble struct {
	failures []Attempt
	kind     error     // the last attempt's, among the Err variables
	retryAt  time.Time // when the service wants to hear again, after the last attempt
	refused  error     // why an attempt was not made
	// unrepeatable says why the request is not to be repeated, where there is more
	// to say than retry.NotRepeatable does.
	unrepeatable string
}

// trouble is where it is kept.
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

// begin starts the clock, if somebody has to know right now. Else it starts with
// the first look at it, by a wait or by the first attempt: nothing before those
// takes time.
func (o *operation) begin(ctx context.Context, r *rules) {
	o.rules, o.caller, o.ctx, o.schedule, o.attempt = r, ctx, ctx, &r.retry, r.attempt
	o.watched = watched(ctx, r.observer)
	if r.total > 0 || o.watched {
		o.began = time.Now()
	}
	if r.total > 0 {
		o.deadline = o.began.Add(r.total)
	}
}

// looked says that the clock was looked at.
func (o *operation) looked(now time.Time) {
	if o.made == 0 && o.began.IsZero() {
		o.began = now
	}
}

// Now, Chance and Deadline are the world's.

func (o *operation) Now() time.Time  { return time.Now() }
func (o *operation) Chance() float64 { return rand.Float64() }

// Deadline is the earlier of the rules' and the caller's.
func (o *operation) Deadline() time.Time {
	if theirs, ok := o.caller.Deadline(); ok && (o.deadline.IsZero() || theirs.Before(o.deadline)) {
		return theirs
	}
	return o.deadline
}

// limit is how long the operation may still take, zero if it has no limit.
func (o *operation) limit() time.Duration {
	if d := o.Deadline(); !d.IsZero() {
		return max(time.Until(d), time.Nanosecond)
	}
	return 0
}

// The breaker's part.

func (o *operation) Admit() bool {
	b := o.rules.breaker
	if b == nil {
		return true
	}
	var ok bool
	if o.ticket, ok = b.handle.Load().Admit(); ok {
		return true
	}
	return o.askBreaker(b.admit(o.caller, o.limit()))
}

func (o *operation) Confirm() bool {
	b := o.rules.breaker
	if b == nil || b.handle.Load().Confirms(o.ticket) {
		return true
	}
	return o.askBreaker(b.confirm(o.caller, o.ticket, o.limit()))
}

func (o *operation) askBreaker(t breaker.Ticket, refused *RejectedError) bool {
	if refused != nil {
		o.trouble().refused = refused
		return false
	}
	o.ticket = t
	return true
}

func (o *operation) Admits(t time.Time) bool {
	b := o.rules.breaker
	if b == nil {
		return true
	}
	if _, open := b.handle.Load().Open(); !open {
		return true
	}
	return b.handle.Stats(t).State != breaker.Open
}

func (o *operation) Probe() bool { return o.ticket.Probe() }

func (o *operation) Verdict(v outcome.Outcome) {
	b := o.rules.breaker
	if o.noted {
		v = Unknown
	}
	if b == nil || b.handle.Load().NoOp(o.ticket, v) {
		return
	}
	b.done(o.caller, o.ticket, v, o.lastError())
}

// The waits.

func (o *operation) Silence() retry.Reason {
	p := o.rules.pause
	if p == nil || !p.Requested() {
		return retry.Go
	}
	now := time.Now()
	o.looked(now)
	at, silent := p.Until(now, o.Chance())
	if !silent {
		return retry.Go
	}
	o.rules.counts.silenced()
	deadline := o.Deadline()
	full := o.rules.held.Add(1) > int64(o.rules.mayHold)
	defer o.rules.held.Add(-1)
	if full || !deadline.IsZero() && !at.Before(deadline) {
		o.trouble().refused = &RejectedError{Name: o.rules.name, RetryAt: at, kind: ErrRateLimited}
		return retry.HeldBack
	}
	o.tell(Event{Kind: EventHeldBack, Time: now, Delay: at.Sub(now)})
	return o.sleep(at.Sub(now))
}

// Silent is asked right before Confirm. It reads the clock for both, and first:
// an attempt whose time is later than a 429's arrival, or than a breaker's
// change to open, was really let through after it.
func (o *operation) Silent() bool {
	o.asked = time.Now()
	o.looked(o.asked)
	p := o.rules.pause
	if p == nil || !p.Requested() {
		return false
	}
	_, silent := p.Until(o.asked, 0)
	return silent
}

func (o *operation) Slot() retry.Reason {
	if o.ctx.Err() != nil {
		return retry.Ended
	}
	b := o.rules.bulkhead
	if b == nil {
		return retry.Go
	}
	if b.handle.TryAcquire() {
		o.slot = true
		if o.watched {
			o.tell(Event{Kind: EventSlotAcquired, Time: time.Now(), Remaining: b.slots - b.handle.InUse()})
		}
		return retry.Go
	}
	return o.waitForSlot(b)
}

func (o *operation) waitForSlot(b *Bulkhead) retry.Reason {
	now := time.Now()
	o.looked(now)
	o.tell(Event{Kind: EventWaiting, Time: now})
	switch b.handle.Acquire(o.ctx, now, o.deadline) {
	case engine.Acquired:
		o.slot = true
		if o.rules.observer != nil || o.rules.counts != nil {
			got := time.Now()
			o.rules.counts.waited(got.Sub(now))
			o.tell(Event{Kind: EventSlotAcquired, Time: got, Remaining: b.slots - b.handle.InUse(), Duration: got.Sub(now)})
		}
		return retry.Go
	case engine.ContextEnded:
		return retry.Ended
	}
	if !o.deadline.IsZero() && !time.Now().Before(o.deadline) {
		return retry.Ended
	}
	o.trouble().refused = ErrPoolTimeout
	o.rules.counts.saturated()
	return retry.NoSlot
}

func (o *operation) Free() {
	if o.slot {
		o.slot = false
		o.rules.bulkhead.handle.Release()
	}
}

func (o *operation) Backoff(d retry.Decision) retry.Reason {
	failed := o.last()
	failed.Wait, failed.MaxWait = d.Wait, d.Most
	if b := o.rules.breaker; b != nil && b.each {
		b.note(o.caller, o.ticket, failed.Outcome, failed.Err)
		o.noted = true
	}
	o.rules.counts.retried()
	o.tell(Event{Kind: EventRetrying, Time: time.Now(), Attempt: failed.Number, Of: o.most(), Err: failed.Err, Sent: failed.Sent, Delay: d.Wait})
	return o.sleep(time.Until(d.At))
}

// sleep waits for d, or until the operation's context ends.
func (o *operation) sleep(d time.Duration) retry.Reason {
	if d <= 0 {
		return retry.Go
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return retry.Go
	case <-o.ctx.Done():
		return retry.Ended
	}
}

// most is how many attempts there can be.
func (o *operation) most() int { return o.schedule.Retries + 1 }

// tell tells the observer, if there is one.
func (o *operation) tell(e Event) {
	if o.rules.observer == nil {
		return
	}
	e.Name = o.rules.name
	if o.request != nil {
		e.RequestID, e.Method, e.Path = o.id, o.request.Method, o.request.URL.EscapedPath()
	}
	o.rules.observer.Observe(o.caller, e)
}
