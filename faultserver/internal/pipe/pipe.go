// Package pipe connects a server and its clients in memory, without a socket: in a
// testing/synctest bubble, where one would stop the clock.
package pipe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// Listener accepts the far ends of pipes, each a [*Conn].
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen makes a Listener; close it.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial waits until it is accepted, or until ctx or the Listener ends.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	reset := new(atomic.Bool)
	select {
	case l.conns <- &Conn{far, reset, false}:
		return &Conn{near, reset, true}, nil
	case <-l.closed:
		return nil, Refused()
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: context.Cause(ctx)}
	}
}

// Refused is what a dial meets where nobody listens.
func Refused() error {
	return &net.OpError{Op: "dial", Net: "pipe", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// Accept gives the server's end of the next pipe.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends every Dial and Accept; the pipes stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr says that it is a pipe.
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "pipe" }
func (addr) String() string  { return "pipe" }

// Conn is one end of a pipe over which a reset can be told.
type Conn struct {
	net.Conn
	reset  *atomic.Bool // shared by both ends
	client bool
}

// ResetPeer makes what the client meets from now on a reset instead of an end of
// stream; whoever calls it closes the pipe next.
func (c *Conn) ResetPeer() { c.reset.Store(true) }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.seen("read", err)
}

func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.seen("write", err)
}

func (c *Conn) seen(op string, err error) error {
	gone := errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
	if c.client && gone && c.reset.Load() {
		return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}
