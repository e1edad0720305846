// Package relay passes bytes between clients and a service on loopback, and can make
// every connection of the moment stale.
//
// It stands for what lies between a client and a service: a firewall or load balancer
// that forgets connections, or a service that ends connections while they are idle. A
// connection that is opened later works.
package relay

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Fault is what becomes of a stale connection. The service sees none of the bytes that
// a client sends over it.
type Fault uint8

const (
	// Reset answers the client's next bytes with RST: the connection is unknown.
	Reset Fault = iota
	// Finish sends FIN at once: the service has closed the idle connection.
	Finish
	// Dark drops all bytes, in both directions, and answers nothing.
	Dark
)

var faults = [...]string{Reset: "reset", Finish: "finish", Dark: "dark"}

// String returns the fault's name in lower case.
func (f Fault) String() string { return faults[f] }

// MarshalText returns the fault's name.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Relay listens on a port of loopback.
type Relay struct {
	to       string
	listener net.Listener

	used atomic.Int64

	mu     sync.Mutex
	open   map[*pair]struct{}
	opened int
	closed bool
}

// New returns a Relay to the address of a service.
func New(to string) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{to: to, listener: l, open: make(map[*pair]struct{})}
	go r.accept()
	return r, nil
}

// Addr returns the address that clients dial.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Stale makes all open connections stale.
func (r *Relay) Stale(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.open {
		p.spoil(f)
	}
}

// Open returns the number of connections that no side has closed.
func (r *Relay) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// Opened returns the number of connections that clients have opened so far.
func (r *Relay) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

// Used returns the number of stale connections over which a client has sent something. An
// alert of TLS, with which it closes a connection, does not count.
func (r *Relay) Used() int { return int(r.used.Load()) }

// Close closes the listener and every connection.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	open := r.open
	r.open = nil
	r.mu.Unlock()
	err := r.listener.Close()
	for p := range open {
		p.close()
	}
	return err
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		service, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		p := &pair{relay: r, client: client.(*net.TCPConn), service: service.(*net.TCPConn)}
		if !r.add(p) {
			p.close()
			return
		}
		go p.ask()
		go p.answer()
	}
}

func (r *Relay) add(p *pair) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.opened++
	r.open[p] = struct{}{}
	return true
}

func (r *Relay) remove(p *pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, p)
}

// pair is a connection of a client, and the one to the service that belongs to it.
type pair struct {
	relay           *Relay
	client, service *net.TCPConn
	fault           atomic.Int32 // one more than the Fault of a stale connection; zero if it works
	sent            int          // bytes of the client, since it is stale
	once            sync.Once
}

const (
	chunk = 32 << 10 // bytes that are read at once
	alert = 24       // bytes of an alert of TLS 1.3, less than any request has
)

// ask passes the client's bytes on until one side ends.
func (p *pair) ask() {
	defer p.close()
	buf := make([]byte, chunk)
	for {
		n, err := p.client.Read(buf)
		if n > 0 && !p.take(buf[:n]) || err != nil {
			return
		}
	}
}

// take handles bytes of the client; false if the connection ends with them.
func (p *pair) take(b []byte) bool {
	f := p.fault.Load()
	if f == 0 {
		_, err := p.service.Write(b)
		return err == nil || p.fault.Load() > 0
	}
	if before := p.sent; before <= alert && before+len(b) > alert {
		p.relay.used.Add(1)
	}
	p.sent += len(b)
	if Fault(f-1) == Dark {
		return true
	}
	_ = p.client.SetLinger(0) // so that Close sends RST
	return false
}

// answer passes the service's bytes on until one side ends. The client of a stale
// connection does not hear of the service's end.
func (p *pair) answer() {
	buf := make([]byte, chunk)
	for {
		n, err := p.service.Read(buf)
		stale := p.fault.Load() > 0
		if n > 0 && !stale {
			_, _ = p.client.Write(buf[:n]) // ask notices if the client has ended
		}
		if err != nil {
			if !stale {
				p.close()
			}
			return
		}
	}
}

func (p *pair) spoil(f Fault) {
	p.fault.Store(1 + int32(f))
	if f == Finish {
		_ = p.client.CloseWrite()
	}
}

func (p *pair) close() {
	p.once.Do(func() {
		_ = p.client.Close()
		_ = p.service.Close()
		p.relay.remove(p)
	})
}
