package wire

import (
	"context"
	"net/http"
	"sync/atomic"
)

// wrapped is what a round trip knows of a RoundTripper that is not net/http's. It may be
// around net/http's, as those of tracing libraries are: then the hooks are called, and
// nothing differs. It is foreign until the first hook is called. It is foreign again
// once it sends the request a second time: from then on a hook may report on either.
//
// wrapped is also the context that the RoundTripper is given. net/http derives a context
// from it for each call, and none when it sends a request again within one call, which
// tells the two apart. cancel ends the derived contexts before it returns, so that
// HTTP/2, which looks at its context before it writes, writes nothing. In a World other
// than the real one there is no net/http, and contexts of package context do not end:
// the RoundTripper is given r's.
type wrapped struct {
	context.Context
	cancel  context.CancelFunc
	derived atomic.Int32 // contexts
	hasBody bool

	// The lock of the connection guards these.
	reported    bool  // a hook was called
	derivedThen int32 // contexts when it was
	answered    bool  // an answer has begun to arrive
}

// wrap returns the request for a RoundTripper that is not net/http's.
func (r *RoundTrip) wrap(req *http.Request) *http.Request {
	w := &wrapped{hasBody: req.Body != nil && req.Body != http.NoBody}
	w.Context, w.cancel = r, func() {} // whose end is r's
	if r.world.IsReal() {
		w.Context, w.cancel = context.WithCancel(r)
	}
	r.wrapped = w
	r.conn.foreign.Store(true)
	if req.Body == nil {
		r.set(dueHeaders)
	}
	return req.WithContext(w)
}

// Value counts the contexts that are derived from w.
func (w *wrapped) Value(key any) any {
	if key == cancelKey {
		w.derived.Add(1)
	}
	return w.Context.Value(key)
}

// follows reports whether the hook that calls it reports on the request.
func (r *RoundTrip) follows() bool {
	c, w := &r.conn, r.wrapped
	if w == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil:
		return true
	case r.answer.Load() >= answerBegun, w.reported && c.foreign.Load():
		return false
	case !w.reported:
		w.reported, w.derivedThen = true, w.derived.Load()
		c.foreign.Store(false)
		r.clear(dueHeaders)
	case w.derived.Load() != w.derivedThen:
		r.becomeForeign()
		return false
	}
	return true
}

// becomeForeign is called with the lock held.
func (r *RoundTrip) becomeForeign() {
	r.conn.foreign.Store(true)
	r.clear(dueConnect)
	r.clear(dueWrite)
	r.set(dueHeaders)
}

// sendsAgain reports whether it cannot be net/http itself that sends the request again:
// net/http sends only requests without a body, over a connection that is shared or was
// reused, and none that an answer has begun for. The lock is held.
func (w *wrapped) sendsAgain(reused bool) bool { return w.answered || w.hasBody || !reused }

// gotFirstResponseByte is called when the first byte of an answer is there. A connection of
// another transport is not watched: only a byte that was there before the request's headers
// were made is known to be surplus.
func (r *RoundTrip) gotFirstResponseByte() {
	follows := r.follows()
	c := &r.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.wrapped != nil {
		r.wrapped.answered = true
	}
	if follows && c.conn != nil && c.reused && !c.wroteHeaders && !c.isHTTP2(c.conn) {
		c.early = true
	}
}
