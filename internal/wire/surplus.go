package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Over HTTP/1.1 an answer belongs to a request by its place alone. A service that sends more
// than its Content-Length leaves bytes that net/http takes for the next answer, if the
// connection is in use again before they are read. So a trackedConn knows whether a byte
// was there before the request was written. Such bytes are surplus: the connection is
// closed, and nothing of the request has left.
//
// The order of events shows it. Between two answers net/http reads only when its buffer is
// empty. So before the first Write of a request one of these happens: a Read begins, and
// there was no byte until then; or net/http finds a byte in its buffer, and calls the
// hook GotFirstResponseByte of the request. The Write waits for the first of them. Bytes that
// the system has received and that are not read yet are found by looking at the socket.
//
// Bytes that are still on their way when the request is written cannot be told from its
// answer.

// errSurplus is the error of a request on a connection that has bytes of another answer.
var errSurplus = errors.New("the service sent bytes before they were asked for: they are no answer to this request")

// askState tells whether a request may be written to a connection of HTTP/1.1.
type askState = int32

const (
	stateOpen    askState = iota // no request has had it, or the last one was written
	stateIdle                    // the last answer was read
	stateReused                  // the request is about to be written, and is not the first
	stateFirst                   // it is the first: over TLS session tickets may arrive
	stateSurplus                 // there are surplus bytes
)

// asking is the part of a trackedConn that finds surplus bytes.
type asking struct {
	state   atomic.Int32
	reading atomic.Bool               // a Read is under way
	waiting atomic.Bool               // a Write waits for a Read to begin
	asker   atomic.Pointer[RoundTrip] // that has the hook
	began   func()                    // the hook GotFirstResponseByte
	idled   func(error)               // the hook PutIdleConn
	failed  atomic.Bool               // a Read has failed, or a round trip has given the connection up
	secure  atomic.Bool               // TLS is spoken: what a Read returns may be no part of an answer
	look    socketLook

	mu      sync.Mutex // guards the fields below
	cond    sync.Cond  // of waiting
	timer   world.Timer
	tooLate bool // no Read has begun within readerTime
}

// readerTime bounds the wait for a Read. It takes microseconds, unless TLS writes within a
// Read: it waits for the Write then.
const readerTime = 100 * time.Millisecond

// init is called before the first use.
func (c *asking) init(conn net.Conn) {
	c.cond.L = &c.mu
	c.began, c.idled = c.answerBegins, c.becomesIdle
	c.look.init(conn)
}

// ask is called before r writes its request. reused: the connection had another before.
//
// The hook of a request stays the one of its first connection, also if net/http moves it to
// another: net/http may read the field at any time.
func (c *trackedConn) ask(r *RoundTrip, info httptrace.GotConnInfo) {
	_, secure := info.Conn.(*tls.Conn)
	c.secure.Store(secure)
	to := stateFirst
	if info.Reused {
		to = stateReused
	}
	if c.state.Swap(to) == stateSurplus {
		c.state.Store(stateSurplus)
	}
	if r.trace.GotFirstResponseByte == nil { // otherwise installHooks has set it
		c.asker.Store(r)
		r.conn.hooked, r.trace.GotFirstResponseByte, r.trace.PutIdleConn = c, c.began, c.idled
	}
}

// unask is called at the end of the round trip, so that an idle connection does not keep it.
func (r *RoundTrip) unask() {
	r.conn.mu.Lock()
	c := r.conn.hooked
	r.conn.mu.Unlock()
	if c != nil {
		c.asker.CompareAndSwap(r, nil)
	}
}

// answerBegins finds the connection by its request.
func (c *asking) answerBegins() {
	if r := c.asker.Load(); r != nil {
		r.answerBegins()
	}
}

// becomesIdle finds the connection by its request.
func (c *asking) becomesIdle(err error) {
	if r := c.asker.Load(); r != nil {
		r.becomesIdle(err)
	}
}

// becomesIdle is called by net/http when the answer was read and another request may have
// the connection, before net/http reads from it again.
func (r *RoundTrip) becomesIdle(err error) {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	if c := r.conn.tracked; c != nil && err == nil {
		c.state.CompareAndSwap(stateOpen, stateIdle) // otherwise another request has it already
	}
}

// answerBegins is called by net/http before it reads an answer, when its first byte is there.
func (r *RoundTrip) answerBegins() {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	c := r.conn.tracked
	switch {
	case c == nil:
	case c.state.CompareAndSwap(stateReused, stateSurplus):
		c.transport.metSurplus()
		c.wake()
	case c.state.CompareAndSwap(stateFirst, stateOpen):
		r.conn.early = true
		c.wake()
	}
}

// mayWrite is called before each Write. Before the first of a request it waits until it is
// known whether there are surplus bytes, and is false if there are.
func (c *trackedConn) mayWrite() bool {
	for {
		switch state := c.state.Load(); state {
		case stateSurplus:
			return false
		case stateReused, stateFirst:
			switch {
			case c.closed.Load():
				return true // Write reports it
			case !c.reading.Load():
				if !c.awaitReader() { // the order is not known
					c.state.CompareAndSwap(stateReused, stateSurplus)
					c.state.CompareAndSwap(stateFirst, stateOpen)
				}
			case state == stateReused && c.transport.once.Load() != 0:
				c.state.CompareAndSwap(state, stateSurplus)
			case state == stateReused:
				if bytes := c.look.bytes(); len(bytes) == 0 {
					if c.state.CompareAndSwap(state, stateOpen) {
						return true
					}
				} else if c.state.CompareAndSwap(state, stateSurplus) {
					c.tellSurplus(bytes)
				}
			case c.state.CompareAndSwap(state, stateOpen):
				return true
			}
		default:
			return true
		}
	}
}

// awaitReader waits until a Read is under way, the state has changed or the connection is
// closed; false if that takes too long.
func (c *trackedConn) awaitReader() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	if c.timer == nil {
		var sockets world.World
		c.timer = sockets.AfterFunc(readerTime, c.beTooLate)
	} else {
		c.timer.Reset(readerTime)
	}
	defer c.timer.Stop()
	for c.tooLate = false; !c.tooLate; c.cond.Wait() {
		if state := c.state.Load(); c.reading.Load() || state != stateReused && state != stateFirst || c.closed.Load() {
			return true
		}
	}
	return false
}

func (c *asking) beTooLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tooLate = true
	c.cond.Broadcast()
}

// wake wakes the Write that waits.
func (c *asking) wake() {
	if c.waiting.Load() {
		c.mu.Lock()
		c.cond.Broadcast()
		c.mu.Unlock()
	}
}

// readBegins is called before each Read of the connection.
func (c *asking) readBegins() {
	c.reading.Store(true)
	c.wake()
}

// readEnds is called after it, with what it returns. Without a request that was
// written they are surplus. Over TLS an idle connection may get others, which TLS keeps to
// itself; so there only a connection is given up that is about to be used.
func (c *trackedConn) readEnds(bytes []byte, err error) {
	if err != nil {
		c.failed.Store(true)
	}
	c.reading.Store(false)
	if len(bytes) == 0 {
		return
	}
	if c.state.CompareAndSwap(stateReused, stateSurplus) {
		c.wake()
		c.tellSurplus(bytes)
	} else if !c.secure.Load() && c.state.CompareAndSwap(stateIdle, stateSurplus) {
		c.tellSurplus(bytes)
	}
}

// tellSurplus tells the transport of surplus bytes, unless they may be none of an answer to
// a request: a service may send 408 before it closes an idle connection (RFC 9110, 15.5.9).
func (c *trackedConn) tellSurplus(bytes []byte) {
	const version, status = len("HTTP/1.1"), " 408"
	if c.secure.Load() || len(bytes) >= version+len(status) && string(bytes[version:version+len(status)]) == status {
		return
	}
	c.transport.metSurplus()
}

// closes is called before the connection is closed. net/http closes an idle one that it does not
// read from if it finds bytes in its buffer.
func (c *trackedConn) closes() {
	t := c.transport
	if c.state.Load() == stateIdle && !c.reading.Load() && !c.failed.Load() && !c.secure.Load() &&
		c.users.Load() != retired && t.closing.Load() == 0 {
		t.metSurplus()
	}
}

// onceTime is how long a connection of HTTP/1.1 is used for one request only, after
// surplus bytes were met.
const onceTime = 10 * time.Minute

// metSurplus is called when a service has sent surplus bytes. It may send more of them, later
// than the next request. So for a time no connection is used again.
func (t *Transport) metSurplus() {
	var sockets world.World
	t.once.Store(sockets.Now().Add(onceTime).UnixNano())
}

func (t *Transport) disablesKeepAlives() bool { return t.cfg.MaxIdleConns == 0 || t.once.Load() != 0 }

// trust is called before a request, at its start. It lets later requests have a pool without
// connections if surplus bytes were met, and one with connections after some time.
func (t *Transport) trust(now time.Time) {
	until := t.once.Load()
	if until == 0 {
		return
	}
	if now.UnixNano() >= until && !t.once.CompareAndSwap(until, 0) {
		return
	}
	before := t.current.Load()
	if before.DisableKeepAlives == t.disablesKeepAlives() {
		return
	}
	t.limiter.boundBoth()
	if t.current.CompareAndSwap(before, t.pool()) {
		t.limiter.closeIdle(before)
	}
}

// otherAnswer is the error for an answer without the id of its request.
type otherAnswer struct {
	header string // of the id
	none   bool   // the answer has none
}

func (e *otherAnswer) Error() string {
	if e.none {
		return "the answer has no " + e.header + ": it may be to another request"
	}
	return "the answer has another " + e.header + ": it is to another request"
}

// Disown closes the connection of an answer that has not the id of its request in a header, and
// returns the error for it. Over HTTP/2 the answers of others have streams of their own, and
// only this one is closed.
func (r *RoundTrip) Disown(resp *http.Response, header string) error {
	err := &otherAnswer{header, len(resp.Header[header]) == 0}
	r.conn.mu.Lock()
	conn, tracked := r.conn.conn, r.conn.tracked
	if conn != nil && r.conn.isHTTP2(conn) {
		conn = nil
	}
	r.conn.mu.Unlock()
	if conn != nil {
		if tracked != nil && !err.none {
			tracked.transport.metSurplus()
		}
		abandon(conn)
	}
	_ = resp.Body.Close()
	return err
}

// withoutSurplus returns what net/http has returned, unless the answer was there before the
// request was written. A connection that was not used before may have such an answer if it
// declines: a service that has no room for another connection sends it so.
func (r *RoundTrip) withoutSurplus(resp *http.Response, err error) (*http.Response, error) {
	r.conn.mu.Lock()
	c, conn, surplus := r.conn.tracked, r.conn.conn, false
	switch {
	case conn == nil, r.conn.foreign.Load():
	case c == nil:
		surplus = resp != nil && (r.conn.early || r.conn.missed)
	case c.http2.Load():
	case r.conn.early:
		surplus = resp != nil && resp.StatusCode < http.StatusBadRequest
	case !r.conn.mayHaveLeft() && (resp != nil || c.state.Load() == stateSurplus):
		surplus, r.conn.missed, r.conn.reused = true, true, true
	}
	r.conn.mu.Unlock()
	if !surplus {
		return resp, err
	}
	abandon(conn)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	return nil, errSurplus
}
