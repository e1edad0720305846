package faultserver

import (
	"net"
	"sync"
	"time"
)

// gate is the listener that the HTTP server accepts from. It can be shut, so
// that nobody listens and connecting is refused, and opened again on the same
// address.
type gate struct {
	take func(net.Conn) *connection
	addr string

	mu      sync.Mutex
	inner   net.Listener  // nil while it is shut
	changed chan struct{} // closed when inner or closed changes
	closed  bool
}

func newGate(inner net.Listener, take func(net.Conn) *connection) *gate {
	return &gate{take: take, addr: inner.Addr().String(), inner: inner, changed: make(chan struct{})}
}

// Accept waits while the gate is shut.
func (g *gate) Accept() (net.Conn, error) {
	for {
		inner, changed, closed := g.state()
		switch {
		case closed:
			return nil, net.ErrClosed
		case inner == nil:
			<-changed
			continue
		}
		c, err := inner.Accept()
		if err == nil {
			return g.take(c), nil
		}
		if now, _, closed := g.state(); now == inner && !closed {
			return nil, err
		}
	}
}

func (g *gate) state() (net.Listener, <-chan struct{}, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inner, g.changed, g.closed
}

// set shuts or opens the gate; false if the port cannot be had just now.
func (g *gate) set(shut bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || shut == (g.inner == nil) {
		return true
	}
	if shut {
		g.inner.Close()
		g.inner = nil
	} else {
		inner, err := net.Listen("tcp", g.addr)
		if err != nil {
			return false
		}
		g.inner = inner
	}
	close(g.changed)
	g.changed = make(chan struct{})
	return true
}

func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	close(g.changed)
	if g.inner == nil {
		return nil
	}
	return g.inner.Close()
}

func (g *gate) Addr() net.Addr { return gateAddr(g.addr) }

type gateAddr string

func (gateAddr) Network() string  { return "tcp" }
func (a gateAddr) String() string { return string(a) }

// reopening is how soon a port that another process has taken is tried again.
const reopening = 10 * time.Millisecond

// watch shuts and opens the gate as the run's plan says, until the run is over.
// The first time it does so at once; the rest is a goroutine, if there is a rest.
func (s *Server) watch(r *run) {
	refuse := func() (next time.Duration, more bool) {
		now := r.since(time.Now())
		refusing, change := r.machine.Refusing(now)
		if !s.gate.set(refusing) {
			return reopening, true
		}
		return change - now, change > 0
	}
	next, more := refuse()
	if !more {
		return
	}
	s.watching.Go(func() {
		for more {
			timer := time.NewTimer(next)
			select {
			case <-timer.C:
				next, more = refuse()
			case <-r.over:
				more = false
			case <-s.closing:
				more = false
			}
			timer.Stop()
		}
	})
}
