// Package faultserver is an HTTP server that fails by plan: on real sockets, so
// that what a client must withstand is what a network does, and repeatably.
//
// [Start] serves a test, [New] everything else. What goes wrong is a
// [fault.Plan]; a request that the plan does not strike is answered by a
// [Service], [Echo] unless told otherwise. [Server.Record] then tells what
// arrived and what became of it, and [Server.Effects] whether any work was done
// twice.
//
// The server speaks HTTP/1.1, with [TLS] if told so. It reads every request to
// its end, up to [MaxRequestBody], before it answers, but for the faults that
// are about not doing so.
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
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/pipe"
)

// Server follows a fault plan. Make one with [New] or [Start], and close it.
// All methods may be called at any time from any goroutine.
type Server struct {
	service  Service
	keep     int
	listen   string
	inMemory bool
	wantTLS  bool
	identity *identity // nil without TLS

	memory    *pipe.Listener // nil over TCP
	gate      *gate
	http      *http.Server
	accepting sync.WaitGroup // the accept loop
	serving   sync.WaitGroup // every connection
	watching  sync.WaitGroup // who shuts and opens the gate
	closing   chan struct{}  // closed by Close: ends every wait
	closeOnce sync.Once
	closeErr  error

	planning sync.Mutex // held while the plan is changed
	plan     fault.Plan // guarded by planning

	mu          sync.Mutex
	run         *run // replaced by Begin and SetPlan; what its fields hold is guarded by mu
	connections int
	seized      map[*connection]struct{} // that net/http does not close
}

// run is one plan at work.
type run struct {
	start   time.Time // of the plan's clock
	machine *fault.Machine
	load    *load         // nil without a limit
	over    chan struct{} // closed when the next run begins

	epoch  time.Time // of the record's clock
	record *ledger.Record[Attempt]
	ledger *ledger.Ledger[Answer]
}

// since is the plan's time. What was on its way when the run began arrives with
// it.
func (r *run) since(now time.Time) time.Duration { return max(now.Sub(r.start), 0) }

// at is the record's time.
func (r *run) at(now time.Time) time.Duration { return max(now.Sub(r.epoch), 0) }

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
// a plan that is malformed, or that this server cannot follow (TLS faults need
// [TLS]; it does not speak HTTP/2), and what net.Listen says, with the address,
// for an address that cannot be listened on.
func New(plan fault.Plan, opts ...Option) (*Server, error) {
	s := &Server{
		service: Echo,
		keep:    100_000,
		listen:  "127.0.0.1:0",
		closing: make(chan struct{}),
		seized:  make(map[*connection]struct{}),
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
	if s.inMemory && s.wantTLS {
		return nil, errors.New("faultserver: InMemory with TLS: a handshake that fails needs a connection with a buffer; leave one of them out")
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

// compile makes a machine of a plan that this server can follow.
func (s *Server) compile(plan fault.Plan) (*fault.Machine, error) {
	machine, err := plan.Compile()
	if err != nil {
		return nil, fmt.Errorf("faultserver: %w", err)
	}
	var problems []fault.Problem
	add := func(path, message string) { problems = append(problems, fault.Problem{Path: path, Message: message}) }
	const noH2 = "this server speaks HTTP/1.1 only"
	for i, r := range plan.Connections {
		path := fmt.Sprintf("connections[%d].fault", i)
		if r.Fault.H2 != "" {
			add(path+".h2", noH2)
		}
		if r.Fault.TLS != "" && !s.wantTLS {
			add(path+".tls", "this server speaks no TLS: make it with the option TLS")
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

// memoryHost is what a server in memory is called.
const memoryHost = "faultserver.test"

// URL is where the server is reached: "http://127.0.0.1:41873", or https with
// [TLS]. In memory it is "http://faultserver.test", which only [Server.Dial] can
// reach.
func (s *Server) URL() string { return s.scheme() + "://" + s.Addr() }

func (s *Server) scheme() string {
	if s.wantTLS {
		return "https"
	}
	return "http"
}

// Addr is the URL's host and port.
func (s *Server) Addr() string {
	if s.inMemory {
		return memoryHost
	}
	return s.gate.addr
}

// Dial connects to the server, whatever address it is asked for: it fits
// http.Transport's DialContext and holdfast.WithDialContext. With [TLS] the
// handshake is the caller's.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if s.memory == nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.Addr())
	}
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if refusing, _ := r.machine.Refusing(r.since(time.Now())); refusing {
		return nil, pipe.Refused()
	}
	return s.memory.Dial(ctx)
}

// Begin starts everything afresh, as if the server had just been made: the
// plan's clock and counts, the record and the effects. Connections stay open and
// counted, so that a client may warm up before. A request that is being served
// meanwhile belongs to what was before.
func (s *Server) Begin() {
	s.planning.Lock()
	defer s.planning.Unlock()
	machine, err := s.compile(s.plan)
	if err != nil {
		panic("faultserver: a plan that compiled once does no more: " + err.Error())
	}
	s.begin(machine, nil)
}

// SetPlan puts another plan in place of the present one, in one step: a request
// meets the old one or the new one. The new plan's clock and counts begin now, as
// does its capacity; connections, the record and the effects stay. If the new
// plan is malformed, or not one this server can follow, the old one stays and
// goes on undisturbed; the error is as New's.
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

// Plan is the plan in force. It is shared: do not change what it holds.
func (s *Server) Plan() fault.Plan {
	s.planning.Lock()
	defer s.planning.Unlock()
	return s.plan
}

// begin starts a run of s.plan that goes on with the record and the effects of
// the one before, if it is given. Whoever calls it holds planning, or has told
// nobody of the server yet.
func (s *Server) begin(machine *fault.Machine, before *run) {
	now := time.Now()
	next := &run{start: now, machine: machine, load: newLoad(s.plan.Capacity), over: make(chan struct{})}
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

// Record gives the attempts so far in the order in which they were read, the
// oldest first. An attempt is in it before the caller sees any of its answer.
func (s *Server) Record() []Attempt {
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
func (s *Server) Effects() Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Effects(s.run.ledger.Effects())
}

// Connections is how many connections were accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

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
		s.planning.Lock() // or a new plan could open the gate once more
		close(s.closing)
		s.watching.Wait()
		s.planning.Unlock()
		s.closeErr = s.http.Close()
		s.accepting.Wait()
		s.http.Close() // what was just being accepted, the first did not know
		s.mu.Lock()
		seized := slices.Collect(maps.Keys(s.seized))
		s.mu.Unlock()
		for _, c := range seized {
			c.Close()
		}
		s.serving.Wait()
	})
	return s.closeErr
}

// connKey finds a request's connection in its context.
type connKey struct{}

func (s *Server) serve() {
	listener := net.Listener(s.gate)
	if s.identity != nil {
		listener = tls.NewListener(s.gate, &s.identity.server)
	}
	s.http = &http.Server{
		Handler:  http.HandlerFunc(s.handle),
		ErrorLog: log.New(quiet{}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if encrypted, ok := c.(*tls.Conn); ok {
				c = encrypted.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c.(*connection))
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
		s.http.Serve(listener) // ends with ErrServerClosed
	})
}

// quiet logs what net/http has to say, but for the handshakes that fail: they do
// so by plan.
type quiet struct{}

func (quiet) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("TLS handshake error")) {
		log.Print(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
