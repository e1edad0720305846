package wire

import (
	"cmp"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

// installHooks makes net/http report on req.
func (r *RoundTrip) installHooks(req *http.Request) {
	r.trace.GetConn = r.getConn
	r.trace.GotConn = r.gotConn
	if req.URL.Scheme == "https" || r.conn.cleartextHTTP2 || r.own == nil {
		r.trace.WroteHeaders = r.wroteHeaders
	}
	r.trace.WroteRequest = r.wroteRequest
	if len(req.Header["Expect"]) > 0 {
		r.trace.Wait100Continue = func() { r.wroteRequest(httptrace.WroteRequestInfo{}) }
	}
	if r.own == nil {
		r.trace.GotFirstResponseByte = r.gotFirstResponseByte
	}
	if httptrace.ContextClientTrace(r.Context) != nil { // the caller's hooks, which are called too
		if r.own != nil {
			r.trace.GotFirstResponseByte, r.trace.PutIdleConn = r.answerBegins, r.becomesIdle
		}
		httptrace.WithClientTrace(r.Context, &r.trace)
	}
}

// getConn is called before net/http looks for a connection. Of a transport that is not
// a Transport it is not known when it dials.
func (r *RoundTrip) getConn(string) {
	if r.own == nil {
		r.conn.mu.Lock()
		r.conn.sought = true
		r.conn.mu.Unlock()
	}
	if r.follows() && !r.stopsResend() && r.limiter != nil {
		r.beginAcquire()
	}
}

// gotConn is called when net/http has a connection for the request.
func (r *RoundTrip) gotConn(info httptrace.GotConnInfo) {
	if !r.follows() {
		return
	}
	r.stopsResend() // HTTP/2 does not always call getConn
	r.leaveConn()   // of a search before
	c := &r.conn
	tracked := trackedBelow(info.Conn)
	if tracked != nil && tracked.writesToSettings.Load() > 0 {
		c.mu.Lock()
		c.search++ // the request does not wait for a dial any more
		r.beginConnect()
		c.mu.Unlock()
		tracked.awaitSettings(r.Done())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.foreign.Load():
		return
	case c.ended != nil:
		// The context has ended, but HTTP/1 writes before it looks at it. HTTP/2 looks
		// first, and its connection is not for this request alone.
		if !c.isHTTP2(info.Conn) {
			abandon(info.Conn)
		}
		return
	}
	c.conn, c.reused, c.missed, c.tracked, c.wroteHeaders = info.Conn, info.Reused, false, tracked, false
	if tracked != nil {
		c.wroteBefore = tracked.wrote.Load()
		c.taken = tracked.take(r.started)
		if tracked.join(info.Reused) {
			c.joined = tracked
			if !tracked.http2.Load() {
				tracked.ask(r, info)
			} else if tracked.tooOld() {
				tracked.transport.outgrow(tracked)
			}
		} else { // nothing can be written to it, and net/http looks for another, or gives up
			c.reused, c.missed = true, true // it is from the pool, though it may be unused
			abandon(info.Conn)
		}
	}
	if tracked == nil && info.Reused && !c.isHTTP2(info.Conn) && hasBytes(info.Conn) {
		c.missed = true
		abandon(info.Conn)
	}
	r.clear(dueConnect)
	if r.limiter != nil && c.isHTTP2(info.Conn) { // there may be no stream for the request
		r.resumeAcquire()
	} else {
		r.clear(dueAcquire)
		c.acquireLeft = 0
		r.set(dueWrite)
	}
	r.leaveHead()
}

// abandon closes a connection without a further write: TLS would send an alert.
func abandon(conn net.Conn) {
	if tracked := trackedBelow(conn); tracked != nil {
		tracked.failed.Store(true)
		conn = tracked
	}
	_ = conn.Close()
}

// wroteHeaders is called when the headers were written, or the write has failed. Over
// HTTP/1.1 the first of them are written afterwards, if they are short.
func (r *RoundTrip) wroteHeaders() {
	if !r.follows() {
		return
	}
	r.conn.mu.Lock()
	r.conn.wroteHeaders = true
	isHTTP2 := r.conn.isHTTP2(r.conn.conn)
	r.conn.mu.Unlock()
	if isHTTP2 && r.due[dueWrite].Load() == 0 { // over HTTP/2 the request has waited for a stream until now
		r.clear(dueAcquire)
		r.set(dueWrite)
	}
}

func (r *RoundTrip) wroteRequest(httptrace.WroteRequestInfo) {
	if r.follows() {
		r.clear(dueWrite)
		r.set(dueHeaders)
	}
}

// stopsResend ends the round trip if net/http is about to send the request again: it
// looks for a connection although the request had one and may have left on it. Neither
// the retry schedule nor the breaker would know of that request (decision 005).
//
// A RoundTripper around net/http's may send again for reasons of its own: from then on
// it is foreign.
func (r *RoundTrip) stopsResend() bool {
	c := &r.conn
	c.mu.Lock()
	if c.conn != nil && c.ended == nil {
		switch isHTTP2 := c.isHTTP2(c.conn); {
		case isHTTP2 && !c.wroteHeaders, !isHTTP2 && !c.mayHaveLeft(): // it has not been sent yet
			c.conn = nil
			r.clear(dueWrite)
		case r.wrapped != nil && r.wrapped.sendsAgain(isHTTP2 || c.reused):
			r.becomeForeign()
		case isHTTP2:
			c.ended = errUnread
		default:
			c.ended = errStale
		}
	}
	ended := c.ended != nil
	c.mu.Unlock()
	if ended {
		r.Context.End()
		if r.wrapped != nil {
			r.wrapped.cancel()
		}
	}
	return ended
}

// beginAcquire begins PhaseAcquire with a new search for a connection, or goes on with
// it: the limit is for all waits before there is a connection. A dial for an earlier
// search may go on, but the request does not wait for it.
func (r *RoundTrip) beginAcquire() {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	r.conn.search++
	r.clear(dueConnect)
	r.resumeAcquire()
}

// resumeAcquire goes on with PhaseAcquire within a search. The lock is held.
func (r *RoundTrip) resumeAcquire() {
	left := cmp.Or(r.conn.acquireLeft, r.limits.Acquire)
	if left > 0 && r.due[dueAcquire].Load() == 0 {
		r.setTo(dueAcquire, int64(r.elapsed()+left))
	}
}

// beginConnect leaves PhaseAcquire for PhaseConnect. The lock is held.
func (r *RoundTrip) beginConnect() {
	if due := r.due[dueAcquire].Swap(0); due > 0 {
		r.conn.acquireLeft = max(1, time.Duration(due)-r.elapsed())
	}
	r.set(dueConnect)
}

// dialling begins PhaseConnect for a dial, and again for its TLS handshake, which has the
// same limit. search is the one that the dial is for, zero for the current one; if it is
// over, the request does not wait for this dial. r is nil if the transport is used
// without a RoundTrip.
func (r *RoundTrip) dialling(search int32) int32 {
	if r == nil {
		return 0
	}
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	search = cmp.Or(search, r.conn.search)
	if r.conn.search == search && r.conn.conn == nil {
		r.beginConnect()
		r.leaveHead()
	}
	return search
}
