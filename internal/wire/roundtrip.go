package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Context is the context of one attempt, which a RoundTrip ends at a limit.
type Context interface {
	context.Context
	AfterFunc(f func()) (stop func() bool)
	Extend(deadline time.Time)
	Expire() // as a deadline does
	End()    // as a cancellation does
}

// RoundTrip sends one request and waits for the headers of its answer. It is the context
// that net/http is given: so it times the phases and observes the connection, and all
// of that is one piece of memory.
//
// Start makes a zero RoundTrip ready. A RoundTrip is used once and must not be copied.
type RoundTrip struct {
	Context
	deadlines
	trace    httptrace.ClientTrace
	request  requestBody
	response responseBody
	conn     connection

	wrapped *wrapped     // nil if the RoundTripper is net/http's
	own     *Transport   // nil if the RoundTripper is not one
	limiter *connLimiter // of own
	isHead  atomic.Bool  // of the limiter's line
	Unpack  bool         // a compressed answer: see AsksGzip

	// PublicOnly: a Transport dials no private address for the request. A proxy dials for
	// itself.
	PublicOnly bool
}

// idleCloser is the method of http.Transport that http.Client.CloseIdleConnections calls.
type idleCloser interface{ CloseIdleConnections() }

// Start begins a round trip at a time, in the World of ctx. ctx needs no timer: the
// RoundTrip ends it at the deadline, zero for none, and when a phase reaches its limit.
func (r *RoundTrip) Start(ctx Context, began, deadline time.Time, limits *Limits) {
	r.Context, r.ctx, r.started, r.limits = ctx, ctx, began, limits
	r.world = world.Of(ctx)
	r.begin(r.at(deadline))
}

// Do sends req, whose context is r, and waits for the headers of the answer. A redirect
// is an answer like any other.
func (r *RoundTrip) Do(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	if own, ok := rt.(*Transport); ok {
		r.own, r.limiter = own, &own.limiter
		r.PublicOnly = r.PublicOnly && !usesProxy(own, req)
		own.retire()
		own.trust(r.started)
	}
	inner := netHTTP(rt)
	if inner != nil && !r.world.IsReal() {
		panic("wire: net/http waits in real time: a request of another World needs a RoundTripper of that World")
	}
	if inner == nil {
		req = r.wrap(req)
	} else {
		r.conn.cleartextHTTP2 = onlyCleartextHTTP2(inner)
	}
	r.installHooks(req)
	var resp *http.Response
	var err error
	if r.limiter != nil {
		resp, err = r.sendInLine(req)
	} else {
		resp, err = rt.RoundTrip(req)
	}
	if resp != nil && resp.Body == nil { // http.Client accepts it from a fake
		resp.Body = http.NoBody
	}
	resp, err = r.withoutSurplus(resp, err)
	switch {
	case err != nil:
		if resp != nil { // a RoundTripper must not return both
			_ = resp.Body.Close()
		}
		if foreign, ok := rt.(*http.Transport); ok {
			err = r.conn.withoutProxyText(foreign, req, err)
		}
		err = r.conn.cause(err, inner == nil)
	case resp == nil:
		err = errNothing
	case resp.StatusCode < 100:
		_ = resp.Body.Close()
		err = fmt.Errorf("malformed answer: the status is %d, and must be at least 100", resp.StatusCode)
	case isEmpty(req, resp, inner != nil):
		_ = resp.Body.Close() // over HTTP/2 it is another value
		resp.Body = http.NoBody
	}
	r.answer.Store(answerBegun)
	if err != nil {
		return nil, err
	}
	// A connection that was switched to another protocol belongs to the caller, and never
	// becomes idle.
	if resp.StatusCode == http.StatusSwitchingProtocols {
		r.conn.mu.Lock()
		r.conn.joined = nil
		r.conn.mu.Unlock()
	} else if resp.Body == http.NoBody {
		r.answer.Store(answerRead)
	} else {
		if r.Unpack {
			unpack(resp)
		}
		r.response = responseBody{ReadCloser: resp.Body, deadlines: &r.deadlines}
		resp.Body = &r.response
	}
	return resp, nil
}

// isEmpty reports whether an answer has no body. Of net/http, and of HTTP/2 behind another
// RoundTripper, a length of zero means that.
func isEmpty(req *http.Request, resp *http.Response, ofNetHTTP bool) bool {
	if resp.StatusCode == http.StatusSwitchingProtocols || !ofNetHTTP && resp.ProtoMajor != 2 {
		return false
	}
	return resp.ContentLength == 0 || req.Method == http.MethodHead ||
		resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
}

var errNothing = errors.New("the transport returned neither an answer nor an error")

// Body returns body as the round trip sends it: each chunk is timed, and the body is
// closed once, at the latest when the round trip ends. That frees a Read that blocks,
// for which net/http would wait for ever (golang/go #78555). A body that does not have the
// length that the request announces fails; zero or less announces none.
func (r *RoundTrip) Body(body io.ReadCloser, length int64) io.ReadCloser {
	r.request.roundTrip, r.request.body, r.request.length = r, body, length
	if length <= 0 {
		r.request.length = -1
	}
	r.request.stop = r.AfterFunc(r.request.shut)
	return &r.request
}

// BodyFailed returns the error of the request's body, nil if it has not failed. Such an
// error is the caller's, not the service's.
func (r *RoundTrip) BodyFailed() error {
	if failed := r.request.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// Extend moves the deadline, zero for none: the operation bounds a body that is read
// after the attempt.
func (r *RoundTrip) Extend(deadline time.Time) {
	r.Context.Extend(deadline)
	if due := r.at(deadline); due > 0 {
		r.setTo(dueAttempt, due)
	} else {
		r.clear(dueAttempt)
	}
}

// AwaitEvent is called when the caller waits for an event of a stream. Limits.Event begins,
// unless it has begun.
func (r *RoundTrip) AwaitEvent() {
	if r.limits.Event > 0 && r.due[dueEvent].Load() == 0 {
		r.set(dueEvent)
	}
}

// EventArrived is called when the event has arrived.
func (r *RoundTrip) EventArrived() {
	if r.limits.Event > 0 {
		r.clear(dueEvent)
	}
}

// CarriesStream is called when the answer is a stream that may take long. Over HTTP/1.1 its
// connection does not count any more for TransportConfig.MaxConns.
func (r *RoundTrip) CarriesStream() {
	r.conn.mu.Lock()
	joined := r.conn.joined
	r.conn.mu.Unlock()
	if joined != nil {
		joined.carryStream()
	}
}

// End ends the round trip: its timer, its context, and all that uses them.
func (r *RoundTrip) End() {
	r.stop()
	if r.request.body != nil { // now, so that an Upload knows what it can still give
		r.request.stop()
		r.request.shut()
	}
	r.Context.End()
	r.leave()
}

// cut ends the round trip and its connection.
func (r *RoundTrip) cut() {
	r.conn.mu.Lock()
	conn := r.conn.conn
	r.conn.mu.Unlock()
	if conn != nil {
		abandon(conn)
	}
	r.Context.End()
}

// Left is End after the end of the context, for code that must not wait: another goroutine
// closes the request's body.
func (r *RoundTrip) Left() {
	r.stop()
	r.leave()
}

func (r *RoundTrip) leave() {
	if r.wrapped != nil {
		r.wrapped.cancel() // at once: the end of r reaches it by a goroutine
	}
	r.leaveConn()
	r.unask()
	if r.limiter != nil {
		r.limiter.notify()
	}
}

// Value gives net/http its hooks, and a Transport's dial its RoundTrip.
func (r *RoundTrip) Value(key any) any {
	switch key {
	case roundTripKey{}:
		return r
	case traceKey:
		return &r.trace
	}
	return r.Context.Value(key)
}

type roundTripKey struct{}

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
