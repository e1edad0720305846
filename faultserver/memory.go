package faultserver

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

// pipeListener accepts the far ends of pipes: a net.Listener without a socket.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	reset := new(atomic.Bool)
	select {
	case l.conns <- &pipeConn{far, reset, false}:
		return &pipeConn{near, reset, true}, nil
	case <-l.closed:
		return nil, refused()
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: context.Cause(ctx)}
	}
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "pipe", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// pipeConn is one end of a pipe over which a reset can be told.
type pipeConn struct {
	net.Conn
	reset  *atomic.Bool // shared by both ends
	client bool
}

// resetPeer makes what the client meets from now on a reset instead of an end of
// stream; whoever calls it closes the pipe next.
func (c *pipeConn) resetPeer() { c.reset.Store(true) }

func (c *pipeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.seen("read", err)
}

func (c *pipeConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.seen("write", err)
}

func (c *pipeConn) seen(op string, err error) error {
	gone := errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
	if c.client && gone && c.reset.Load() {
		return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, syscall.ECONNRESET)}
	}
	return err
}
