// Package faultserver is an HTTP server that fails by plan: on real sockets, so
// that what a client must withstand is what a network does, and repeatably.
//
// [Start] serves a test, [New] everything else. What goes wrong is a
// [fault.Plan]; a request that the plan does not strike is answered by a
// [Service], [Echo] unless told otherwise. [Server.Record] then tells what
// arrived and what became of it, and [Server.Effects] whether any work was done
// twice.
//
// The server speaks HTTP/1.1 without TLS. It reads every request to its end, up
// to [MaxRequestBody], before it does anything else.
package faultserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Server follows a fault plan. Make one with [New] or [Start], and close it.
// All methods may be called at any time from any goroutine.
type Server struct {
	plan     fault.Plan
	service  Service
	keep     int
	listen   string
	inMemory bool

	listener    net.Listener
	http        *http.Server
	connections atomic.Int64
	accepting   sync.WaitGroup // the accept loop
	serving     sync.WaitGroup // every connection
	closing     chan struct{}  // closed by Close: ends every wait
	closeOnce   sync.Once
	closeErr    error

	mu  sync.Mutex
	run *run // replaced by Begin; its fields are guarded by mu
}

// run is everything that starts afresh with Begin.
type run struct {
	start   time.Time
	machine *fault.Machine
	record  record
	ledger  ledger
}

// Option changes what New makes.
type Option func(*Server)

// Listen sets the address to listen on, as net.Listen takes it. Default
// "127.0.0.1:0": loopback, a free port.
func Listen(addr string) Option { return func(s *Server) { s.listen = addr } }

// Backend sets what answers the requests that the plan does not strike.
// Default [Echo].
func Backend(service Service) Option { return func(s *Server) { s.service = service } }

// Keep sets how many attempts the record keeps; the oldest make room. Default
// 100,000; 0 keeps none.
func Keep(attempts int) Option { return func(s *Server) { s.keep = attempts } }

// InMemory makes a server without a socket that is reached by [Server.Dial]
// alone. In a testing/synctest bubble, where a real socket would stop the
// bubble's clock, it serves with exact virtual time; it must then be made and
// closed inside the bubble.
//
// A reset in memory is a pipe whose client end is told ECONNRESET: no packet
// exists. Nothing is buffered between the ends. Otherwise it fails as real
// sockets do.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// New checks the plan and serves it at once; do not change what the plan's
// slices, maps and pointers hold afterwards. The error wraps a [*fault.Error] for
// a malformed plan, and what net.Listen says, with the address, for one that
// cannot be listened on.
func New(plan fault.Plan, opts ...Option) (*Server, error) {
	s := &Server{
		plan:    plan,
		service: Echo,
		keep:    100_000,
		listen:  "127.0.0.1:0",
		closing: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.keep < 0 {
		return nil, fmt.Errorf("faultserver: Keep(%d): must be 0 or more", s.keep)
	}
	if s.service == nil {
		return nil, errors.New("faultserver: Backend(nil): must be a Service, as Echo")
	}
	machine, err := plan.Compile()
	if err != nil {
		return nil, fmt.Errorf("faultserver: %w", err)
	}
	if s.inMemory {
		s.listener = newPipeListener()
	} else if s.listener, err = net.Listen("tcp", s.listen); err != nil {
		return nil, fmt.Errorf("faultserver: %w", err)
	}
	s.restart(machine)
	s.serve()
	return s, nil
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start is [New] for a test: it fails the test instead of returning an error,
// and closes the server when the test ends.
func Start(tb TB, plan fault.Plan, opts ...Option) *Server {
	tb.Helper()
	s, err := New(plan, opts...)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil // for a TB whose Fatalf comes back
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// URL is where the server is reached: "http://127.0.0.1:41873". In memory it is
// "http://faultserver.test", which only [Server.Dial] can reach.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Addr is the URL's host and port.
func (s *Server) Addr() string {
	if s.inMemory {
		return "faultserver.test"
	}
	return s.listener.Addr().String()
}

// Dial connects to the server, whatever address it is asked for: it fits
// http.Transport's DialContext and holdfast.WithDialContext.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if l, ok := s.listener.(*pipeListener); ok {
		return l.dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.Addr())
}

// Begin starts everything afresh, as if the server had just been made: the
// plan's clock and counts, the record and the effects. Connections stay open and
// counted, so that a client may warm up before. A request that is being served
// meanwhile belongs to what was before.
func (s *Server) Begin() {
	machine, err := s.plan.Compile()
	if err != nil {
		panic("faultserver: a plan that compiled once does no more: " + err.Error())
	}
	s.restart(machine)
}

func (s *Server) restart(machine *fault.Machine) {
	next := &run{
		start:   time.Now(),
		machine: machine,
		record:  record{keep: s.keep},
		ledger:  newLedger(maxOperations, maxStoredBytes),
	}
	s.mu.Lock()
	s.run = next
	s.mu.Unlock()
}

// Record gives the attempts so far in the order in which they were decided, the
// oldest first. An attempt is in it before the caller sees any of its answer.
func (s *Server) Record() []Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.all()
}

// Dropped is how many attempts the record has let go to make room.
func (s *Server) Dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.dropped()
}

// Effects counts the work that was done so far.
func (s *Server) Effects() Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.ledger.effects
}

// Connections is how many connections were accepted so far.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Shutdown stops accepting, waits for the running requests until ctx ends, and
// closes. A request that hangs ends with ctx only; the error is then ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	return errors.Join(err, s.Close())
}

// Close ends everything at once: it frees what hangs or waits, closes every
// connection, and returns when no goroutine and no socket is left. It may be
// called more than once.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.closeErr = s.http.Close()
		s.accepting.Wait()
		s.http.Close() // what was just being accepted, the first did not know
		s.serving.Wait()
	})
	return s.closeErr
}

// connKey finds a request's connection in its context.
type connKey struct{}

// connection is one accepted connection.
type connection struct {
	net.Conn
	number int // from 1
}

func (s *Server) serve() {
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.handle),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			number := int(s.connections.Add(1))
			return context.WithValue(ctx, connKey{}, &connection{c, number})
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // told by the accept loop, so before it ends
				s.serving.Add(1)
			case http.StateClosed:
				s.serving.Done()
			}
		},
	}
	s.accepting.Go(func() {
		s.http.Serve(s.listener) // ends with ErrServerClosed
	})
}
