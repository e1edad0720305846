package faultserver

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/internal/pipe"
)

// connection is one accepted connection. Faults of connections strike in the
// first Read, which net/http calls in the connection's own goroutine.
type connection struct {
	net.Conn // a socket, or one end of a pipe

	number int              // from 1
	late   time.Duration    // delay before the first read
	fault  *fault.ConnFault // nil: none
	begun  bool             // the first Read has been called

	next    atomic.Pointer[fault.End] // the way the next byte ends the connection; nil: it does not
	surplus atomic.Pointer[[]byte]    // what is sent before that
	behind  atomic.Pointer[[]byte]    // what is sent together with the next Write
	secure  net.Conn                  // TLS over the connection; nil: none
	ending  atomic.Bool               // the connection is being ended: net/http no longer sets deadlines
	closing <-chan struct{}           // of the server
	closed  chan struct{}
	once    sync.Once
}

// take wraps an accepted connection and applies the plan to it.
func (s *Server) take(c net.Conn) *connection {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
	d := s.run.machine.NextConnection(s.run.since(now))
	if d.Rule >= 0 {
		s.run.record.Add(Attempt{
			At:         s.run.at(now),
			Connection: s.connections,
			Rule:       d.Rule,
			N:          d.N,
			Faults:     d.IDs,
			Delay:      d.Delay,
		})
	}
	return &connection{Conn: c, number: s.connections, late: d.Delay, fault: d.Fault, closing: s.closing, closed: make(chan struct{})}
}

func (c *connection) Read(b []byte) (int, error) {
	if !c.begun {
		c.begun = true
		if !c.begin() {
			return 0, io.EOF
		}
	}
	n, err := c.Conn.Read(b)
	if n == 0 {
		return n, err
	}
	if end := c.next.Load(); end != nil {
		if surplus := c.surplus.Load(); surplus != nil {
			c.over().Write(*surplus)
		}
		c.end(*end)
		return 0, io.EOF
	}
	if c.fault != nil && c.fault.TLS == fault.TLSAlert {
		c.Conn.Write(handshakeFailure)
		c.end(fault.FIN)
		return 0, io.EOF
	}
	return n, err
}

// begin runs before the first byte is read. It returns false if no byte will be
// read.
func (c *connection) begin() bool {
	if c.late > 0 {
		timer := time.NewTimer(c.late)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closing:
		case <-c.closed:
		}
	}
	switch f := c.fault; {
	case f == nil:
		return true
	case f.Close:
		c.Close()
	case f.Reset:
		c.reset()
	case f.Hang, f.TLS == fault.TLSHandshakeStall:
		discard(c.Conn)
	default:
		return true
	}
	return false
}

// Write adds what is to be sent together with the bytes.
func (c *connection) Write(b []byte) (int, error) {
	behind := c.behind.Swap(nil)
	if behind == nil {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(slices.Concat(b, *behind))
	return min(n, len(b)), err
}

// over is the connection as HTTP is spoken over it.
func (c *connection) over() net.Conn {
	if c.secure != nil {
		return c.secure
	}
	return c
}

// endNext makes the next byte that arrives end the connection.
func (c *connection) endNext(end fault.End) { c.next.Store(&end) }

// end ends the connection, if possible with a FIN and without a RST after it.
func (c *connection) end(end fault.End) {
	if end == fault.RST {
		c.reset()
		return
	}
	// The kernel would answer unread bytes with a RST, and a pipe would fail
	// the client's write.
	c.ending.Store(true)
	c.CloseWrite()
	c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	discard(c.Conn)
	c.Close()
}

// reset ends the connection with a RST: with a linger time of zero the kernel
// discards unsent bytes and resets.
func (c *connection) reset() {
	switch inner := c.Conn.(type) {
	case *net.TCPConn:
		inner.SetLinger(0) // fails only if the connection is already closed
	case *pipe.Conn:
		inner.ResetPeer()
	}
	c.Close()
}

// SetReadDeadline is called by net/http to stop its background read.
func (c *connection) SetReadDeadline(at time.Time) error {
	if c.ending.Load() {
		return nil
	}
	return c.Conn.SetReadDeadline(at)
}

func (c *connection) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		err = c.Conn.Close()
	})
	return err
}

// CloseWrite sends a FIN and keeps reading, which a pipe cannot do. net/http
// calls it before it closes a connection with unread input.
func (c *connection) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

// discard reads to the end with a small buffer, since thousands of connections
// may hang.
func discard(r io.Reader) {
	var b [256]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
	}
}
