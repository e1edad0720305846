// Package pipe connects a server and its clients in memory. In a
// testing/synctest bubble a socket would stop the clock.
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

// Listener accepts the server's ends of pipes, each a [*Conn].
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a Listener. Close it after use.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial waits until the connection is accepted, or until ctx or the Listener ends.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	reset := new(atomic.Bool)
	select {
	case l.conns <- &Conn{server, reset, false}:
		return &Conn{client, reset, true}, nil
	case <-l.closed:
		return nil, Unreachable()
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: context.Cause(ctx)}
	}
}

// Unreachable returns the error of a dial without a listener.
func Unreachable() error {
	return &net.OpError{Op: "dial", Net: "pipe", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// Accept returns the server's end of the next pipe.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends every Dial and Accept. Pipes stay open.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the network "pipe".
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "pipe" }
func (addr) String() string  { return "pipe" }

// Conn is one end of a pipe that can be reset.
type Conn struct {
	net.Conn
	reset  *atomic.Bool // shared by both ends
	client bool
}

// ResetPeer turns the client's end of stream into a reset. The caller then
// closes the pipe.
func (c *Conn) ResetPeer() { c.reset.Store(true) }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.asReset("read", err)
}

func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.asReset("write", err)
}

func (c *Conn) asReset(op string, err error) error {
	gone := errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
	if c.client && gone && c.reset.Load() {
		return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}
