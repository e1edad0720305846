package wire

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Context is the context of one attempt, which a Trip ends at a limit.
type Context interface {
	context.Context
	AfterFunc(f func()) (stop func() bool)
	Extend(deadline time.Time)
	Expire() // as a deadline does
	End()    // as a cancellation does
}

// Trip is one attempt to send a request and to have its answer. It is the
// context that net/http is given: so it times the phases and learns what became
// of the connection, and everything that takes is in one piece of memory.
//
// Start makes a zero Trip ready. It is used once and must not be copied.
type Trip struct {
	Context
	clock
	trace    httptrace.ClientTrace
	request  requestBody
	response responseBody
	conn     connection

	lot     *lot        // of the transport; nil for somebody else's
	myTurn  atomic.Bool // it is the first of those who wait
	wrapped *wrapped    // nil if the RoundTripper is net/http's

	Unpack bool // a compressed answer: see AsksGzip
}

// tripKey finds the Trip in the context of a dial.
type tripKey struct{}

// net/http looks for the hooks in a context under traceKey, and a derived context looks
// for its parent under cancelKey. Neither package exports its key, so both are found by
// a look-up.
var (
	traceKey  = keyOf(func(ctx context.Context) { httptrace.ContextClientTrace(ctx) })
	cancelKey = keyOf(func(ctx context.Context) { _ = context.Cause(ctx) })
)

func keyOf(lookUp func(context.Context)) any {
	var p probe
	lookUp(&p)
	return p.key
}

// probe is a context that keeps the key that is looked up in it. It has ended, since
// context.Cause looks no further otherwise.
type probe struct {
	context.Context
	key any
}

func (p *probe) Err() error        { return context.Canceled }
func (p *probe) Value(key any) any { p.key = key; return nil }

// Value gives net/http its hooks, and a dial the Trip that wants it.
func (t *Trip) Value(key any) any {
	switch key {
	case tripKey{}:
		return t
	case traceKey:
		return &t.trace
	}
	return t.Context.Value(key)
}

// Start begins an attempt at began, with ctx as its context, which nothing else
// need time: the Trip ends it at its deadline, zero for none, and when a phase
// takes longer than its limit.
func (t *Trip) Start(ctx Context, began, deadline time.Time, limits *Limits) {
	t.Context, t.ctx, t.began, t.limits = ctx, ctx, began, limits
	t.start(t.dueAt(deadline))
}

// Extend moves the deadline, zero for none: a body that is read after the
// attempt is bounded by the operation.
func (t *Trip) Extend(deadline time.Time) {
	t.Context.Extend(deadline)
	if due := t.dueAt(deadline); due > 0 {
		t.setTo(whole, due)
	} else {
		t.clear(whole)
	}
}

// dueAt is a deadline as the clock has it.
func (t *Trip) dueAt(deadline time.Time) int64 {
	if deadline.IsZero() {
		return 0
	}
	return max(1, int64(deadline.Sub(t.began)))
}

// End ends the attempt: its timer, its context, and whatever still uses it.
func (t *Trip) End() {
	t.stop()
	if t.request.body != nil { // now, so that it is known what can still be had of it
		t.request.stop()
		t.request.shut()
	}
	t.Context.End()
	if t.lot != nil {
		t.lot.signal()
	}
}

// Body is body as this attempt sends it: its chunks timed, closed once, and
// closed when the attempt ends, which frees a Read that blocks. Without that
// RoundTrip would wait for it for ever (golang/go #78555).
func (t *Trip) Body(body io.ReadCloser) io.ReadCloser {
	t.request.trip, t.request.body = t, body
	t.request.stop = t.AfterFunc(t.request.shut)
	return &t.request
}

var errNothing = errors.New("the transport returned neither an answer nor an error")

// RoundTrip sends req, whose context is t, and waits for the headers of the
// answer. Redirects are answers like others.
func (t *Trip) RoundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	if own, ok := rt.(*Transport); ok {
		t.lot = &own.lot
	}
	inner := netHTTP(rt)
	if inner == nil {
		req = t.wrap(req)
	} else if p := inner.Protocols; p != nil {
		t.conn.clear = p.UnencryptedHTTP2() && !p.HTTP1()
	}
	t.hook(req)
	var resp *http.Response
	var err error
	if t.lot != nil {
		resp, err = t.queue(inner, req)
	} else {
		resp, err = rt.RoundTrip(req)
	}
	switch {
	case err != nil:
	case resp == nil:
		err = errNothing
	case resp.Body == nil: // a fake's, as http.Client allows it
		resp.Body = http.NoBody
	}
	return t.arrived(resp, t.why(err))
}

// hook puts the hooks in place.
func (t *Trip) hook(req *http.Request) {
	t.trace.GetConn = t.getConn
	t.trace.GotConn = t.gotConn
	if req.URL.Scheme == "https" || t.conn.clear { // it may be HTTP/2
		t.trace.WroteHeaders = t.wroteHeaders
	}
	t.trace.WroteRequest = t.wroteRequest
	if len(req.Header["Expect"]) > 0 {
		t.trace.Wait100Continue = func() { t.wroteRequest(httptrace.WroteRequestInfo{}) }
	}
	if t.wrapped != nil {
		t.trace.GotFirstResponseByte = t.gotFirstResponseByte
	}
	if httptrace.ContextClientTrace(t.Context) != nil { // the caller's own, which are called too
		httptrace.WithClientTrace(t.Context, &t.trace)
	}
}

func (t *Trip) arrived(resp *http.Response, err error) (*http.Response, error) {
	t.answered.Store(true)
	if err != nil {
		return nil, err
	}
	// A connection that was switched to another protocol is the caller's.
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != http.NoBody {
		if t.Unpack {
			unpack(resp)
		}
		t.response = responseBody{resp.Body, &t.clock}
		resp.Body = &t.response
	}
	return resp, nil
}

// pool begins the phase Pool with a search for a connection, or goes on with it: its
// limit is for the waits before a connection is had, all together. A dial that was
// begun for an earlier search may go on, but is not what this one waits for.
func (t *Trip) pool() {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	t.conn.search++
	t.clear(connecting)
	t.resume()
}

// resume is pool within the same search. It is called under the lock.
func (t *Trip) resume() {
	left := cmp.Or(t.conn.left, t.limits.Pool)
	if left > 0 && t.due[pooling].Load() == 0 {
		t.setTo(pooling, int64(time.Since(t.began)+left))
	}
}

// connect leaves the phase Pool for Connect. It is called under the lock.
func (t *Trip) connect() {
	if due := t.due[pooling].Swap(0); due > 0 {
		t.conn.left = max(1, time.Duration(due)-time.Since(t.began))
	}
	t.set(connecting)
}

// dialling begins the phase Connect, and returns the search that the dial is for.
// There is no Trip if somebody else uses the transport.
func (t *Trip) dialling() (search int) {
	if t == nil {
		return 0
	}
	t.conn.mu.Lock()
	search = t.conn.search
	t.conn.mu.Unlock()
	t.connecting(search)
	return search
}

// connecting begins the phase Connect, unless that search is over: a dial goes on
// without it. It begins anew with the TLS handshake, which has the same limit.
func (t *Trip) connecting(search int) {
	if t == nil {
		return
	}
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	if t.conn.search == search && t.conn.conn == nil {
		t.connect()
		t.leaveTurn()
	}
}

func (t *Trip) wroteRequest(httptrace.WroteRequestInfo) {
	if t.follows() {
		t.clear(writing)
		t.set(waiting)
	}
}

// Chunk is how much of a request is sent in one go, and so what Limits.Write is
// about: HTTP/2 would ask for half a megabyte.
const Chunk = 32 << 10

// requestBody is the body of a request.
type requestBody struct {
	trip   *Trip
	body   io.ReadCloser
	read   atomic.Bool
	closed atomic.Bool
	failed atomic.Pointer[error] // what it came to itself, rather than that it was closed
	stop   func() bool
}

// BodyFailed is the error that the request's body gave, nil if it gave none: the
// caller's own, and no fault of the service.
func (t *Trip) BodyFailed() error {
	if failed := t.request.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

func (b *requestBody) Read(p []byte) (int, error) {
	t := b.trip
	// Whoever makes the body takes the time that it takes: neither this side nor
	// the service is late.
	t.clear(writing)
	t.clear(waiting)
	b.read.Store(true)
	n, err := b.body.Read(p[:min(len(p), Chunk)])
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.failed.Store(&err)
	}
	if err == nil || !t.conn.foreign.Load() {
		t.set(writing)
	} else {
		t.set(waiting)
	}
	return n, err
}

// Close closes the body once, however many ask for it. As long as nobody has read
// it, that is the attempt's business: net/http closes it also when there is no
// connection yet.
func (b *requestBody) Close() error {
	if !b.read.Load() && b.trip.Err() == nil {
		return nil
	}
	b.stop()
	b.shut()
	return nil
}

func (b *requestBody) shut() {
	if b.closed.CompareAndSwap(false, true) {
		_ = b.body.Close()
	}
}

// responseBody is the body of an answer. It is timed long after RoundTrip has
// returned, and only while somebody waits for it: a reader that takes its time is
// not the service's fault.
type responseBody struct {
	io.ReadCloser
	clock *clock
}

func (b *responseBody) Read(p []byte) (int, error) {
	b.clock.set(reading)
	n, err := b.ReadCloser.Read(p)
	b.clock.clear(reading)
	return n, err
}
