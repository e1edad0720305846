package wire

import (
	"context"
	"net/http"
	"sync/atomic"
)

// wrapped is what a Trip knows of a RoundTripper that is not net/http's. It may be
// around one that is, as those of tracing libraries are, and pass on the context: then
// the hooks are called, and all is as without it. It is foreign until the first hook is
// called, and foreign again if it sends the request a second time: then the hooks may
// tell of either.
//
// It is also the context that the RoundTripper is given. net/http derives a context from
// it for each call of its RoundTrip, and none when it sends a request again within one
// call: that tells the one from the other. Those derived from it end before cancel
// returns, so that HTTP/2, which looks at its context before it writes, writes no more.
type wrapped struct {
	context.Context
	cancel  context.CancelFunc
	derived atomic.Int32 // contexts
	hasBody bool

	// The others are under the lock of the connection.
	heard bool  // a hook was called
	then  int32 // how many contexts had been derived by then
	begun bool  // an answer has begun to arrive
}

// wrap makes the request for a RoundTripper that is not net/http's.
func (t *Trip) wrap(req *http.Request) *http.Request {
	w := &wrapped{hasBody: req.Body != nil && req.Body != http.NoBody}
	w.Context, w.cancel = context.WithCancel(t)
	t.wrapped = w
	t.conn.foreign.Store(true)
	if req.Body == nil {
		t.set(waiting)
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

// follows reports whether a hook that is called tells of the request.
func (t *Trip) follows() bool {
	c, w := &t.conn, t.wrapped
	if w == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil:
		return true
	case t.answered.Load(), w.heard && c.foreign.Load():
		return false
	case !w.heard:
		w.heard, w.then = true, w.derived.Load()
		c.foreign.Store(false)
		t.clear(waiting)
	case w.derived.Load() != w.then:
		t.lose()
		return false
	}
	return true
}

// lose makes the RoundTripper foreign again. It is called under the lock.
func (t *Trip) lose() {
	t.conn.foreign.Store(true)
	t.clear(connecting)
	t.clear(writing)
	t.set(waiting)
}

// sendsAgain reports whether it is for sure not net/http that sends the request again:
// that sends only what has no body, over a connection that was reused or is shared, and
// not once an answer has begun. It is called under the lock.
func (w *wrapped) sendsAgain(reused bool) bool { return w.begun || w.hasBody || !reused }

// gotFirstResponseByte is called when an answer begins to arrive.
func (t *Trip) gotFirstResponseByte() {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	t.wrapped.begun = true
}
