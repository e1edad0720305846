// Package faultserver is an HTTP server that fails by plan: repeatably, and on
// real sockets, like a real network.
//
// [Start] serves a test, [New] everything else. A [fault.Plan] describes the
// faults. A [Service] answers the requests that the plan does not strike; the
// default is [Echo], or the API of the provider that the plan or the option [As]
// names. [Server.Record] then lists the requests with their
// results, and [Server.Effects] counts work that was done twice.
//
// The server speaks HTTP/1.1, with or without [TLS]. It reads every request
// completely, up to [MaxRequestBody], before it answers, except for faults of
// uploads.
package faultserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/address"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
	"github.com/holdfast-go/holdfast/internal/bubble"
	"github.com/holdfast-go/holdfast/internal/pipe"
)

// Server applies a fault plan. [New] or [Start] make one; close it after use.
// All methods are safe for concurrent use.
type Server struct {
	service  Service
	as       fault.Provider
	keep     int
	listen   string
	inMemory bool
	bubble   int // of testing/synctest, in which it was made; 0 for none
	wantTLS  bool

	ownService bool // an option gave the service

	identity *identity // nil without TLS

	memory    *pipe.Listener // nil over TCP
	gate      *gate
	http      *http.Server
	accepting sync.WaitGroup // the accept loop
	serving   sync.WaitGroup // every connection
	watching  sync.WaitGroup // goroutine that shuts and opens the gate
	closing   chan struct{}  // closed by Close, ends every wait
	closeOnce sync.Once
	closeErr  error

	planning sync.Mutex // held during a change of the plan
	plan     fault.Plan // guarded by planning

	mu          sync.Mutex
	run         *run // replaced by Begin and SetPlan; mu guards its fields
	connections int
	hijacked    map[*connection]struct{} // not closed by net/http
}

// run is the execution of one plan.
type run struct {
	start    time.Time // of the plan's clock
	machine  *fault.Machine
	api      *provider.API // nil without a provider
	service  Service
	load     *load         // nil without a limit
	over     chan struct{} // closed when the next run begins
	requests uint64

	epoch  time.Time // of the record's clock
	record *ledger.Record[Attempt]
	ledger *ledger.Ledger[Answer]
}

// since returns the plan's time. A request that arrived before the run counts
// as arrived at its start.
func (r *run) since(now time.Time) time.Duration { return max(now.Sub(r.start), 0) }

// at returns the record's time.
func (r *run) at(now time.Time) time.Duration { return max(now.Sub(r.epoch), 0) }

// Option configures [New].
type Option func(*Server)

// Listen sets the address to listen on, in the form of net.Listen. The default
// is "127.0.0.1:0", a free port on loopback.
func Listen(addr string) Option { return func(s *Server) { s.listen = addr } }

// Backend sets the service for requests that the plan does not strike. The
// default is the service of the plan's provider, without one [Echo].
func Backend(service Service) Option {
	return func(s *Server) { s.service, s.ownService = service, true }
}

// Keep sets the number of attempts in the record. New attempts replace the
// oldest. The default is 100,000; 0 keeps none.
func Keep(attempts int) Option { return func(s *Server) { s.keep = attempts } }

// InMemory makes a server without a socket. Only [Server.Dial] connects to it.
// In a testing/synctest bubble, where a real socket would stop the clock, it
// serves in exact virtual time. It must be made, called and closed inside the bubble.
//
// A reset in memory gives the client ECONNRESET without a packet. The
// connection has no buffer. Otherwise it fails like a real socket.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// New validates the plan and starts a server. The server keeps the plan's
// slices, maps and pointers: do not change their contents. The error wraps a
// [*fault.Error] if the plan is malformed or not supported: TLS faults need
// [TLS], API and stream faults a provider, and HTTP/2 faults package h2fault. If the address is not
// available, it wraps the error of net.Listen.
func New(plan fault.Plan, opts ...Option) (*Server, error) {
	s := &Server{
		service:  Echo,
		keep:     100_000,
		listen:   "127.0.0.1:0",
		bubble:   bubble.ID(),
		closing:  make(chan struct{}),
		hijacked: make(map[*connection]struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.keep < 0 {
		return nil, fmt.Errorf("faultserver: Keep(%d): must be 0 or more", s.keep)
	}
	if s.service == nil {
		return nil, errors.New("faultserver: Backend(nil): must be a Service such as Echo")
	}
	if s.inMemory && s.wantTLS {
		return nil, errors.New("faultserver: InMemory with TLS: a handshake that fails needs a connection with a buffer; use only one of them")
	}
	if s.bubble != 0 && !s.inMemory {
		return nil, errors.New("faultserver: a real socket stops the clock of a testing/synctest bubble, so that no wait in it ends: " + inBubble)
	}
	machine, err := s.compile(plan)
	if err != nil {
		return nil, err
	}
	if s.wantTLS {
		if s.identity, err = newIdentity(time.Now()); err != nil {
			return nil, fmt.Errorf("faultserver: %w", err)
		}
	}
	if s.inMemory {
		s.memory = pipe.Listen()
		s.gate = newGate(s.memory, s.take)
	} else {
		listener, err := net.Listen("tcp", s.listen)
		if err != nil {
			return nil, fmt.Errorf("faultserver: %w", err)
		}
		s.gate = newGate(listener, s.take)
	}
	s.plan = plan
	s.begin(machine, nil)
	s.serve()
	return s, nil
}

// compile compiles a plan and checks that this server supports it.
func (s *Server) compile(plan fault.Plan) (*fault.Machine, error) {
	plan = s.asProvider(plan)
	machine, err := plan.Compile()
	if err != nil {
		return nil, fmt.Errorf("faultserver: %w", err)
	}
	var problems []fault.Problem
	add := func(path, message string) { problems = append(problems, fault.Problem{Path: path, Message: message}) }
	if plan.As == "" {
		for _, path := range plan.NeedProvider() {
			add(path, "needs a provider: set the plan's as, or use the option As")
		}
	}
	const noH2 = "this server speaks HTTP/1.1 only"
	for i, r := range plan.Connections {
		path := fmt.Sprintf("connections[%d].fault", i)
		if r.Fault.H2 != "" {
			add(path+".h2", noH2)
		}
		if r.Fault.TLS != "" && !s.wantTLS {
			add(path+".tls", "this server does not speak TLS: use the option TLS")
		}
	}
	for i, r := range plan.Rules {
		path := fmt.Sprintf("rules[%d].fault", i)
		if r.Fault.H2 != "" {
			add(path+".h2", noH2)
		}
		for j, choice := range r.Fault.Mix {
			if choice.Fault.H2 != "" {
				add(fmt.Sprintf("%s.mix[%d].fault.h2", path, j), noH2)
			}
		}
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("faultserver: %w", &fault.Error{Problems: problems})
	}
	return machine, nil
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start is [New] for a test: it fails the test on an error and closes the
// server when the test ends.
func Start(tb TB, plan fault.Plan, opts ...Option) *Server {
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
func (s *Server) URL() string { return s.scheme() + "://" + s.Addr() }

func (s *Server) scheme() string {
	if s.wantTLS {
		return "https"
	}
	return "http"
}

// Addr returns the URL's host and port. If the server listens on all addresses of
// the machine, the host is 127.0.0.1.
func (s *Server) Addr() string {
	if s.inMemory {
		return memoryHost
	}
	return address.ToDial(s.gate.addr)
}

// inBubble tells how to serve in a bubble.
const inBubble = "make the server in the bubble with InMemory(), and the client with holdfast.WithDialContext(server.Dial)"

// errOtherBubble is the error of a dial that would end the program: the runtime does not let
// bubbles share channels.
var errOtherBubble = errors.New("the server and its client are not in the same testing/synctest bubble: " + inBubble)

// Dial connects to the server and ignores the address. It can be used as
// http.Transport's DialContext and with holdfast.WithDialContext. With [TLS]
// the caller does the handshake. It fails in another testing/synctest bubble than
// that in which the server was made, and in one if the server has a socket.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if bubble.ID() != s.bubble {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errOtherBubble}
	}
	if s.memory == nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.Addr())
	}
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if refusing, _ := r.machine.Refusing(r.since(time.Now())); refusing {
		return nil, pipe.Unreachable()
	}
	return s.memory.Dial(ctx)
}

// Begin resets the server to its start: the plan's clock and counts, the record
// and the effects. Connections stay open and counted, so that a client may warm
// up before. A request in progress belongs to the time before.
func (s *Server) Begin() {
	s.planning.Lock()
	defer s.planning.Unlock()
	machine, err := s.compile(s.plan)
	if err != nil {
		panic("faultserver: plan compiled before and fails now: " + err.Error())
	}
	s.begin(machine, nil)
}

// SetPlan replaces the plan in one step: each request meets either the old or
// the new plan. The new plan's clock, counts and capacity start now.
// Connections, record and effects stay. If the new plan is malformed or not
// supported, the old one continues unchanged and the error is that of [New].
func (s *Server) SetPlan(plan fault.Plan) error {
	machine, err := s.compile(plan)
	if err != nil {
		return err
	}
	s.planning.Lock()
	defer s.planning.Unlock()
	s.plan = plan
	s.mu.Lock()
	before := s.run
	s.mu.Unlock()
	s.begin(machine, before)
	return nil
}

// Plan returns the current plan. It is shared: do not change it.
func (s *Server) Plan() fault.Plan {
	s.planning.Lock()
	defer s.planning.Unlock()
	return s.plan
}

// begin starts a run of s.plan. It continues the record and the effects of the
// run before, if given. The caller holds planning, except in New.
func (s *Server) begin(machine *fault.Machine, before *run) {
	now := time.Now()
	api := provider.Of(s.asProvider(s.plan).As)
	next := &run{start: now, machine: machine, api: api, service: s.serviceOf(api), load: newLoad(s.plan.Capacity), over: make(chan struct{})}
	if before != nil {
		next.epoch, next.record, next.ledger = before.epoch, before.record, before.ledger
	} else {
		next.epoch, next.record, next.ledger = now, ledger.NewRecord[Attempt](s.keep), ledger.New[Answer]()
	}
	s.mu.Lock()
	replaced := s.run
	s.run = next
	s.mu.Unlock()
	if replaced != nil {
		close(replaced.over)
		s.watching.Wait()
	}
	select {
	case <-s.closing:
	default:
		if s.memory == nil {
			s.watch(next)
		}
	}
}

// Record returns the attempts so far in order of reading, oldest first. An
// attempt is recorded before the caller gets any part of its answer.
func (s *Server) Record() []Attempt {
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
func (s *Server) Effects() Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Effects(s.run.ledger.Effects())
}

// Connections returns the number of connections that were accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Shutdown stops accepting, waits for the running requests until ctx ends, and
// closes. A request that hangs ends only with ctx; the error is then ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	return errors.Join(err, s.Close())
}

// Close ends all waits and faults, closes every connection and returns when no
// goroutine and no socket is left. It may be called more than once.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.planning.Lock() // or a new plan could reopen the gate
		close(s.closing)
		s.watching.Wait()
		s.planning.Unlock()
		s.closeErr = s.http.Close()
		s.accepting.Wait()
		s.http.Close() // connections accepted during the first Close
		s.mu.Lock()
		hijacked := slices.Collect(maps.Keys(s.hijacked))
		s.mu.Unlock()
		for _, c := range hijacked {
			c.Close()
		}
		s.serving.Wait()
	})
	return s.closeErr
}

// connKey is the context key of a request's connection.
type connKey struct{}

func (s *Server) serve() {
	listener := net.Listener(s.gate)
	if s.identity != nil {
		listener = tls.NewListener(s.gate, &s.identity.server)
	}
	s.http = &http.Server{
		Handler:  http.HandlerFunc(s.handle),
		ErrorLog: log.New(errorLog{}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if encrypted, ok := c.(*tls.Conn); ok {
				below := encrypted.NetConn().(*connection)
				below.secure = encrypted
				c = below
			}
			return context.WithValue(ctx, connKey{}, c.(*connection))
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // runs in the accept loop, so before it ends
				s.serving.Add(1)
			case http.StateClosed:
				s.serving.Done()
			}
		},
	}
	s.accepting.Go(func() {
		s.http.Serve(listener) // ends with ErrServerClosed
	})
}

// errorLog logs the errors of net/http except failed handshakes, which are part
// of the plan.
type errorLog struct{}

func (errorLog) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("TLS handshake error")) {
		log.Print(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
