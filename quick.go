package holdfast

import (
	"context"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/shell"
)

// quick is the first attempt of an operation that has to wait for nothing and
// that nobody watches: which is nearly all of them. It asks the same handles in
// the same order as call.Run, and keeps what they gave on the stack; only the
// attempt's context, which the caller's function may keep, is allocated.
//
// It knows two ends: success, and a panic. Anything else is call.Run's, to which
// the attempt is handed over with its permit and its slot.
type quick struct {
	attempt *shell.Attempt
	ticket  breaker.Ticket
	slot    bool
	asked   time.Time // zero if no limit needs the clock: it is the dearest part
}

// enter is false, and leaves no trace, if the way is not free.
func enter(ctx context.Context, r *rules) (q quick, ok bool) {
	if r.total > 0 || ctx.Err() != nil || watched(ctx, r.observer) {
		return q, false
	}
	if r.breaker != nil {
		if q.ticket, ok = r.breaker.handle.Load().Admit(); !ok {
			return q, false
		}
	}
	if r.bulkhead != nil {
		if q.slot = r.bulkhead.handle.TryTake(); !q.slot {
			return q, false
		}
	}
	var deadline time.Time
	if r.attempt > 0 {
		q.asked = time.Now()
		deadline = q.asked.Add(r.attempt)
	}
	if r.breaker != nil && !r.breaker.handle.Load().Confirms(q.ticket) {
		if q.slot {
			r.bulkhead.handle.Give()
		}
		return q, false
	}
	q.attempt = new(shell.Attempt)
	q.attempt.Init(ctx, deadline)
	return q, true
}

// watched reports whether somebody wants to hear of a call that goes well. A logger
// whose DEBUG is off does not: what it has to say of one that fails is call.Run's.
func watched(ctx context.Context, o Observer) bool {
	if l, ok := o.(*log); ok {
		return l.logger.Enabled(ctx, slog.LevelDebug)
	}
	return o != nil
}

// leave gives back what enter was given.
func (q *quick) leave(r *rules, verdict Outcome) {
	q.attempt.End()
	if q.slot {
		r.bulkhead.handle.Give()
	}
	if b := r.breaker; b != nil && !b.handle.Load().Quiet(q.ticket, verdict) {
		b.done(context.Background(), q.ticket, verdict, nil)
	}
}
