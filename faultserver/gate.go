package faultserver

import (
	"net"
	"sync"
	"time"
)

// gate is the HTTP server's listener. While it is shut, no socket listens and
// connections are refused. It reopens on the same address.
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

// set shuts or opens the gate. It returns false if the port is not available now.
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

// reopening is the interval of attempts to listen on a port that another
// process has taken.
const reopening = 10 * time.Millisecond

// watch shuts and opens the gate by the run's plan until the run is over. It does
// so once before it returns, and then in a goroutine if the plan has later changes.
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
