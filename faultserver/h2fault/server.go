// Package h2fault is a server that fails by plan in the frames of HTTP/2, where
// net/http's server cannot: GOAWAY, RST_STREAM, a limit of one stream, a window
// that never grows, silence on PING.
//
// It follows the same [fault.Plan], asks the same [faultserver.Service] and keeps
// the same record as package faultserver, which has every fault of connections,
// of HTTP/1.1 and of TLS. It speaks HTTP/2 and nothing else: in the clear, to
// clients that know so beforehand, or with [TLS] and ALPN.
//
// # What a plan may say
//
// The plan's h2 words strike as [fault.H2] says; [Catalog] has them all. Three of
// its other words have a name of their own here, since a stream ends otherwise
// than a connection: a cut of the body by rst, a cut by fin, and a stalled
// upload. What is the same on a stream as on a connection is as faultserver has
// it: statuses, retry_after in seconds, quota, mix, hang, a stall of the body,
// latency, pace and commit, and of connections hang, close, reset and latency; a
// reset or a close before the answer ends the whole connection, with all its
// streams. Anything else is refused with its path.
package h2fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/pipe"
)

// Server follows a fault plan. Make one with [New] or [Start], and close it.
// All methods may be called at any time from any goroutine.
type Server struct {
	service  faultserver.Service
	keep     int
	listen   string
	inMemory bool
	wantTLS  bool
	identity *identity // nil without TLS

	listener  net.Listener
	accepting sync.WaitGroup
	serving   sync.WaitGroup // every connection
	closing   chan struct{}  // closed by Close: ends every wait

	mu          sync.Mutex
	plan        fault.Plan
	run         *run // replaced by Begin and SetPlan
	connections int
	open        map[*conn]struct{}
	closed      bool
}

// run is one plan at work. The server's mutex guards what it holds.
type run struct {
	start   time.Time // of the plan's clock
	machine *fault.Machine

	epoch  time.Time // of the record's clock
	record *ledger.Record[faultserver.Attempt]
	ledger *ledger.Ledger[faultserver.Answer]
}

// Option changes what New makes.
type Option func(*Server)

// Listen sets the address to listen on, as net.Listen takes it. Default
// "127.0.0.1:0": loopback, a free port.
func Listen(addr string) Option { return func(s *Server) { s.listen = addr } }

// Backend sets what answers the requests that the plan does not strike.
// Default [faultserver.Echo].
func Backend(service faultserver.Service) Option { return func(s *Server) { s.service = service } }

// Keep sets how many attempts the record keeps; the oldest make room. Default
// 100,000; 0 keeps none.
func Keep(attempts int) Option { return func(s *Server) { s.keep = attempts } }

// TLS has the server speak TLS, 1.2 and up, with a certificate for 127.0.0.1,
// ::1 and localhost that is made at its start, and agree on h2 by ALPN. A client
// that is to trust it takes [Server.ClientTLS].
func TLS() Option { return func(s *Server) { s.wantTLS = true } }

// InMemory makes a server without a socket that is reached by [Server.Dial]
// alone, and serves a testing/synctest bubble with exact virtual time; it must
// then be made and closed inside the bubble. What ends a connection is an end of
// stream there, also a reset.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// New checks the plan and serves it at once; do not change what the plan's
// slices, maps and pointers hold afterwards. The error wraps a [*fault.Error] for
// a plan that is malformed or says what has no meaning here, and what net.Listen
// says, with the address, for an address that cannot be listened on.
func New(plan fault.Plan, opts ...Option) (*Server, error) {
	s := &Server{
		service: faultserver.Echo,
		keep:    100_000,
		listen:  "127.0.0.1:0",
		closing: make(chan struct{}),
		open:    make(map[*conn]struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.keep < 0 {
		return nil, fmt.Errorf("h2fault: Keep(%d): must be 0 or more", s.keep)
	}
	if s.service == nil {
		return nil, errors.New("h2fault: Backend(nil): must be a Service, as faultserver.Echo")
	}
	machine, err := compile(plan)
	if err != nil {
		return nil, err
	}
	if s.wantTLS {
		if s.identity, err = newIdentity(time.Now()); err != nil {
			return nil, fmt.Errorf("h2fault: making a certificate: %w", err)
		}
	}
	if s.inMemory {
		s.listener = pipe.Listen()
	} else if s.listener, err = net.Listen("tcp", s.listen); err != nil {
		return nil, fmt.Errorf("h2fault: %w", err)
	}
	s.begin(plan, machine, false)
	s.accepting.Go(s.accept)
	return s, nil
}

// Start is [New] for a test: it fails the test instead of returning an error,
// and closes the server when the test ends.
func Start(tb faultserver.TB, plan fault.Plan, opts ...Option) *Server {
	tb.Helper()
	s, err := New(plan, opts...)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil // for a TB whose Fatalf comes back
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// memoryHost is what a server in memory is called.
const memoryHost = "faultserver.test"

// URL is where the server is reached: "http://127.0.0.1:41873", or https with
// [TLS]. In memory it is "http://faultserver.test", which only [Server.Dial] can
// reach.
func (s *Server) URL() string {
	if s.wantTLS {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Addr is the URL's host and port.
func (s *Server) Addr() string {
	if s.inMemory {
		return memoryHost
	}
	return s.listener.Addr().String()
}

// Dial connects to the server, whatever address it is asked for: it fits
// http.Transport's DialContext and holdfast.WithDialContext. With [TLS] the
// handshake is the caller's.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if l, ok := s.listener.(*pipe.Listener); ok {
		return l.Dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.Addr())
}

// Begin starts everything afresh, as if the server had just been made: the
// plan's clock and counts, the record and the effects. Connections stay open and
// counted. A request that is being served meanwhile belongs to what was before.
func (s *Server) Begin() {
	plan := s.Plan()
	machine, err := compile(plan)
	if err != nil {
		panic("h2fault: a plan that compiled once does no more: " + err.Error())
	}
	s.begin(plan, machine, false)
}

// SetPlan puts another plan in place of the present one, in one step. The new
// plan's clock and counts begin now; connections, what has struck them, the
// record and the effects stay. If the new plan is malformed, or not one this
// server can follow, the old one stays; the error is as New's.
func (s *Server) SetPlan(plan fault.Plan) error {
	machine, err := compile(plan)
	if err != nil {
		return err
	}
	s.begin(plan, machine, true)
	return nil
}

// Plan is the plan in force. It is shared: do not change what it holds.
func (s *Server) Plan() fault.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan
}

func (s *Server) begin(plan fault.Plan, machine *fault.Machine, goOn bool) {
	now := time.Now()
	next := &run{start: now, machine: machine}
	s.mu.Lock()
	defer s.mu.Unlock()
	if goOn {
		next.epoch, next.record, next.ledger = s.run.epoch, s.run.record, s.run.ledger
	} else {
		next.epoch, next.record, next.ledger = now, ledger.NewRecord[faultserver.Attempt](s.keep), ledger.New[faultserver.Answer]()
	}
	s.plan, s.run = plan, next
}

// Record gives the attempts so far in the order in which they were read, the
// oldest first. An attempt is in it before the caller sees any of its answer. A
// connection that a connection rule strikes has an attempt of its own, without a
// Method; a stream that is one too many on it has one without a Rule.
func (s *Server) Record() []faultserver.Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.All()
}

// Dropped is how many attempts the record has let go to make room.
func (s *Server) Dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.Dropped()
}

// Effects counts the work that was done so far.
func (s *Server) Effects() faultserver.Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return faultserver.Effects(s.run.ledger.Effects())
}

// Connections is how many connections were accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Close ends everything at once: it frees what hangs or waits, closes every
// connection, and returns when no goroutine and no socket is left. It may be
// called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first {
		close(s.closing)
	}
	for c := range s.open {
		c.raw.Close()
	}
	s.mu.Unlock()
	var err error
	if first {
		err = s.listener.Close()
	}
	s.accepting.Wait()
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		switch {
		case err == nil:
			s.admit(raw)
		case s.isClosed():
			return
		default: // out of descriptors, as a rule: some become free
			s.wait(acceptPause)
		}
	}
}

// acceptPause is how long a failing accept waits before it tries again.
const acceptPause = 10 * time.Millisecond

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// admit asks the plan about a connection, and serves it.
func (s *Server) admit(raw net.Conn) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		raw.Close()
		return
	}
	s.connections++
	d := s.run.machine.NextConnection(max(now.Sub(s.run.start), 0))
	if d.Rule >= 0 {
		s.run.record.Add(faultserver.Attempt{
			At:         max(now.Sub(s.run.epoch), 0),
			Connection: s.connections,
			Rule:       d.Rule,
			N:          d.N,
			Faults:     d.IDs,
			Delay:      d.Delay,
		})
	}
	c := newConn(s, raw, s.connections, d)
	s.open[c] = struct{}{}
	s.serving.Go(func() {
		c.serve()
		raw.Close()
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
	})
}

// wait lets d pass; false if the server is closed before.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}
