package engine

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Fast is whether operations may take the fast path. Constructors compute it, so
// that the fast path knows of no rule but breaker, bulkhead and cooldown.
type Fast uint8

const (
	// FastNever: a rule or an observer needs the whole order.
	FastNever Fast = iota
	// FastAlways: nothing does.
	FastAlways
	// FastUnlessDebug: a logger does, if its DEBUG is enabled.
	FastUnlessDebug
)

// FastPath computes Rules.Fast. A rule that the fast path does not know makes it
// FastNever here.
func (e *Engine) FastPath(r *Rules) Fast {
	switch {
	case r.Total > 0, e.Listener.All:
		return FastNever
	case e.Listener.Log != nil:
		return FastUnlessDebug
	}
	return FastAlways
}

// FastPath is the first attempt of an operation that has to wait for nothing and
// that no observer listens to. It asks the same machines in the same order as
// call.Run and keeps their answers on the stack. Only the attempt's context, which
// the caller's function may keep, is allocated.
//
// It has two ends, success and a panic. Any other goes on in call.Run, by
// Operation.Resume.
type FastPath struct {
	Attempt *lazyctx.Context
	ticket  breaker.Ticket
	permit  bool
	timed   bool      // Engine.Timed
	started time.Time // zero if no limit needs the clock: reading it is the dearest part
}

// Enter is false, and leaves no trace, if the operation has to take the long way.
func (f *FastPath) Enter(ctx context.Context, e *Engine, r *Rules) (ok bool) {
	switch {
	case r.Fast == FastNever, r.Fast == FastUnlessDebug && e.Listener.Wants(ctx), ctx.Err() != nil:
		return false
	case e.Cooldown != nil && e.Cooldown.Requested():
		return false
	}
	b, h := e.Breaker.Breaker, e.Bulkhead
	if b != nil {
		if f.ticket, ok = b.Load().Admit(); !ok {
			return false
		}
	}
	if h != nil {
		if f.permit = h.TryAcquire(); !f.permit {
			return false
		}
	}
	var deadline time.Time
	if f.timed = e.Timed; f.timed || r.Attempt > 0 {
		f.started = world.Of(ctx).Now()
		if r.Attempt > 0 {
			deadline = f.started.Add(r.Attempt)
		}
	}
	if b != nil && !b.Load().Confirms(f.ticket) {
		if f.permit {
			h.Release()
		}
		return false
	}
	f.Attempt = new(lazyctx.Context)
	f.Attempt.Init(ctx, deadline)
	return true
}

// Started is when the attempt started, zero if nothing needs the clock.
func (f *FastPath) Started() time.Time { return f.started }

// Took is how long the attempt has taken, zero if attempts are not timed.
func (f *FastPath) Took(ctx context.Context) time.Duration {
	if !f.timed {
		return 0
	}
	return world.Of(ctx).Since(f.started)
}

// Leave ends the attempt and gives back what Enter took.
func (f *FastPath) Leave(e *Engine, verdict outcome.Outcome) {
	f.Attempt.End()
	if f.permit {
		e.Bulkhead.Release()
	}
	if g := &e.Breaker; g.Breaker != nil && !g.Load().NoOp(f.ticket, verdict) {
		g.Hooks.Done(context.Background(), world.Of(f.Attempt), f.ticket, verdict, nil)
	}
}

// Resume makes o, which has begun, go on after its first attempt, whose context is
// f.Attempt: the rules that it has passed are not asked again.
func (o *Operation) Resume(f *FastPath) {
	o.resumed = true
	o.ticket, o.permit, o.starts = f.ticket, f.permit, f.started
	o.Began = f.started // it is too late to read the clock
}
