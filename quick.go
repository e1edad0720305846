package holdfast

import (
	"cmp"
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// quick is the first attempt of an operation that has to wait for nothing and
// that nobody watches: which is nearly all of them. It asks the same handles in
// the same order as call.Run, and keeps what they gave on the stack; only the
// attempt's context, which the caller's function may keep, is allocated.
//
// It knows two ends: success, and a panic. Anything else is call.Run's, to which
// the attempt is handed over with its permit and its slot.
type quick struct {
	attempt *lazyctx.Context
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
		if q.slot = r.bulkhead.handle.TryAcquire(); !q.slot {
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
			r.bulkhead.handle.Release()
		}
		return q, false
	}
	q.attempt = new(lazyctx.Context)
	q.attempt.Init(ctx, deadline)
	return q, true
}

// refused is the error of a call that the breaker refuses at once, nil if it may
// not. In an outage that is nearly every call, each with a small stack and a cold
// cache: so it is made before there is a request, and by hand. Whatever else could
// end the call before the breaker is asked, or wants to be told of it, has the long
// way, which comes to the same.
func (c *Client) refused(ctx context.Context, method string, target *url.URL, h http.Header, with *callOptions) error {
	b := c.rules.breaker
	if b == nil {
		return nil
	}
	if _, open := b.handle.Load().Open(); !open || watched(ctx, c.rules.observer) || c.running.isClosed() {
		return nil
	}
	now := time.Now()
	r := b.refuses(now)
	if r == nil {
		return nil
	}
	e := &Error{
		Name: c.rules.name, Method: method, URL: wire.Shown(target), RequestID: c.givenID(h, with),
		Stopped: breakerIsOpen, Allowed: c.rules.total, Err: b.reject(ctx, now, r), kind: ErrCircuitOpen,
	}
	if e.RequestID == "" {
		e.RequestID = unsentID()
	}
	if theirs, ok := ctx.Deadline(); ok && (e.Allowed == 0 || theirs.Sub(now) < e.Allowed) {
		e.Allowed = theirs.Sub(now)
	}
	c.counts.ended(false, 0, 0)
	return e // a log that is silent about what goes well has its line by reject, and no other
}

// unsentID is one that no service is ever told, so that it need not be asked of the
// system as newID is.
//
//go:noinline
func unsentID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return uuid(b)
}

// givenID is the id that a call's header h brings along, or its options; empty if
// it is to be made.
func (c *Client) givenID(h http.Header, with *callOptions) string {
	for _, h := range [...]http.Header{with.header, h, c.settings.header} {
		if ids := h[c.settings.idHeader]; len(ids) > 0 {
			return cmp.Or(ids[0], with.key)
		}
	}
	return with.key
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
		r.bulkhead.handle.Release()
	}
	if b := r.breaker; b != nil && !b.handle.Load().NoOp(q.ticket, verdict) {
		b.done(context.Background(), q.ticket, verdict, nil)
	}
}
