package holdfast

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/striped"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Breaker is a circuit breaker. A number of failures in a row opens it, and it rejects
// every call. After a time it is half-open and admits a few probes; if they succeed, it
// closes. It is safe for concurrent use.
//
// Most callers have the breaker of a Client, or give one to a Policy. To use it alone,
// call Do, or Acquire if the call does not fit into a function.
type Breaker struct {
	name          string
	handle        *engine.Breaker
	countAttempts bool
	observer      Observer
	recorder      Recorder // nil for none; set before the breaker is used
	openTimeout   time.Duration

	rejection atomic.Pointer[RejectedError] // of the last opening; valid in its epoch
	rejected  striped.Counter               // in an outage, all CPUs count here
}

// State is the state of a breaker.
type State = breaker.State

const (
	// Closed admits every call.
	Closed = breaker.Closed
	// Open rejects every call.
	Open = breaker.Open
	// HalfOpen admits a few probes at once.
	HalfOpen = breaker.HalfOpen
)

// The texts of State.String, of BreakerStats as JSON, and of ClientStats.BreakerState,
// which is StateOff for a client without a breaker. They do not change.
const (
	StateClosed   = "closed"
	StateOpen     = "open"
	StateHalfOpen = "half_open"
	StateOff      = "off"
)

// NewBreaker returns a closed breaker. The error names every field that is out of
// bounds.
func NewBreaker(cfg BreakerConfig, opts ...Option) (*Breaker, error) {
	v := &validation{in: "BreakerConfig."}
	cfg = v.part(Config{Breaker: cfg}, "Breaker.", "").Breaker
	all := v.options(opts, forBreaker)
	if err := v.err(); err != nil {
		return nil, err
	}
	b := newBreaker(cfg, all.observer)
	b.recorder = all.recorder(Measured{Name: cfg.Name, Breaker: b})
	return b, nil
}

// MustBreaker is NewBreaker for package variables. It panics where NewBreaker returns
// an error.
func MustBreaker(cfg BreakerConfig, opts ...Option) *Breaker { return must(NewBreaker(cfg, opts...)) }

// newBreaker makes a breaker of a resolved configuration.
func newBreaker(cfg BreakerConfig, o Observer) *Breaker {
	rules := breaker.Config{Threshold: cfg.FailureThreshold, OpenFor: cfg.OpenTimeout, Probes: cfg.HalfOpenMaxCalls}
	return &Breaker{name: cfg.Name, handle: engine.NewBreaker(rules), countAttempts: cfg.CountAttempts, observer: o, openTimeout: cfg.OpenTimeout}
}

// gate is the breaker for an engine.
func (b *Breaker) gate() engine.Gate {
	return engine.Gate{Breaker: b.handle, CountAttempts: b.countAttempts, Hooks: b.hooks()}
}

// Do calls fn if the breaker admits it, and counts the result: nil is a Success, an
// error after the caller's cancellation is Canceled, any other error is Transient. It
// returns fn's error unchanged, or a *RejectedError. A panic is not counted.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	w, h := world.Of(ctx), b.hooks()
	t, ok := b.handle.Load().Admit()
	if !ok {
		var err error
		if t, err = h.Admit(ctx, w, 0); err != nil {
			b.recordRejection(ctx, w, err)
			return err
		}
	}
	verdict := Unknown
	defer func() {
		if !b.handle.Load().NoOp(t, verdict) {
			h.Done(ctx, w, t, verdict, nil)
		}
	}()
	err := fn(ctx)
	switch {
	case err == nil:
		verdict = Success
	case ctx.Err() == context.Canceled:
		verdict = Canceled
	default:
		verdict = Transient
	}
	return err
}

// Acquire asks for a permit. The caller returns it once, with Done. The error is a
// *RejectedError with the time at which to ask again.
//
// If a permit of a half-open breaker is not returned, the breaker stops waiting for it
// after ten minutes plus the open timeout, so that it can recover.
func (b *Breaker) Acquire() (BreakerPermit, error) {
	if t, ok := b.handle.Load().Admit(); ok {
		return BreakerPermit{b, t}, nil
	}
	t, err := b.hooks().Admit(context.Background(), realWorld, 0)
	if err != nil {
		b.recordRejection(context.Background(), realWorld, err)
		return BreakerPermit{}, err
	}
	return BreakerPermit{b, t}, nil
}

// recordRejection records a rejection of Do or Acquire.
func (b *Breaker) recordRejection(ctx context.Context, w world.World, rejected error) {
	if b.recorder != nil {
		r := rejected.(*RejectedError)
		b.recorder.Observe(ctx, Event{Kind: EventRejected, Time: w.Now(), Name: b.name, RetryAt: r.RetryAt, Rejected: b.rejected.Load()})
	}
}

// State is the state now. An open breaker is half-open from the end of its open timeout
// on, also before the next call.
func (b *Breaker) State() State { return b.handle.Stats(realWorld.Now()).State }

// Stats returns the statistics of the breaker.
func (b *Breaker) Stats() BreakerStats {
	s := b.handle.Stats(realWorld.Now())
	return BreakerStats{
		Name: b.name, State: s.State, FailureCount: s.Failures, SuccessCount: s.Successes,
		LastFailure: s.LastFailure, OpenedAt: s.OpenedAt, RetryAt: s.RetryAt, Rejected: b.rejected.Load(),
	}
}

// BreakerStats are the statistics of a breaker at one moment.
type BreakerStats struct {
	Name         string
	State        State
	FailureCount int       // failures in a row; while not closed, those that opened the breaker
	SuccessCount int       // successful probes in a row; zero unless half-open
	LastFailure  time.Time // zero if there was none
	OpenedAt     time.Time // zero while closed
	RetryAt      time.Time // zero while closed
	Rejected     uint64    // operations rejected so far
}

// MarshalJSON writes the keys of requirement B11, and null for a time that is zero.
func (s BreakerStats) MarshalJSON() ([]byte, error) {
	nullable := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	return json.Marshal(struct {
		Name         string     `json:"name"`
		State        string     `json:"state"`
		FailureCount int        `json:"failure_count"`
		SuccessCount int        `json:"success_count"`
		LastFailure  *time.Time `json:"last_failure"`
		OpenedAt     *time.Time `json:"opened_at"`
		RetryAt      *time.Time `json:"retry_at"`
		Rejected     uint64     `json:"rejected"`
	}{s.Name, s.State.String(), s.FailureCount, s.SuccessCount, nullable(s.LastFailure), nullable(s.OpenedAt), nullable(s.RetryAt), s.Rejected})
}

// realWorld is the World of calls without a context.
var realWorld world.World

// BreakerPermit is the right to make one call. It is a small value, and its copies are
// the same permit. Done does nothing on the zero BreakerPermit.
type BreakerPermit struct {
	b *Breaker
	t breaker.Ticket
}

// Done returns the permit with the result of the call. Call it once: a closed breaker
// counts a failure again with each call of Done. A permit from before the breaker's
// last change of state has no effect.
func (p BreakerPermit) Done(o Outcome) {
	if p.b == nil || p.b.handle.Load().NoOp(p.t, o) {
		return
	}
	p.b.hooks().Done(context.Background(), realWorld, p.t, o, nil)
}

// Probe reports whether the permit is a probe of a half-open breaker. Make one attempt
// with it: retries would multiply the load on a service that is recovering.
func (p BreakerPermit) Probe() bool { return p.t.Probe() }

// gateHooks is a Breaker with the methods that the engine calls.
type gateHooks Breaker

func (b *Breaker) hooks() *gateHooks { return (*gateHooks)(b) }

// Admit asks the machine, for a call that the snapshot does not admit. limit is the
// longest time that the operation may take, zero for no limit.
func (b *gateHooks) Admit(ctx context.Context, w world.World, limit time.Duration) (breaker.Ticket, error) {
	if r := b.rejects(w); r != nil {
		return breaker.Ticket{}, b.reject(ctx, w, r)
	}
	now := w.Now()
	t, retryAt, c, ok := b.handle.Allow(now, limit)
	return b.admitted(ctx, w, now, t, retryAt, c, ok)
}

// Confirm asks again, for a ticket that the snapshot does not confirm.
func (b *gateHooks) Confirm(ctx context.Context, w world.World, t breaker.Ticket, limit time.Duration) (breaker.Ticket, error) {
	now := w.Now()
	again, retryAt, c, ok := b.handle.Confirm(now, t, limit)
	if ok && again == t {
		return t, nil
	}
	return b.admitted(ctx, w, now, again, retryAt, c, ok)
}

// Done returns a ticket. cause is the failure, if it is known.
func (b *gateHooks) Done(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	now := w.Now()
	b.changed(ctx, w, now, b.handle.Done(now, t, o), cause)
}

// AnswerBegan returns a ticket for an answer that has begun.
func (b *gateHooks) AnswerBegan(ctx context.Context, w world.World, t breaker.Ticket) {
	now := w.Now()
	b.changed(ctx, w, now, b.handle.AnswerBegan(now, t), nil)
}

// AnswerEnded counts the end of an answer, after its ticket was returned.
func (b *gateHooks) AnswerEnded(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	now := w.Now()
	b.changed(ctx, w, now, b.handle.AnswerEnded(now, t, o), cause)
}

// Note counts an outcome and leaves the ticket.
func (b *gateHooks) Note(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	now := w.Now()
	b.changed(ctx, w, now, b.handle.Note(now, t, o), cause)
}

// admitted reports the machine's decision. If the observer panics or calls Goexit, no
// operation gets the ticket, and admitted gives it back.
func (b *gateHooks) admitted(ctx context.Context, w world.World, now time.Time, t breaker.Ticket, retryAt time.Time, c breaker.Change, ok bool) (breaker.Ticket, error) {
	reported := false
	defer func() {
		if ok && !reported {
			b.handle.Done(w.Now(), t, Unknown)
		}
	}()
	b.changed(ctx, w, now, c, nil)
	if !ok {
		return breaker.Ticket{}, b.reject(ctx, w, &RejectedError{Name: b.name, RetryAt: retryAt, kind: ErrCircuitOpen})
	}
	if b.observer != nil && t.Probe() {
		b.observer.Observe(ctx, Event{Kind: EventProbe, Time: now, Name: b.name, Probe: true})
	}
	reported = true
	return t, nil
}

// rejects returns the rejection by a breaker that is open and stays open for now, and
// nil if the machine has to be asked. It reads the time until an instant, which costs
// a third of reading the current time, and is nearly the whole cost of a rejection.
func (b *gateHooks) rejects(w world.World) *RejectedError {
	if epoch, open := b.handle.Load().Open(); open {
		if r := b.rejection.Load(); r != nil && r.epoch == epoch && w.Until(r.RetryAt) > 0 {
			return r
		}
	}
	return nil
}

// reject counts and reports a rejection, and returns it.
func (b *gateHooks) reject(ctx context.Context, w world.World, r *RejectedError) *RejectedError {
	if b.rejected.Add(1); b.observer != nil {
		b.observeRejection(ctx, w.Now(), r)
	}
	return r
}

// observeRejection is not inlined, because an Event is large: without an observer, a
// call is rejected on a small stack.
//
//go:noinline
func (b *gateHooks) observeRejection(ctx context.Context, now time.Time, r *RejectedError) {
	b.observer.Observe(ctx, Event{Kind: EventRejected, Time: now, Name: b.name, RetryAt: r.RetryAt, Rejected: b.rejected.Load()})
}

// changed reports a change of state. For a breaker that has opened it prepares the
// rejection, which is the same for every call until the open timeout is over.
func (b *gateHooks) changed(ctx context.Context, w world.World, now time.Time, c breaker.Change, cause error) {
	if !c.Happened() {
		return
	}
	if c.To == breaker.Open {
		b.rejection.Store(&RejectedError{Name: b.name, RetryAt: c.RetryAt, kind: ErrCircuitOpen, epoch: c.Epoch})
	}
	if b.observer == nil && b.recorder == nil {
		return
	}
	e := Event{Time: now, Name: b.name, From: c.From, Epoch: c.Epoch, Duration: now.Sub(c.Since)}
	switch c.To {
	case breaker.Open:
		e.Kind, e.Failures, e.RetryAt, e.Delay, e.Err = EventBreakerOpened, c.Failures, c.RetryAt, b.openTimeout, cause
		// Later than the publication, so that an attempt that the snapshot still
		// admitted has an earlier time than the change.
		e.Time, e.Duration = w.Now(), 0
	case breaker.HalfOpen:
		e.Kind = EventBreakerHalfOpen
	case breaker.Closed:
		e.Kind = EventBreakerClosed
	}
	if b.observer != nil {
		b.observer.Observe(ctx, e)
	}
	if b.recorder != nil {
		b.recorder.Observe(ctx, e)
	}
}
