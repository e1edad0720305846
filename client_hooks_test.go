package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// The caller's code that a call runs, its hooks, may panic, call runtime.Goexit or block. The
// rounds below do each of that at each call of each hook, in each way of calling, for each
// answer. Nothing is lost by it: no permit, place, ticket, pass, connection, goroutine or lock.

// trap counts the calls of one hook, and does something at one of them.
type trap struct {
	mu    sync.Mutex
	armed bool
	hook  string
	calls int
	at    int
	do    func()
}

func (t *trap) hit(hook string) {
	t.mu.Lock()
	strikes := false
	if t.armed && hook == t.hook {
		t.calls++
		strikes = t.calls == t.at
	}
	t.mu.Unlock()
	if strikes {
		t.do()
	}
}

func (t *trap) arm(armed bool) {
	t.mu.Lock()
	t.armed = armed
	t.mu.Unlock()
}

// trapObserver, trapHandler, trapInstrument and trapBody are the hooks that are interfaces.
type trapObserver struct{ *trap }

func (o trapObserver) Observe(context.Context, holdfast.Event) { o.hit("observer") }

type trapHandler struct {
	*trap
	least slog.Level
}

func (h trapHandler) Enabled(_ context.Context, l slog.Level) bool {
	h.hit("logger enabled")
	return l >= h.least
}
func (h trapHandler) Handle(context.Context, slog.Record) error { h.hit("logger"); return nil }
func (h trapHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h trapHandler) WithGroup(string) slog.Handler             { return h }

type trapInstrument struct{ *trap }

func (i trapInstrument) start(ctx context.Context) (context.Context, func(holdfast.Event)) {
	i.hit("instrument")
	return ctx, func(holdfast.Event) { i.hit("instrument") }
}

func (i trapInstrument) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return i.start(ctx)
}

func (i trapInstrument) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return i.start(ctx)
}

func (i trapInstrument) EndAnswer(_ context.Context, e holdfast.Event) {
	if e.Path != "/held" { // of holdPermit
		i.hit("instrument")
	}
}

// span is an instrument that counts what has started and not ended.
type span struct{ open atomic.Int64 }

func (s *span) start(ctx context.Context) (context.Context, func(holdfast.Event)) {
	s.open.Add(1)
	return ctx, func(e holdfast.Event) {
		if e.Kind != holdfast.EventAttemptDone || !e.Unread { // which its answer ends
			s.open.Add(-1)
		}
	}
}

func (s *span) EndAnswer(context.Context, holdfast.Event) { s.open.Add(-1) }

func (s *span) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return s.start(ctx)
}

func (s *span) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return s.start(ctx)
}

// trapBody is a request's body in two pieces. open counts the bodies that are not closed.
type trapBody struct {
	*trap
	left   int
	closed atomic.Bool
	open   *atomic.Int64
}

func newTrapBody(t *trap, open *atomic.Int64) *trapBody {
	open.Add(1)
	return &trapBody{trap: t, left: 2, open: open}
}

func (b *trapBody) Read(p []byte) (int, error) {
	b.hit("body read")
	if b.left == 0 {
		return 0, io.EOF
	}
	b.left--
	return copy(p, "a half of the body"), nil
}

func (b *trapBody) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	b.hit("body close")
	return nil
}

// waitsAsked is an error of a policy's function that asks for a wait.
type waitsAsked struct{ *trap }

func (waitsAsked) Error() string { return "too many" }
func (e waitsAsked) RetryAfter() time.Duration {
	e.hit("error's RetryAfter")
	return 2 * time.Second
}

// A round is one call with a hook that strikes.
type round struct {
	hook, door, answer, act string
	probe                   bool // the call is the probe of a half-open breaker
	n                       int  // the call of the hook that strikes, from 1
}

func (r round) String() string {
	return fmt.Sprintf("%s %d does %s: %s, %s, probe %v", r.hook, r.n, r.act, r.door, r.answer, r.probe)
}

var (
	hookNames = []string{
		"observer", "logger", "logger enabled", "instrument", "Authorize", "Classify", "WithClassify", "On", "Scope",
		"body read", "body close", "GetBody", "policy Classify", "error's RetryAfter", "EndsWith",
	}
	hookActs    = []string{"panic", "Goexit", "block"}
	hookAnswers = []string{"200", "content", "503", "429", "401", "reset", "timeout", "cut", "waits", "full", "open"}
)

// pause sleeps in a bubble, once all that goes on there waits.
func pause(d time.Duration) {
	synctest.Wait()
	time.Sleep(d)
}

// hookRig is what a round calls.
type hookRig struct {
	*trap
	round  round
	t      *testing.T
	server *faultserver.Server

	client  *holdfast.Client
	second  *holdfast.Client // of a Fallback
	router  *holdfast.Router
	policy  *holdfast.Policy
	breaker *holdfast.Breaker
	permits *holdfast.Bulkhead // of policy

	span     span
	bodies   atomic.Int64 // that are open
	failures atomic.Int64 // that a policy's function returns
	opened   atomic.Int64
	ended    atomic.Int64
}

// answers is the service: an event stream for those who ask for one.
func hookAnswer(fails *atomic.Bool) faultserver.Service {
	return func(r faultserver.Request) faultserver.Answer {
		wrong := r.Path == "/x" && fails.CompareAndSwap(true, false)
		if strings.Contains(r.Header.Get("Accept"), "event-stream") {
			a := chat(faultserver.Request{Path: "/events", Body: r.Body})
			if wrong {
				a.Body = append([]byte("data: overloaded\n\n"), a.Body...)
			}
			return a
		}
		if wrong {
			return faultserver.Answer{Status: 200, ContentType: "application/json", Body: []byte(`"overloaded"`)}
		}
		return faultserver.Echo(r)
	}
}

func (r *hookRig) classify(hook string) func(*holdfast.Answer) holdfast.Verdict {
	return func(a *holdfast.Answer) (v holdfast.Verdict) {
		r.hit(hook)
		if strings.Contains(string(a.Body), "overloaded") || strings.Contains(string(a.Event.Data), "overloaded") {
			v.Class = holdfast.ClassOverloaded
		}
		return v
	}
}

// config has the hooks of the round: a hook that is not called changes nothing.
func (r *hookRig) config() holdfast.Config {
	cfg := holdfast.Config{
		BaseURL:  r.server.URL(),
		Name:     "hooks",
		Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 2, MaxStreams: 1},
		Pool:     holdfast.Pool{MaxConns: 1},
		Breaker:  holdfast.BreakerConfig{FailureThreshold: 5, OpenTimeout: 10 * time.Second, HalfOpenMaxCalls: 1},
		Retry:    holdfast.Retry{MaxRetries: 2, BaseDelay: 100 * time.Millisecond, Jitter: holdfast.NoJitter},
		Timeouts: holdfast.Timeouts{Attempt: 20 * time.Second, Acquire: time.Minute},
	}
	if r.round.probe || r.round.answer == "open" {
		cfg.Breaker.FailureThreshold = 1
	}
	switch r.round.hook {
	case "Authorize":
		cfg.Authorize = func(req *http.Request) error {
			r.hit("Authorize")
			req.Header.Set("Authorization", fmt.Sprint("Bearer ", time.Now().UnixNano()))
			return nil
		}
	case "Classify":
		cfg.Classify = r.classify("Classify")
	case "On":
		cfg.Retry.On = func(error) bool { r.hit("On"); return true }
	case "Scope":
		cfg.Scope = func(req *http.Request) string {
			r.hit("Scope")
			return "one"
		}
	case "GetBody":
		cfg.Scope = func(req *http.Request) string {
			if req.GetBody != nil {
				if body, err := req.GetBody(); err == nil {
					body.Close()
				}
			}
			return "one"
		}
	}
	return cfg
}

func (r *hookRig) options() []holdfast.Option {
	opts := []holdfast.Option{holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := r.server.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		r.opened.Add(1)
		return &closingConn{Conn: c, closed: func() { r.ended.Add(1) }}, nil
	})}
	return append(opts, r.listeners(slog.LevelDebug)...)
}

// closingConn tells once that it is closed.
type closingConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *closingConn) Close() error { c.once.Do(c.closed); return c.Conn.Close() }

// listeners are the options for a client or a policy.
func (r *hookRig) listeners(least slog.Level) []holdfast.Option {
	switch r.round.hook {
	case "observer":
		return []holdfast.Option{holdfast.WithObserver(trapObserver{r.trap})}
	case "logger", "logger enabled":
		return []holdfast.Option{holdfast.WithLogger(slog.New(trapHandler{r.trap, least}))}
	case "instrument":
		return []holdfast.Option{holdfast.WithInstrument(&r.span), holdfast.WithInstrument(trapInstrument{r.trap}), holdfast.WithInstrument(&r.span)}
	}
	return nil
}

// hookDoors are the ways of calling.
var hookDoors = map[string]func(*hookRig) error{
	"Get": func(r *hookRig) error {
		_, err := r.client.Get(context.Background(), "/x", r.callOptions()...)
		return err
	},
	"Post": func(r *hookRig) error {
		_, err := r.client.Post(context.Background(), "/x", 1, r.callOptions()...)
		return err
	},
	"Call": func(r *hookRig) error {
		_, err := holdfast.Call[any](context.Background(), r.client, "PUT", "/x", 1, r.callOptions()...)
		return err
	},
	"Healthy": func(r *hookRig) error { return r.client.Healthy(context.Background(), "/x", r.callOptions()...) },
	"Do":      func(r *hookRig) error { return r.read(r.client.Do(r.request("GET", ""), r.callOptions()...)) },
	"Do, GetBody": func(r *hookRig) error {
		return r.read(r.client.Do(r.request("PUT", "GetBody"), r.callOptions()...))
	},
	"Do, upload": func(r *hookRig) error {
		return r.read(r.client.Do(r.request("PUT", "once"), r.callOptions()...))
	},
	"Do, stream": func(r *hookRig) error {
		req := r.request("GET", "")
		req.Header.Set("Accept", "text/event-stream")
		return r.read(r.client.Do(req, r.callOptions()...))
	},
	"SDK":          func(r *hookRig) error { return r.read(r.client.HTTPClient().Do(r.request("GET", ""))) },
	"SDK, GetBody": func(r *hookRig) error { return r.read(r.client.HTTPClient().Do(r.request("PUT", "GetBody"))) },
	"SDK, upload":  func(r *hookRig) error { return r.read(r.client.HTTPClient().Do(r.request("PUT", "once"))) },
	"SDK, Cancel": func(r *hookRig) error {
		req := r.request("GET", "")
		req.Cancel = make(chan struct{}) //lint:ignore SA1019 SDKs use it
		return r.read(r.client.Transport().RoundTrip(req))
	},
	"Stream": func(r *hookRig) error {
		s, err := r.client.Stream(context.Background(), "GET", "/x", nil, r.callOptions()...)
		if err != nil {
			return err
		}
		s.EndsWith(func(e holdfast.ServerEvent) bool {
			r.hit("EndsWith")
			return strings.Contains(string(e.Data), "4")
		})
		for _, e := range s.Events() {
			err = errors.Join(err, e)
		}
		return err
	},
	"Router":        func(r *hookRig) error { return r.read(r.router.RoundTrip(r.request("GET", ""))) },
	"Router, other": func(r *hookRig) error { return r.read(r.router.HTTPClient().Do(r.request("PUT", "GetBody"))) },
	"Batch": func(r *hookRig) error {
		_, err := holdfast.Batch(context.Background(), []int{1, 2}, holdfast.BatchOptions{ChunkSize: 1, Width: 1}, func(ctx context.Context, in []int) ([]int, error) {
			_, err := r.client.Post(ctx, "/x", in, r.callOptions()...)
			return in, err
		})
		return err
	},
	"Fallback": func(r *hookRig) error {
		call := func(c *holdfast.Client) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) { return 0, holdfast1(c.Get(ctx, "/x", r.callOptions()...)) }
		}
		_, err := holdfast.Fallback(context.Background(), call(r.client), call(r.second))
		return err
	},
	"policy Do": func(r *hookRig) error {
		_, err := holdfast.Do(context.Background(), r.policy, func(ctx context.Context) (int, error) { return 0, r.work(ctx) })
		return err
	},
	"policy Run":  func(r *hookRig) error { return holdfast.Run(context.Background(), r.policy, r.work) },
	"policy fast": func(r *hookRig) error { return holdfast.Run(context.Background(), r.policy, r.work) },
}

func holdfast1[T any](_ T, err error) error { return err }

func (r *hookRig) callOptions() []holdfast.CallOption {
	if r.round.hook == "WithClassify" {
		return []holdfast.CallOption{holdfast.WithClassify(r.classify("WithClassify"))}
	}
	return nil
}

// request makes a request that never ends by its context: that would hide a loss.
func (r *hookRig) request(method, body string) *http.Request {
	req, err := http.NewRequest(method, r.server.URL()+"/x", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	fresh := func() (io.ReadCloser, error) {
		r.hit("GetBody")
		return newTrapBody(r.trap, &r.bodies), nil
	}
	switch body {
	case "GetBody":
		req.GetBody = fresh
		fallthrough
	case "once":
		req.Body = newTrapBody(r.trap, &r.bodies)
	}
	return req
}

// read reads an answer as a caller does who closes it in a defer.
func (r *hookRig) read(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// work is the function of a policy.
func (r *hookRig) work(ctx context.Context) error {
	if r.failures.Add(-1) < 0 {
		return nil
	}
	switch r.round.answer {
	case "429":
		return waitsAsked{r.trap}
	case "timeout":
		<-ctx.Done()
		return ctx.Err()
	}
	return errDown
}

func (r *hookRig) isPolicy() bool { return strings.HasPrefix(r.round.door, "policy") }
func (r *hookRig) isRouter() bool { return strings.HasPrefix(r.round.door, "Router") }

// plan is the fault of the first request for /x.
func (r *hookRig) plan() fault.Plan {
	rules := []fault.Rule{rule("/down", "", fault.Fault{Status: 503})}
	switch r.round.answer {
	case "503":
		rules = append(rules, rule("/x", "1", fault.Fault{Status: 503}))
	case "429":
		rules = append(rules, rule("/x", "1", fault.Fault{Status: 429, RetryAfter: 2 * time.Second}))
	case "401":
		rules = append(rules, rule("/x", "1", fault.Fault{Status: 401}))
	case "reset":
		rules = append(rules, rule("/x", "1", fault.Fault{Reset: fault.BeforeAnswer}))
	case "timeout":
		rules = append(rules, rule("/x", "1", fault.Fault{Hang: fault.BeforeAnswer}))
	case "cut":
		rules = append(rules, rule("/x", "1", fault.Fault{Cut: &fault.Cut{After: 20, By: fault.RST}}))
	}
	return fault.Plan{Rules: rules}
}

// run makes one round, and returns how often the hook was called.
func (r *hookRig) run() int {
	t := r.t
	var fails atomic.Bool
	r.server = faultserver.Start(t, r.plan(), faultserver.InMemory(), faultserver.Backend(hookAnswer(&fails)))
	shutdown := r.build()
	if r.round.answer == "content" {
		fails.Store(true)
	}

	if r.round.probe {
		r.open()
		pause(10 * time.Second)
	}
	switch r.round.answer {
	case "waits":
		r.holdPermit(time.Second)
	case "full":
		r.holdPermit(2 * time.Minute)
	case "open":
		r.open()
	case "200":
	default:
		r.failures.Store(1)
	}

	r.arm(true)
	through, err := r.strike()
	r.arm(false)
	if pause(2 * time.Second); r.round.answer == "full" { // until holdPermit has ended
		pause(2 * time.Minute)
	}
	synctest.Wait()
	if r.round.n > 0 && r.calls >= r.round.n {
		r.passes(through, err)
	}
	r.holdsNothing("after the round")

	r.failures.Store(0)
	fails.Store(false)
	if err := r.server.SetPlan(fault.Plan{}); err != nil {
		t.Fatal(err)
	}
	pause(2 * time.Second) // the wait of a 429, and the time in which calls start after it
	if r.state() == holdfast.Open {
		pause(10 * time.Second)
	}
	began := time.Now()
	if err := hookDoors[r.round.door](r); err != nil {
		t.Errorf("%v: the next call: %v", r.round, err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("%v: the next call took %v", r.round, took)
	}
	synctest.Wait()
	r.holdsNothing("after the next call")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		t.Errorf("%v: %v", r.round, err)
	}
	pause(time.Second) // net/http takes half a second to close a connection that it cuts
	synctest.Wait()
	if open := r.opened.Load() - r.ended.Load(); open != 0 {
		t.Errorf("%v: %d connections are open", r.round, open)
	}
	return r.calls
}

// build makes what the door calls, and returns what shuts it down.
func (r *hookRig) build() func(context.Context) error {
	t := r.t
	r.do = func() {
		r.unlocked()
		switch r.round.act {
		case "panic":
			panic("planned")
		case "Goexit":
			runtime.Goexit()
		}
		<-time.NewTimer(3 * time.Second).C
	}
	none := func(context.Context) error { return nil }
	switch {
	case r.isPolicy():
		cfg := r.config()
		breaker := []holdfast.Option(nil)
		if r.round.hook == "observer" {
			breaker = r.listeners(0)
		}
		r.breaker = holdfast.MustBreaker(cfg.Breaker, breaker...)
		r.permits = holdfast.MustBulkhead(cfg.Bulkhead)
		p := holdfast.PolicyConfig{Retry: cfg.Retry, Breaker: r.breaker, Bulkhead: r.permits, AttemptTimeout: 20 * time.Second}
		switch r.round.hook {
		case "policy Classify":
			p.Classify = func(err error) holdfast.Outcome { r.hit("policy Classify"); return holdfast.Transient }
		case "error's RetryAfter":
			p.Classify = func(err error) holdfast.Outcome {
				if errors.Is(err, errDown) {
					return holdfast.Transient
				}
				return holdfast.Throttled
			}
		}
		listeners := r.listeners(slog.LevelDebug)
		if r.round.door == "policy fast" {
			if listeners = r.listeners(slog.LevelWarn); r.round.hook == "observer" || r.round.hook == "instrument" {
				listeners = nil // with which it would be slow
			}
		}
		policy, err := holdfast.NewPolicy(p, listeners...)
		if err != nil {
			t.Fatal(err)
		}
		r.policy = policy
		return none
	case r.isRouter():
		cfg := holdfast.RouterConfig{}
		one := r.config()
		one.BaseURL = ""
		if r.round.door == "Router" {
			cfg.Hosts = map[string]holdfast.Config{r.server.URL(): one}
		} else {
			one.Name, one.Authorize = "", nil
			cfg.Default = &one
		}
		router, err := holdfast.NewRouter(cfg, r.options()...)
		if err != nil {
			t.Fatal(err)
		}
		r.router = router
		if r.round.door != "Router" { // the first call makes the client
			req, _ := http.NewRequest("GET", r.server.URL()+"/first", nil)
			if err := r.read(router.RoundTrip(req)); err != nil {
				t.Fatal(err)
			}
		}
		r.client = router.Client(r.server.URL())
		r.breaker = r.client.Breaker()
		return router.Shutdown
	}
	client, err := holdfast.New(r.config(), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	r.client, r.breaker = client, client.Breaker()
	if r.round.door != "Fallback" {
		return client.Shutdown
	}
	if r.second, err = holdfast.New(r.config(), r.options()...); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error { return errors.Join(client.Shutdown(ctx), r.second.Shutdown(ctx)) }
}

// open opens the breaker.
func (r *hookRig) open() {
	if r.isPolicy() {
		_ = holdfast.Run(context.Background(), r.policy, func(context.Context) error { return errDown })
	} else {
		_, _ = r.client.Get(context.Background(), "/down")
	}
	if r.state() != holdfast.Open {
		r.t.Fatalf("%v: the breaker is %v", r.round, r.state())
	}
}

func (r *hookRig) state() holdfast.State {
	if r.client != nil {
		if scoped := r.client.ScopeBreaker("one"); scoped != nil {
			return scoped.State()
		}
	}
	return r.breaker.State()
}

// holdPermit holds the only permit for d from now on. It calls no hook later.
func (r *hookRig) holdPermit(d time.Duration) {
	var release func()
	if r.isPolicy() {
		p, _ := r.permits.TryAcquire()
		release = p.Release
	} else {
		req, _ := http.NewRequest("GET", r.server.URL()+"/held", nil)
		resp, err := r.client.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		release = func() { resp.Body.Close() }
	}
	time.AfterFunc(d, release)
}

// strike makes the call in a goroutine of its own. through is the value of a panic that
// passed through, and "Goexit" for that.
func (r *hookRig) strike() (through any, err error) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			if p := recover(); p != nil {
				through = p
			}
		}()
		through = "Goexit"
		err = hookDoors[r.round.door](r)
		through = nil
	}()
	<-over
	return through, err
}

// passes checks that the caller's panic and Goexit reach the caller. A request's body is read
// and closed by other goroutines than the caller's, so that there it is an error.
func (r *hookRig) passes(through any, err error) {
	want := map[string]any{"panic": "planned", "Goexit": "Goexit", "block": nil}[r.round.act]
	switch {
	case strings.HasPrefix(r.round.hook, "body"):
		if through != nil && !(r.round.hook == "body close" && through == want) {
			r.t.Errorf("%v: %v passed through", r.round, through)
		}
		if r.round.hook == "body read" && r.round.act != "block" && err == nil {
			r.t.Errorf("%v: no error", r.round)
		}
	case r.round.door == "Batch" && r.round.act == "Goexit":
		if err == nil {
			r.t.Errorf("%v: no error", r.round)
		}
	case through != want:
		r.t.Errorf("%v: %v passed through, want %v", r.round, through, want)
	}
}

// unlocked calls what takes the locks.
func (r *hookRig) unlocked() {
	_ = r.breaker.Stats()
	if r.client != nil {
		_, _ = r.client.Stats(), r.client.Scopes()
	}
	if r.policy != nil {
		_, _ = r.policy.Stats(), r.permits.Waiting()
	}
	if r.router != nil {
		_ = r.router.Stats()
	}
}

func (r *hookRig) holdsNothing(when string) {
	if r.isPolicy() {
		if used, waiting := r.permits.InUse(), r.permits.Waiting(); used != 0 || waiting != 0 {
			r.t.Errorf("%v: %s: %d permits are in use, and %d calls wait", r.round, when, used, waiting)
		}
	}
	for _, c := range []*holdfast.Client{r.client, r.second} {
		if c == nil {
			continue
		}
		if s := c.Stats(); s.InFlight != 0 || s.Permits != 0 || s.Streams != 0 || s.Queued != 0 {
			r.t.Errorf("%v: %s: %d calls, %d permits, %d streams and %d waits are left", r.round, when, s.InFlight, s.Permits, s.Streams, s.Queued)
		}
	}
	if open := r.bodies.Load(); open != 0 {
		r.t.Errorf("%v: %s: %d bodies are open", r.round, when, open)
	}
	if open := r.span.open.Load(); open != 0 {
		r.t.Errorf("%v: %s: %d spans are open", r.round, when, open)
	}
}

// Every round of every hook.
func TestHooksLoseNothing(t *testing.T) {
	rounds := 0
	for _, hook := range hookNames {
		t.Run(hook, func(t *testing.T) {
			for _, door := range slices.Sorted(maps.Keys(hookDoors)) {
				for _, answer := range hookAnswers {
					for _, probe := range []bool{false, true} {
						if probe && !slices.Contains([]string{"200", "content", "503", "429", "cut"}, answer) {
							continue
						}
						rounds += everyStrike(t, round{hook: hook, door: door, answer: answer, probe: probe})
					}
				}
			}
		})
	}
	if t.Logf("%d rounds", rounds); rounds < 420 {
		t.Error("these are too few: a hook is not called")
	}
}

// everyStrike makes a round for each call of the hook in r, and returns their number.
func everyStrike(t *testing.T, r round) (rounds int) {
	calls := 0
	run := func(r round) {
		t.Run(r.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { calls = (&hookRig{trap: &trap{hook: r.hook, at: r.n}, round: r, t: t}).run() })
		})
	}
	run(r)
	for n := range calls {
		for i, act := range hookActs {
			if calls > 4 && (n+i+len(r.door)+len(r.answer))%6 != 0 { // it is done for other doors and answers
				continue
			}
			r.n, r.act = n+1, act
			run(r)
			rounds++
		}
	}
	return rounds
}

// A body that ends net/http's goroutine, or panics in it, costs neither the place of a stream
// of HTTP/2 nor the program.
func TestBodyBreaksOverHTTP2(t *testing.T) {
	for _, act := range []string{"panic", "Goexit"} {
		for _, hook := range []string{"body read", "body close"} {
			t.Run(hook+" "+act, func(t *testing.T) {
				server, opts := tlsServer(t, true, func(w http.ResponseWriter, req *http.Request) {
					_, _ = io.Copy(io.Discard, req.Body)
				})
				client, err := holdfast.New(holdfast.Config{BaseURL: server.URL, Bulkhead: one, Pool: holdfast.Pool{MaxConns: 1}}, opts...)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				for range 3 {
					strike := &trap{hook: hook, at: 1, armed: true, do: runtime.Goexit}
					if act == "panic" {
						strike.do = func() { panic("planned") }
					}
					over := make(chan error)
					go func() {
						defer close(over)
						req, _ := http.NewRequestWithContext(ctx, "PUT", server.URL, newTrapBody(strike, new(atomic.Int64)))
						resp, err := client.Do(req)
						if err == nil {
							resp.Body.Close()
						}
						over <- err
					}()
					if err := <-over; hook == "body read" && (err == nil || !strings.Contains(err.Error(), "reading the request body: its Read")) {
						t.Errorf("the error is %v", err)
					}
					if _, err := client.Get(t.Context(), "/"); err != nil {
						t.Fatalf("the next call: %v", err)
					}
				}
				if ctx.Err() != nil {
					t.Error("a call has waited for its end")
				}
				eventually(t, "at the end", func() string {
					if s := client.Stats(); s.InFlight != 0 || s.Permits != 0 {
						return fmt.Sprintf("%d calls and %d permits are left", s.InFlight, s.Permits)
					}
					return ""
				})
			})
		}
	}
}

// An answer may come before the request's body was read. The body is then closed with the
// answer, and its Goexit loses nothing.
func TestBodyExitsAfterTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fake := roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("early")), Request: req}, nil
		})
		client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Bulkhead: one}, holdfast.WithTransport(fake))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		strike := &trap{hook: "body close", at: 1, armed: true, do: runtime.Goexit}
		over, answered := make(chan struct{}), false
		go func() {
			defer close(over)
			req, _ := http.NewRequest("PUT", "http://x.test/", newTrapBody(strike, new(atomic.Int64)))
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			answered = true
			resp.Body.Close()
			t.Error("the body was not closed")
		}()
		<-over
		equal(t, "answered", answered, true)
		if s := client.Stats(); s.InFlight != 0 || s.Permits != 0 {
			t.Errorf("%d calls and %d permits are left", s.InFlight, s.Permits)
		}
	})
}

// An observer that panics does not keep the failure of an answer from the breaker.
func TestVerdictAfterAPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		watch := holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
			if e.Kind == holdfast.EventBrokeOff {
				panic("planned")
			}
		})
		client, s := service(t, plan(rule("", "1", fault.Fault{Cut: &fault.Cut{After: 20, By: fault.RST}})),
			holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, holdfast.WithObserver(watch))
		req, _ := http.NewRequest("GET", s.URL()+"/x", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { equal(t, "the panic", recover(), any("planned")) }()
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
		}()
		equal(t, "the breaker", client.Breaker().State(), holdfast.Open)
	})
}

// Instruments that panic at the end, all of them, keep no other from its end.
func TestInstrumentsEndThroughPanics(t *testing.T) {
	var s span
	shaky := holdfast.WithInstrument(shakyInstrument{})
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{}, holdfast.WithInstrument(&s), shaky, shaky, shaky, holdfast.WithInstrument(&s))
	func() {
		defer func() { equal(t, "the panic", recover(), any("planned")) }()
		_ = holdfast.Run(t.Context(), policy, func(context.Context) error { return nil })
	}()
	equal(t, "open spans", s.open.Load(), 0)
}

// shakyInstrument panics at each end.
type shakyInstrument struct{}

func (shakyInstrument) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return ctx, func(holdfast.Event) { panic("planned") }
}

func (shakyInstrument) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return ctx, func(holdfast.Event) { panic("planned") }
}

// The end of a context tells instruments in a goroutine that is not the caller's. A panic
// there does not end the program.
func TestInstrumentPanicsAfterTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		strike := &trap{hook: "instrument", armed: true, do: func() { panic("planned") }}
		client, s := service(t, plan(), holdfast.Config{}, holdfast.WithInstrument(trapInstrument{strike}))
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", s.URL()+"/x", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		strike.at = strike.calls + 1
		cancel()
		synctest.Wait()
		equal(t, "the instrument's calls", strike.calls, strike.at)
		equal(t, "calls in flight", client.Stats().InFlight, 0)
		resp.Body.Close()
	})
}
