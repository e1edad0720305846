package faultserver

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/pipe"
)

// connection is one accepted connection. What strikes it before any request
// exists strikes within its first Read, which whoever serves it calls from a
// goroutine of its own.
type connection struct {
	net.Conn // a socket, or one end of a pipe

	number int              // from 1
	late   time.Duration    // before anything is read
	fault  *fault.ConnFault // nil: none
	begun  bool             // the first Read has been called

	next    atomic.Pointer[fault.End] // how the next byte that arrives ends it; nil: it does not
	ending  atomic.Bool               // it is being ended: deadlines are no longer net/http's to set
	closing <-chan struct{}           // of the server
	closed  chan struct{}
	once    sync.Once
}

// take makes a connection of what was accepted, and asks the plan about it.
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

// begin does what comes before the first byte is read; false if none will be.
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

// endNext has the next byte that arrives end the connection.
func (c *connection) endNext(end fault.End) { c.next.Store(&end) }

// end ends the connection, as far as possible with a FIN that no RST follows.
func (c *connection) end(end fault.End) {
	if end == fault.RST {
		c.reset()
		return
	}
	// The kernel would answer bytes that nobody has read with a RST, and a pipe
	// would fail the write.
	c.ending.Store(true)
	c.CloseWrite()
	c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	discard(c.Conn)
	c.Close()
}

// reset ends the connection with a RST: what lingers for zero seconds is thrown
// away by the kernel, which then tells the other side so.
func (c *connection) reset() {
	switch inner := c.Conn.(type) {
	case *net.TCPConn:
		inner.SetLinger(0) // fails only if the connection is gone already
	case *pipe.Conn:
		inner.ResetPeer()
	}
	c.Close()
}

// SetReadDeadline is how net/http breaks off its reading ahead.
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

// CloseWrite sends a FIN and still reads; a pipe cannot do that. net/http does so
// before it closes a connection that has sent more than was read.
func (c *connection) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

// discard reads what comes, to the end, in little memory: thousands may hang.
func discard(r io.Reader) {
	var b [256]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
	}
}
