package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// counted is a connection that counts what has been written to it, so that an
// attempt can tell whether anything of it can have left.
type counted struct {
	net.Conn
	wrote atomic.Int64

	lot    *lot // nil for a connection of others
	closed atomic.Bool

	// An HTTP/2 connection is settled when the service's settings are known, which
	// say how many streams it may have: until then net/http believes in a hundred.
	// They are acknowledged, and the acknowledgement is the second thing that is
	// written after the handshake: net/http hands the connection out after the first,
	// which is the preface, and who is given it waits.
	greeting atomic.Int32  // of these writes, how many are still to come
	settled  chan struct{} // closed by the last
}

// greet is called when a handshake has agreed on HTTP/2, before more is written.
func (c *counted) greet() {
	if c.lot != nil {
		c.lot.shared.Store(true)
	}
	c.settled = make(chan struct{})
	c.greeting.Store(2)
}

// Close tells the lot, once.
func (c *counted) Close() error {
	err := c.Conn.Close()
	if c.greeting.Swap(0) > 0 { // whoever waits for it finds that it is closed
		close(c.settled)
	}
	if c.closed.CompareAndSwap(false, true) && c.lot != nil {
		c.lot.left(c)
	}
	return err
}

func (c *counted) Write(p []byte) (int, error) {
	if c.greeting.Load() > 0 && c.greeting.Add(-1) == 0 {
		defer close(c.settled)
	}
	// Beforehand: a Write that blocks may have written something.
	c.wrote.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	return n, err
}

// countedBelow finds the counted connection below TLS; nil if the connection was
// opened by others.
func countedBelow(conn net.Conn) *counted {
	for {
		switch c := conn.(type) {
		case *counted:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// http2 reports whether HTTP/2 is spoken over conn.
func (c *connection) http2(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.ConnectionState().NegotiatedProtocol == "h2"
	}
	return c.clear
}

// connection is what a Trip knows of the connection that it was given.
type connection struct {
	foreign atomic.Bool // no hook tells what becomes of the request
	clear   bool        // HTTP/2 is spoken without TLS: there is nothing to be negotiated
	reused  bool
	headed  bool // over HTTP/2: the request's headers were written, or may have been

	mu     sync.Mutex    // of all but the first two
	search int           // counts what net/http looks for a connection for the request
	left   time.Duration // of the limit Pool, when it was left for a dial; zero is all of it
	conn   net.Conn      // nil before there is one
	count  *counted
	before int64 // what had been written to it
	ended  error // why the request is to have no other connection
}

var (
	// errStale is what net/http does not tell: it sends such a request again.
	errStale = errors.New("the server closed the reused connection before it answered")
	// errUnread is that of HTTP/2, where it means that the stream was refused.
	errUnread = errors.New("the server refused the HTTP/2 stream unread")
)

// mayHaveLeft reports whether a byte of the request can have been written.
func (c *connection) mayHaveLeft() bool {
	switch {
	case c.foreign.Load():
		return true
	case c.conn == nil:
		return false
	}
	return c.count == nil || c.count.wrote.Load() != c.before
}

// why is the error in whose place net/http gave another. A RoundTripper around it may
// return while what it began goes on: after an error, no connection is for that.
func (t *Trip) why(err error) error {
	c := &t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case c.ended != nil:
		return c.ended
	case t.wrapped != nil:
		c.ended = err
	}
	if refusedWithBody(err) {
		return &unread{err}
	}
	return err
}

// unread is a stream that was refused, where net/http's words are about how to have
// it sent again unseen.
type unread struct{ err error }

func (u *unread) Error() string   { return errUnread.Error() }
func (u *unread) Unwrap() []error { return []error{errUnread, u.err} }

// getConn is called before net/http looks for a connection.
func (t *Trip) getConn(string) {
	if t.follows() && !t.resent() && t.lot != nil { // of others it is not known when they dial
		t.pool()
	}
}

// resent reports whether net/http is about to send the request again: it wants a
// connection for one that may have left already. It would do so where nobody
// counts, waits or asks the breaker: so that is the end of the attempt, and the
// retry schedule decides. (Decision 005.)
//
// A RoundTripper around net/http's has its own reasons: it is not followed any further.
func (t *Trip) resent() bool {
	c := &t.conn
	c.mu.Lock()
	if c.conn != nil && c.ended == nil {
		switch shared := c.http2(c.conn); {
		case !shared && !c.mayHaveLeft(), shared && !c.headed: // it goes on as if there had been none
			c.conn = nil
			t.clear(writing)
		case t.wrapped != nil && t.wrapped.sendsAgain(shared || c.reused):
			t.lose()
		case shared:
			c.ended = errUnread
		default:
			c.ended = errStale
		}
	}
	again := c.ended != nil
	c.mu.Unlock()
	if again {
		t.Context.End()
		if t.wrapped != nil {
			t.wrapped.cancel()
		}
	}
	return again
}

// gotConn is called when it has one.
func (t *Trip) gotConn(info httptrace.GotConnInfo) {
	if !t.follows() {
		return
	}
	t.resent() // HTTP/2 does not always announce it
	c := &t.conn
	count := countedBelow(info.Conn)
	if count != nil && count.greeting.Load() > 0 {
		c.mu.Lock()
		c.search++ // what is dialled for the request is not what it waits for
		t.connect()
		c.mu.Unlock()
		select {
		case <-count.settled:
		case <-t.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.foreign.Load() {
		return
	}
	if c.ended != nil {
		// The context has ended, but net/http may have had the connection in its
		// hand, and HTTP/1 writes before it looks. HTTP/2 looks first, and its
		// connection is not for this request alone.
		if !c.http2(info.Conn) {
			abandon(info.Conn)
		}
		return
	}
	c.conn, c.reused, c.count, c.headed = info.Conn, info.Reused, count, false
	if c.count != nil {
		c.before = c.count.wrote.Load()
	}
	t.clear(connecting)
	if t.lot != nil && c.http2(info.Conn) { // there may be no stream for it after all
		t.resume()
	} else {
		t.clear(pooling)
		c.left = 0
		t.set(writing)
	}
	t.leaveTurn()
}

// wroteHeaders is called when the headers were written, or have failed to be.
func (t *Trip) wroteHeaders() {
	if !t.follows() {
		return
	}
	t.conn.mu.Lock()
	t.conn.headed = true
	t.conn.mu.Unlock()
	if t.due[writing].Load() == 0 { // HTTP/2 had to wait for a stream until now
		t.clear(pooling)
		t.set(writing)
	}
}

// abandon closes a connection without a word: TLS would take leave.
func abandon(conn net.Conn) {
	if below := countedBelow(conn); below != nil {
		conn = below
	}
	_ = conn.Close()
}

// Reused reports whether others had used the connection before.
func (t *Trip) Reused() bool {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	return t.conn.reused
}

// Sent reports whether the request can have reached the service, given what
// RoundTrip returned. It is false only where that is proved: no connection was
// had, nothing was written to it, or the service said that it did not read the
// request.
func (t *Trip) Sent(err error) bool {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	return t.conn.mayHaveLeft() && !refused(err)
}

// streamError has the form of net/http's own, which is how it can be asked for.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "" }

const refusedStream = 7 // RFC 9113, 7

// refused reports whether a service has said, by HTTP/2, that it did not process
// a request: it refused the stream (RFC 9113, 8.7), or left it out of what it
// still processes before it goes away (6.8).
func refused(err error) bool {
	var stream streamError
	switch {
	case err == nil:
		return false
	case errors.Is(err, errUnread):
		return true
	case errors.As(err, &stream):
		return stream.Code == refusedStream
	}
	// The others have no type to ask for. A request with a body comes back in
	// words: "cannot retry err [stream error: stream ID 5; REFUSED_STREAM; …".
	// A GOAWAY is told in these words only to streams that it leaves out; of one
	// that was under way net/http says "server sent GOAWAY and closed".
	s := err.Error()
	return strings.HasPrefix(s, "http2: Transport received GOAWAY from server") ||
		strings.Contains(s, "http2: Transport received Server's graceful shutdown GOAWAY") || refusedWithBody(err)
}

func refusedWithBody(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "http2: Transport: cannot retry err [stream error:") && strings.Contains(s, "; REFUSED_STREAM;")
}
