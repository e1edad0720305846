package wire

import (
	"net"
	"sync/atomic"
)

// trackedConn counts the bytes that are written to a connection, so that a round trip
// knows whether a part of its request can have left.
//
// Over HTTP/2 it also knows when the service's SETTINGS have arrived. They contain the
// maximum number of streams; before, net/http assumes a hundred. net/http acknowledges
// them in its second write after the handshake, and hands the connection out after the
// first.
type trackedConn struct {
	net.Conn
	limiter *connLimiter
	wrote   atomic.Int64
	closed  atomic.Bool

	writesToSettings atomic.Int32
	settings         chan struct{} // closed after the last of these writes, or with the connection
}

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

// Write counts before it writes: a Write that blocks may have written something.
func (c *trackedConn) Write(p []byte) (int, error) {
	if c.writesToSettings.Load() > 0 && c.writesToSettings.Add(-1) == 0 {
		defer close(c.settings)
	}
	c.wrote.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n - len(p)))
	return n, err
}

// Close gives the connection's place back, once.
func (c *trackedConn) Close() error {
	err := c.Conn.Close()
	if c.writesToSettings.Swap(0) > 0 {
		close(c.settings)
	}
	if c.closed.CompareAndSwap(false, true) {
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
}

// awaitSettings waits until the SETTINGS have arrived or done is closed.
func (c *trackedConn) awaitSettings(done <-chan struct{}) {
	select {
	case <-c.settings:
	case <-done:
	}
}
