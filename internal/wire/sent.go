package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connection is what the hooks have reported about the request's connection.
type connection struct {
	foreign        atomic.Bool // no hook reports on the request
	cleartextHTTP2 bool        // HTTP/2 is spoken without TLS
	sought         bool        // a transport that is not a Transport has looked for a connection; under mu

	mu           sync.Mutex    // guards the fields below
	acquireLeft  time.Duration // of Limits.Acquire, after a dial; zero is all of it
	conn         net.Conn      // nil before there is one
	tracked      *trackedConn  // nil if others have dialled it
	joined       *trackedConn  // the connection that counts the round trip as a user
	hooked       *trackedConn  // the first one: its hook is the request's
	taken        taken         // of tracked
	wroteBefore  int64         // bytes that were written to it before the request
	search       int32         // counts net/http's searches for a connection
	reused       bool
	missed       bool  // it was retired meanwhile, or had surplus bytes
	early        bool  // it was new, and the service had spoken before the request was written
	wroteHeaders bool  // over HTTP/2: the request's headers were written, or may have been
	ended        error // why the request must not have another connection
}

var (
	// net/http has no error for these: it sends the request again.
	errStale  = errors.New("the server closed the reused connection before it answered")
	errUnread = errors.New("the server refused the HTTP/2 stream unread")
)

// Reused reports whether other requests have used the connection before.
func (r *RoundTrip) Reused() bool {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return r.conn.reused
}

// Silent reports whether no byte of an answer has arrived, given the error of Do.
// limited: a limit has ended the round trip. Then nothing at all was heard of the
// connection, though other requests may use it.
func (r *RoundTrip) Silent(err error, limited bool) bool {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	if limited {
		if r.conn.tracked != nil {
			return r.conn.tracked.heard.Load() < r.conn.taken.seq
		}
		return r.conn.conn != nil // others have dialled it: nothing is known but that there was no answer
	}
	return r.conn.conn != nil && silent(err)
}

// silent reports whether an error of net/http's is of a connection over which no byte of
// an answer has arrived. net/http has no type for it: over HTTP/1.1 it repeats such
// requests itself, and gives the cause of all other errors behind these words.
func silent(err error) bool {
	if unprocessed(err) || errors.As(err, new(streamError)) || has[*otherAnswer](err) {
		return false // the service has spoken
	}
	if write, ok := errors.AsType[*net.OpError](err); ok && write.Op == "write" {
		return true
	}
	return !strings.Contains(err.Error(), "HTTP/1.x transport connection broken")
}

// Retire is called after End, if the round trip was Silent over a connection that others
// have used before. What is pooled and may have ended too is not used any more, unless
// something is heard of it until the next request. Of a pool that is not a Transport's
// nothing is known: all that is idle is closed.
func (r *RoundTrip) Retire(rt http.RoundTripper) {
	r.conn.mu.Lock()
	tracked, taken := r.conn.tracked, r.conn.taken
	r.conn.mu.Unlock()
	if tracked != nil {
		tracked.transport.lost.Store(&lost{taken, tracked.pool})
	} else if rt, ok := rt.(idleCloser); ok {
		rt.CloseIdleConnections()
	}
}

// CanRetire reports whether Retire can empty the pool. That of a RoundTripper around
// net/http's may be out of reach: then each of its stale connections has to be tried.
func CanRetire(rt http.RoundTripper) bool {
	_, ok := rt.(idleCloser) // as a Transport is
	return ok
}

// Missed reports whether the connection was retired while net/http handed it out, or had
// surplus bytes. Nothing of the request was written.
func (r *RoundTrip) Missed() bool {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return r.conn.missed
}

// endedEarly returns why the request must not have another connection, nil if it may:
// then a dial for it would be for nothing. r is nil if the transport is used without a
// RoundTrip.
func (r *RoundTrip) endedEarly() error {
	if r == nil {
		return nil
	}
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return r.conn.ended
}

// leaveConn ends the use of the connection.
func (r *RoundTrip) leaveConn() {
	r.conn.mu.Lock()
	c := r.conn.joined
	r.conn.joined = nil
	r.conn.mu.Unlock()
	if c != nil {
		c.leave(r.answer.Load() == answerRead)
	}
}

// Sent reports whether the request may have reached the service, given the error of Do.
// It is false only where that is proved: there was no connection, nothing was written
// to it, or the service has said that it did not process the request.
func (r *RoundTrip) Sent(err error) bool {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return r.conn.mayHaveLeft() && !unprocessed(err)
}

// isHTTP2 reports whether HTTP/2 is spoken over conn.
func (c *connection) isHTTP2(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.ConnectionState().NegotiatedProtocol == "h2"
	}
	return c.cleartextHTTP2
}

// mayHaveLeft reports whether a byte of the request may have been written.
func (c *connection) mayHaveLeft() bool {
	switch {
	case c.foreign.Load():
		return true
	case c.conn == nil, c.missed: // closed before the request was written
		return false
	}
	return c.tracked == nil || c.tracked.wrote.Load() != c.wroteBefore
}

// cause replaces an error of net/http that hides the cause. A RoundTripper around
// net/http's may return while its request goes on: after an error that request gets no
// connection, or Sent would not be true for long.
func (c *connection) cause(err error, wrapped bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil:
		return c.ended
	case wrapped:
		c.ended = err
	}
	if unprocessedWithBody(err) {
		return &unread{err}
	}
	if answer, ok := socksAnswer(err); ok {
		return answer
	}
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(plain.RecordHeader[:]) == "HTTP/" {
		return &schemeMismatch{plain}
	}
	return err
}

// unread is errUnread with net/http's error, which speaks of sending the request again.
type unread struct{ err error }

func (u *unread) Error() string   { return errUnread.Error() }
func (u *unread) Unwrap() []error { return []error{errUnread, u.err} }

// streamError has the form of net/http's error, so that errors.As can fill it.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "" }

const refusedStream = 7 // RFC 9113, 7

// unprocessed reports whether a service has said, over HTTP/2, that it did not process
// a request: it refused the stream (RFC 9113, 8.7), or left the stream out of those that
// it still processes before it closes the connection (6.8).
func unprocessed(err error) bool {
	var stream streamError
	switch {
	case err == nil:
		return false
	case errors.Is(err, errUnread):
		return true
	case errors.As(err, &stream):
		return stream.Code == refusedStream
	}
	// The other errors have no type. These are the words for a stream that a GOAWAY
	// leaves out; for one that was being processed net/http says "server sent GOAWAY
	// and closed".
	s := err.Error()
	return strings.HasPrefix(s, "http2: Transport received GOAWAY from server") ||
		strings.Contains(s, "http2: Transport received Server's graceful shutdown GOAWAY") || unprocessedWithBody(err)
}

// unprocessedWithBody is unprocessed for a request that has a body.
func unprocessedWithBody(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "http2: Transport: cannot retry err [stream error:") && strings.Contains(s, "; REFUSED_STREAM;")
}
