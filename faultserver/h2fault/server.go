// Package h2fault is an HTTP/2 server that fails by plan. Its faults are
// impossible with net/http's server: GOAWAY, RST_STREAM, a limit of one stream,
// a window that never grows, an unanswered PING.
//
// It uses the [fault.Plan], the [faultserver.Service] and the record of package
// faultserver, which has all faults of connections, of HTTP/1.1 and of TLS. It
// speaks only HTTP/2: without encryption to clients with prior knowledge, or
// with [TLS] and ALPN.
//
// # Supported plans
//
// The plan's h2 words strike as described at [fault.H2]; [Catalog] lists all of
// them. Three other faults have their own ids here, since a stream ends differently
// than a connection: a cut of the body by rst, a cut by fin, and a stalled upload.
// These work as in faultserver: statuses, retry_after in seconds, quota, mix, hang,
// a stall of the body, latency, pace and commit, providers with their API and stream
// faults, and for connections hang, close, reset and latency. The stream fault cut
// ends in RST_STREAM with INTERNAL_ERROR. A reset or a close before the answer ends the whole connection
// with all its streams. Any other fault is rejected with its path.
package h2fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/internal/address"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
	"github.com/holdfast-go/holdfast/internal/pipe"
)

// Server applies a fault plan. [New] or [Start] make one; close it after use.
// All methods are safe for concurrent use.
type Server struct {
	service  faultserver.Service
	as       fault.Provider
	keep     int
	listen   string
	inMemory bool
	wantTLS  bool

	ownService bool // an option gave the service

	identity *identity // nil without TLS

	listener  net.Listener
	accepting sync.WaitGroup
	serving   sync.WaitGroup // every connection
	closing   chan struct{}  // closed by Close, ends every wait

	mu          sync.Mutex
	plan        fault.Plan
	run         *run // replaced by Begin and SetPlan
	connections int
	open        map[*conn]struct{}
	closed      bool
}

// run is the execution of one plan. The server's mutex guards its fields.
type run struct {
	start   time.Time // of the plan's clock
	machine *fault.Machine
	api     *provider.API // nil without a provider
	service faultserver.Service

	requests uint64

	epoch  time.Time // of the record's clock
	record *ledger.Record[faultserver.Attempt]
	ledger *ledger.Ledger[faultserver.Answer]
}

// Option configures [New].
type Option func(*Server)

// Listen sets the address to listen on, in the form of net.Listen. The default
// is "127.0.0.1:0", a free port on loopback.
func Listen(addr string) Option { return func(s *Server) { s.listen = addr } }

// Backend sets the service for requests that the plan does not strike. The
// default is the service of the plan's provider, without one [faultserver.Echo].
func Backend(service faultserver.Service) Option {
	return func(s *Server) { s.service, s.ownService = service, true }
}

// As sets the provider of plans that name none, as [faultserver.As] does.
func As(p fault.Provider) Option { return func(s *Server) { s.as = p } }

// Keep sets the number of attempts in the record. New attempts replace the
// oldest. The default is 100,000; 0 keeps none.
func Keep(attempts int) Option { return func(s *Server) { s.keep = attempts } }

// TLS makes the server speak TLS 1.2 and later and agree on h2 by ALPN, with a
// new certificate for 127.0.0.1, ::1 and localhost. [Server.ClientTLS] returns
// the config of a client that trusts it.
func TLS() Option { return func(s *Server) { s.wantTLS = true } }

// InMemory makes a server without a socket. Only [Server.Dial] connects to it.
// It serves a testing/synctest bubble in exact virtual time, and must be made
// and closed inside the bubble. Every end of a connection is an end of stream
// there, also a reset.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// New validates the plan and starts a server. The server keeps the plan's
// slices, maps and pointers: do not change their contents. The error wraps a
// [*fault.Error] if the plan is malformed or not supported here. If the address
// is not available, it wraps the error of net.Listen.
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
		return nil, errors.New("h2fault: Backend(nil): must be a Service such as faultserver.Echo")
	}
	machine, err := s.compile(plan)
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

// Start is [New] for a test: it fails the test on an error and closes the
// server when the test ends.
func Start(tb faultserver.TB, plan fault.Plan, opts ...Option) *Server {
	tb.Helper()
	s, err := New(plan, opts...)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil // for a TB with a Fatalf that returns
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// memoryHost is the host name of a server in memory.
const memoryHost = "faultserver.test"

// URL returns the server's URL: "http://127.0.0.1:41873", or https with [TLS]. In
// memory it is "http://faultserver.test", which only [Server.Dial] connects to.
func (s *Server) URL() string {
	if s.wantTLS {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Addr returns the URL's host and port. If the server listens on all addresses of
// the machine, the host is 127.0.0.1.
func (s *Server) Addr() string {
	if s.inMemory {
		return memoryHost
	}
	return address.ToDial(s.listener.Addr().String())
}

// Dial connects to the server and ignores the address. It can be used as
// http.Transport's DialContext and with holdfast.WithDialContext. With [TLS]
// the caller does the handshake.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if l, ok := s.listener.(*pipe.Listener); ok {
		return l.Dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.Addr())
}

// Begin resets the server to its start: the plan's clock and counts, the record
// and the effects. Connections stay open and counted. A request in progress
// belongs to the time before.
func (s *Server) Begin() {
	plan := s.Plan()
	machine, err := s.compile(plan)
	if err != nil {
		panic("h2fault: plan compiled before and fails now: " + err.Error())
	}
	s.begin(plan, machine, false)
}

// SetPlan replaces the plan in one step. The new plan's clock and counts start now.
// Connections, faults in progress on them, record and effects stay. If the new plan
// is malformed or not supported, the old one stays and the error is that of [New].
func (s *Server) SetPlan(plan fault.Plan) error {
	machine, err := s.compile(plan)
	if err != nil {
		return err
	}
	s.begin(plan, machine, true)
	return nil
}

// Plan returns the current plan. It is shared: do not change it.
func (s *Server) Plan() fault.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan
}

// asProvider returns the plan with the provider that applies to it.
func (s *Server) asProvider(plan fault.Plan) fault.Plan {
	plan.As = cmp.Or(plan.As, s.as)
	return plan
}

// serviceOf returns the service of a run.
func (s *Server) serviceOf(api *provider.API) faultserver.Service {
	if api == nil || s.ownService {
		return s.service
	}
	return func(r faultserver.Request) faultserver.Answer {
		return faultserver.Answer(api.Serve(provider.Request(r)))
	}
}

func (s *Server) begin(plan fault.Plan, machine *fault.Machine, goOn bool) {
	now := time.Now()
	api := provider.Of(s.asProvider(plan).As)
	next := &run{start: now, machine: machine, api: api, service: s.serviceOf(api)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if goOn {
		next.epoch, next.record, next.ledger = s.run.epoch, s.run.record, s.run.ledger
	} else {
		next.epoch, next.record, next.ledger = now, ledger.NewRecord[faultserver.Attempt](s.keep), ledger.New[faultserver.Answer]()
	}
	s.plan, s.run = plan, next
}

// Record returns the attempts so far in order of reading, oldest first. An
// attempt is recorded before the caller gets any part of its answer. A
// connection that a connection rule strikes is an attempt without a Method. A
// stream beyond the limit of such a connection is an attempt without a Rule.
func (s *Server) Record() []faultserver.Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.All()
}

// Dropped returns the number of attempts that are no longer in the record.
func (s *Server) Dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.record.Dropped()
}

// Effects returns the counts of the work so far.
func (s *Server) Effects() faultserver.Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return faultserver.Effects(s.run.ledger.Effects())
}

// Connections returns the number of connections that were accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Close ends all waits and faults, closes every connection and returns when no
// goroutine and no socket is left. It may be called more than once.
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
		default: // usually out of descriptors, until some become free
			s.wait(acceptPause)
		}
	}
}

// acceptPause is the wait after a failed accept.
const acceptPause = 10 * time.Millisecond

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// admit applies the plan to a connection and serves it.
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

// wait waits for d. It returns false if the server is closed before.
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
