package wire

import (
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// trackedConn counts the bytes that are written to a connection, so that a round trip
// knows whether a part of its request can have left.
//
// Over HTTP/2 it also knows when the service's SETTINGS have arrived. They contain the
// maximum number of streams; before, net/http assumes a hundred. net/http acknowledges
// them in its second write after the handshake, and hands the connection out after the
// first.
//
// It knows the round trips that use it, and when something was last read from it, so
// that a connection can be retired that nothing uses or is heard of. And it finds bytes that
// no request has asked for: see asking.
type trackedConn struct {
	net.Conn
	asking
	unasked   unasked
	transport *Transport
	limiter   *connLimiter    // of the transport
	pool      *http.Transport // that has dialled it
	addr      string          // that it was dialled to: the service's, or a proxy's
	wrote     atomic.Int64
	closed    atomic.Bool
	http2     atomic.Bool
	users     atomic.Int32  // round trips; or unused, or retired
	suspect   atomic.Bool   // it was unused when others were retired
	born      uint64        // the limiter's seq when it was dialled
	heard     atomic.Uint64 // the seq of the last Read that has returned something
	used      atomic.Int64  // when its last round trip started, in Unix nanoseconds
	expires   int64         // when it is too old, likewise; zero is never
	long      atomic.Bool   // it carries a stream over HTTP/1

	writesToSettings atomic.Int32
	settings         chan struct{} // closed after the last of these writes, or with the connection
}

// taken is what is known of a connection when a round trip takes it.
type taken struct {
	seq   uint64        // the limiter's
	heard uint64        // the connection's
	idle  time.Duration // since its last round trip started; zero before the second
}

// idleLong is the time after which connections end because they are idle: timers of
// services and of what lies between are longer.
const idleLong = time.Second

const (
	unused  = -1 // no round trip has had it: it may not be ready yet
	retired = math.MinInt32
)

// trackedBelow returns the tracked connection below TLS, nil for a connection that the
// Transport has not dialled.
func trackedBelow(conn net.Conn) *trackedConn {
	for {
		switch c := conn.(type) {
		case *trackedConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// take gives the connection to a round trip that started at a time.
func (c *trackedConn) take(started time.Time) taken {
	t := taken{seq: c.limiter.seq.Add(1), heard: c.heard.Load()}
	at := started.UnixNano()
	if before := c.used.Swap(at); before > 0 {
		t.idle = time.Duration(at - before)
	}
	return t
}

// tooOld reports whether the connection was too old when its last round trip started.
func (c *trackedConn) tooOld() bool { return c.expires > 0 && c.used.Load() >= c.expires }

// carryStream is called when the answer is a stream: the connection does not count any
// more, unless it carries other requests too.
func (c *trackedConn) carryStream() {
	if !c.http2.Load() && !c.long.Swap(true) {
		c.limiter.carry(1)
	}
}

// Read notes that something was heard.
func (c *trackedConn) Read(p []byte) (int, error) {
	c.readBegins()
	n, err := c.Conn.Read(p)
	c.readEnds(p[:max(n, 0)], err)
	if n > 0 {
		c.heard.Store(c.limiter.seq.Load())
		c.readUnasked(n)
	}
	return n, err
}

// join takes the connection for a round trip; false if it is retired. A connection that
// was suspect before its first use is retired if it comes from the pool: over HTTP/1.1,
// since one of HTTP/2 that others share may be new.
func (c *trackedConn) join(pooled bool) bool {
	for {
		n := c.users.Load()
		if n == retired || n == unused && pooled && c.suspect.Load() && !c.http2.Load() {
			return false
		}
		if c.users.CompareAndSwap(n, max(n, 0)+1) {
			c.unasked.count.Store(0)
			return true
		}
	}
}

// leave ends the use by a round trip; whole means that it has all of its answer. The last
// one closes the connection if it is too old, or if its pool gets no more requests.
func (c *trackedConn) leave(whole bool) {
	if !whole {
		c.unasked.unread.Add(unreadMost)
	}
	if c.long.Load() {
		c.carriedStream()
	}
	if c.users.Add(-1) == 0 && (c.tooOld() || c.pool != c.transport.current.Load()) && c.users.CompareAndSwap(0, retired) {
		_ = c.Close()
	}
}

func (c *trackedConn) carriedStream() {
	if c.long.Swap(false) {
		c.limiter.carry(-1)
	}
}

// Write counts before it writes: a Write that blocks may have written something.
func (c *trackedConn) Write(p []byte) (int, error) {
	if !c.mayWrite() {
		return 0, errSurplus
	}
	if c.writesToSettings.Load() > 0 && c.writesToSettings.Add(-1) == 0 {
		defer close(c.settings)
	}
	c.wrote.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	return n, err
}

// ReadFrom is called by net/http for the body of a request, without TLS. A file goes from
// the system's memory to the socket.
func (c *trackedConn) ReadFrom(from io.Reader) (int64, error) {
	if !c.mayWrite() {
		return 0, errSurplus
	}
	if limited, ok := from.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*requestBody); ok {
			if n, err, ok := body.sendFile(c, limited.N); ok {
				limited.N -= n
				return n, err
			}
		}
	}
	return io.Copy(onlyWriter{c}, from)
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// Close gives the connection's place back, once.
func (c *trackedConn) Close() error {
	c.closes()
	err := c.Conn.Close()
	if c.writesToSettings.Swap(0) > 0 {
		close(c.settings)
	}
	if c.closed.CompareAndSwap(false, true) {
		c.wake()
		c.carriedStream()
		c.limiter.remove(c)
	}
	return err
}

// expectSettings is called between a handshake that has agreed on HTTP/2 and the first
// write.
func (c *trackedConn) expectSettings() {
	c.limiter.http2.Store(true)
	c.settings = make(chan struct{})
	c.writesToSettings.Store(2)
	c.http2.Store(true) // the last, for isReady
}

// isReady reports whether HTTP/2 is spoken over the connection and its SETTINGS have
// arrived. Such a connection may be unused: the request that it was dialled for took
// another.
func (c *trackedConn) isReady() bool { return c.http2.Load() && c.writesToSettings.Load() == 0 }

// awaitSettings waits until the SETTINGS have arrived or done is closed.
func (c *trackedConn) awaitSettings(done <-chan struct{}) {
	select {
	case <-c.settings:
	case <-done:
	}
}
