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

// Breaker is a circuit breaker that calls share: so many failures in a row open
// it, then it refuses everything for a while, then a few probes may try, and as
// many successes close it. It is safe for any number of goroutines.
//
// Most callers get theirs with a Client or hand one to a Policy. On its own, use
// Do; use Acquire where a call cannot be put into a function.
type Breaker struct {
	name     string
	handle   *engine.Breaker
	each     bool // BreakerConfig.CountAttempts
	observer Observer
	openFor  time.Duration

	rejection atomic.Pointer[RejectedError] // of the last opening; returned while its epoch stands
	rejected  striped.Counter               // in an outage, all CPUs count here
}

// gate is the breaker as the engine asks it.
func (b *Breaker) gate() engine.Gate {
	return engine.Gate{Breaker: b.handle, CountAttempts: b.each, Hooks: (*gateHooks)(b)}
}

// gateHooks is a Breaker with the methods that the engine calls.
type gateHooks Breaker

func (g *gateHooks) Admit(ctx context.Context, w world.World, limit time.Duration) (breaker.Ticket, error) {
	t, rejected := (*Breaker)(g).admit(ctx, w, limit)
	if rejected != nil {
		return t, rejected
	}
	return t, nil
}

func (g *gateHooks) Confirm(ctx context.Context, w world.World, t breaker.Ticket, limit time.Duration) (breaker.Ticket, error) {
	t, rejected := (*Breaker)(g).confirm(ctx, w, t, limit)
	if rejected != nil {
		return t, rejected
	}
	return t, nil
}

func (g *gateHooks) Done(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	(*Breaker)(g).done(ctx, w, t, o, cause)
}

func (g *gateHooks) Note(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	b, now := (*Breaker)(g), w.Now()
	b.changed(ctx, w, now, b.handle.Note(now, t, o), cause)
}

// NewBreaker returns a closed breaker. The error names every field that is out
// of bounds.
func NewBreaker(cfg BreakerConfig, opts ...Option) (*Breaker, error) {
	ck := &check{in: "BreakerConfig."}
	ck.breaker(&cfg)
	all := ck.collect(opts, forBreaker)
	if err := ck.err(); err != nil {
		return nil, err
	}
	return newBreaker(cfg.Name, breakerRules(cfg), cfg.CountAttempts, all.observer()), nil
}

// MustBreaker is NewBreaker for package variables: it panics on a bad setting.
func MustBreaker(cfg BreakerConfig, opts ...Option) *Breaker { return must(NewBreaker(cfg, opts...)) }

func newBreaker(name string, rules breaker.Config, each bool, o Observer) *Breaker {
	return &Breaker{name: name, handle: engine.NewBreaker(rules), each: each, observer: o, openFor: rules.OpenFor}
}

// Do calls fn if the breaker admits it, and counts what it returns: nil is a
// Success, an error after the caller's cancellation is Canceled, any other error
// Transient. fn's error is returned as it is; a refusal is a *RejectedError. A
// panic passes through and is not counted.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	w := world.Of(ctx)
	t, ok := b.handle.Load().Admit()
	if !ok {
		var rejected *RejectedError
		if t, rejected = b.admit(ctx, w, 0); rejected != nil {
			return rejected
		}
	}
	verdict := Unknown
	defer func() {
		if !b.handle.Load().NoOp(t, verdict) {
			b.done(ctx, w, t, verdict, nil)
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

// Acquire asks for a permit. Whoever gets one returns it with Done, once,
// whatever happens. The error is a *RejectedError that says when to come back.
//
// A half-open permit that never returns is forgotten after ten minutes and the
// open timeout, so that a lost one cannot keep a breaker from recovering.
func (b *Breaker) Acquire() (BreakerPermit, error) {
	if t, ok := b.handle.Load().Admit(); ok {
		return BreakerPermit{b, t}, nil
	}
	t, rejected := b.admit(context.Background(), realWorld, 0)
	if rejected != nil {
		return BreakerPermit{}, rejected
	}
	return BreakerPermit{b, t}, nil
}

// realWorld is the World of those that have no context.
var realWorld world.World

// BreakerPermit is the right to make one call. It is a small value: copies of it are
// the same permit, and the zero BreakerPermit is none.
type BreakerPermit struct {
	b *Breaker
	t breaker.Ticket
}

// Done returns the permit with what the call came to. Call it once: a half-open
// permit is taken once, but while the breaker is closed a failure that is told
// twice counts twice. A permit from before the breaker last changed its state
// does nothing.
func (p BreakerPermit) Done(o Outcome) {
	if p.b == nil || p.b.handle.Load().NoOp(p.t, o) {
		return
	}
	p.b.done(context.Background(), realWorld, p.t, o, nil)
}

// Probe reports whether the permit is one of a half-open breaker's. Make one
// attempt with it: retries inside probes multiply the load on a service that is
// just getting up.
func (p BreakerPermit) Probe() bool { return p.t.Probe() }

// admit asks the machine, where its snapshot does not admit. limit is how long the
// operation may take, zero for no limit.
func (b *Breaker) admit(ctx context.Context, w world.World, limit time.Duration) (breaker.Ticket, *RejectedError) {
	if r := b.rejects(w); r != nil {
		return breaker.Ticket{}, b.reject(ctx, w, r)
	}
	now := w.Now()
	t, retryAt, c, ok := b.handle.Allow(now, limit)
	return b.admitted(ctx, w, now, t, retryAt, c, ok)
}

// rejects returns the rejection of a breaker that is open and stays so for now; nil
// if the machine has to be asked. The time until an instant is a third of the price
// of the current time, and nearly all of the price of a rejection.
func (b *Breaker) rejects(w world.World) *RejectedError {
	if epoch, open := b.handle.Load().Open(); open {
		if r := b.rejection.Load(); r != nil && r.epoch == epoch && w.Until(r.RetryAt) > 0 {
			return r
		}
	}
	return nil
}

// confirm asks again for a ticket that the snapshot does not confirm.
func (b *Breaker) confirm(ctx context.Context, w world.World, t breaker.Ticket, limit time.Duration) (breaker.Ticket, *RejectedError) {
	now := w.Now()
	again, retryAt, c, ok := b.handle.Confirm(now, t, limit)
	if ok && again == t {
		return t, nil
	}
	return b.admitted(ctx, w, now, again, retryAt, c, ok)
}

// admitted tells the machine's decision.
func (b *Breaker) admitted(ctx context.Context, w world.World, now time.Time, t breaker.Ticket, retryAt time.Time, c breaker.Change, ok bool) (breaker.Ticket, *RejectedError) {
	b.changed(ctx, w, now, c, nil)
	if ok {
		if b.observer != nil && t.Probe() {
			b.observer.Observe(ctx, Event{Kind: EventProbe, Time: now, Name: b.name, Probe: true})
		}
		return t, nil
	}
	return breaker.Ticket{}, b.reject(ctx, w, &RejectedError{Name: b.name, RetryAt: retryAt, kind: ErrCircuitOpen})
}

func (b *Breaker) reject(ctx context.Context, w world.World, r *RejectedError) *RejectedError {
	if b.rejected.Add(1); b.observer != nil {
		b.tellRejected(ctx, w.Now(), r)
	}
	return r
}

// tellRejected is a function of its own since an Event is large: who has nobody to
// tell is refused on a small stack.
//
//go:noinline
func (b *Breaker) tellRejected(ctx context.Context, now time.Time, r *RejectedError) {
	b.observer.Observe(ctx, Event{Kind: EventRejected, Time: now, Name: b.name, RetryAt: r.RetryAt, Rejected: b.rejected.Load()})
}

// done returns a ticket; cause is the failure, where it is known.
func (b *Breaker) done(ctx context.Context, w world.World, t breaker.Ticket, o Outcome, cause error) {
	now := w.Now()
	b.changed(ctx, w, now, b.handle.Done(now, t, o), cause)
}

// changed tells of a change of state, and prepares the rejection of a breaker that
// has opened: it is the same for every call until the open time is over.
func (b *Breaker) changed(ctx context.Context, w world.World, now time.Time, c breaker.Change, cause error) {
	if !c.Happened() {
		return
	}
	if c.To == breaker.Open {
		b.rejection.Store(&RejectedError{Name: b.name, RetryAt: c.RetryAt, kind: ErrCircuitOpen, epoch: c.Epoch})
	}
	if b.observer == nil {
		return
	}
	e := Event{Time: now, Name: b.name, Epoch: c.Epoch, Duration: now.Sub(c.Since)}
	switch c.To {
	case breaker.Open:
		e.Kind, e.Failures, e.RetryAt, e.Delay, e.Err = EventBreakerOpened, c.Failures, c.RetryAt, b.openFor, cause
		// Later than the publication, so that an attempt that the snapshot still let
		// through is seen to be earlier than the change.
		e.Time, e.Duration = w.Now(), 0
	case breaker.HalfOpen:
		e.Kind = EventBreakerHalfOpen
	case breaker.Closed:
		e.Kind = EventBreakerClosed
	}
	b.observer.Observe(ctx, e)
}

// State is what a breaker does with those who ask.
type State = breaker.State

// The texts of State.String, of a breaker's statistics as JSON, and of
// ClientStats.BreakerState, which is StateOff for a client without a breaker. They
// do not change.
const (
	StateClosed   = "closed"
	StateOpen     = "open"
	StateHalfOpen = "half_open"
	StateOff      = "off"
)

const (
	// Closed admits everyone.
	Closed = breaker.Closed
	// Open refuses everyone.
	Open = breaker.Open
	// HalfOpen admits a few probes at a time.
	HalfOpen = breaker.HalfOpen
)

// State is the state now. An open breaker whose time is over is half-open,
// although nothing has asked it yet.
func (b *Breaker) State() State { return b.handle.Stats(realWorld.Now()).State }

// BreakerStats is a breaker at one moment.
type BreakerStats struct {
	Name         string
	State        State
	FailureCount int       // in a row; those that opened it while it is not closed
	SuccessCount int       // in a row, in half-open
	LastFailure  time.Time // zero if there was none
	OpenedAt     time.Time // zero while it is closed
	RetryAt      time.Time // zero while it is closed
	Rejected     uint64    // operations that it has refused so far
}

// Stats reads the breaker.
func (b *Breaker) Stats() BreakerStats {
	s := b.handle.Stats(realWorld.Now())
	return BreakerStats{
		Name: b.name, State: s.State, FailureCount: s.Failures, SuccessCount: s.Successes,
		LastFailure: s.LastFailure, OpenedAt: s.OpenedAt, RetryAt: s.RetryAt, Rejected: b.rejected.Load(),
	}
}

// MarshalJSON writes the statistics under the names that the second seed gives
// them; instants that did not happen are null.
func (s BreakerStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name         string     `json:"name"`
		State        string     `json:"state"`
		FailureCount int        `json:"failure_count"`
		SuccessCount int        `json:"success_count"`
		LastFailure  *time.Time `json:"last_failure"`
		OpenedAt     *time.Time `json:"opened_at"`
		RetryAt      *time.Time `json:"retry_at"`
		Rejected     uint64     `json:"rejected"`
	}{s.Name, s.State.String(), s.FailureCount, s.SuccessCount, some(s.LastFailure), some(s.OpenedAt), some(s.RetryAt), s.Rejected})
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
