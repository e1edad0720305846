package holdfast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// clientCall is the operation of a client: one request and, in the end, its
// answer.
type clientCall struct {
	operation
	client   *Client
	with     *resolved // the settings that it began with
	newer    *clientCall
	older    *clientCall                   // its neighbours among the running calls
	own      lazyctx.Context               // its context: Timeouts.Total ends it, and so does Close
	attempts atomic.Pointer[clientAttempt] // the newest; Close ends them all
	closed   atomic.Bool                   // by Close
	limits   *wire.Limits
	repeat   Repeat
	receiver receiver
	upgrade  bool // the caller asks for another protocol
	chunked  bool // the request's body is the caller's, and may come in pieces
	unpack   bool // a compressed answer was asked for
	spent    bool // it was sent

	// What nearly every call needs once is part of it, so that it costs nothing.
	first   clientAttempt
	initial http.Request // the first attempt's, and the pattern of the others; its body comes from body
	ids     [1]string    // the value of the header with the id

	body   func() (io.ReadCloser, error)
	upload *wire.Upload // the body, if it can be read only once

	out   *clientAttempt // the attempt that was handed over to its answer
	spare *http.Response // through the SDK transport: the last declining answer, until there is a better one
}

// clientAttempt is one attempt of a clientCall: a request over the wire, redirects
// included.
type clientAttempt struct {
	engine.Attempt
	call   *clientCall
	older  *clientAttempt
	onWire atomic.Pointer[lazyctx.Context] // of the current round trip, for Close

	roundTrip   *wire.RoundTrip
	redirected  bool            // it followed a redirect
	crossOrigin bool            // to another origin
	parent      context.Context // of the contexts of its round trips
	added       http.Header     // by instruments
	answer      any             // from the receiver: *Response, *http.Response or *Stream

	once roundTrip
	live liveBody
}

// roundTrip is the memory of one round trip.
type roundTrip struct {
	wire  wire.RoundTrip
	watch lazyctx.Watch
}

// run takes the request through the rules.
func (o *clientCall) run() error {
	if !o.client.running.add(o) {
		o.abort()
		o.discard()
		return o.end(retry.Decision{Why: retry.Ended})
	}
	done := false
	defer func() { // through a panic of Authorize, too
		switch {
		case done && o.out != nil: // the caller's from here on
		case o.out != nil: // a panic of an observer
			_ = o.out.live.Close()
		default:
			o.finish()
		}
	}()
	d := o.Run()
	err := o.end(d)
	done = true
	if o.out != nil {
		if o.out.live.ReadCloser == http.NoBody { // many callers do not close it
			o.out.live.release()
		}
		return err
	}
	if d.Why == retry.Ended {
		o.spare = nil
	}
	return err
}

// finish ends the operation's context and takes it off the client's list.
func (o *clientCall) finish() {
	o.own.End()
	o.discard()
	o.client.running.remove(o)
}

// discard closes a body that was never sent, as an http.RoundTripper must, or that
// the attempts shared.
func (o *clientCall) discard() {
	if o.upload != nil {
		o.upload.Close()
		return
	}
	if o.body == nil || o.spent {
		return
	}
	o.spent = true
	if body, err := o.body(); err == nil {
		_ = body.Close()
	}
}

// abort ends the operation and its attempts, from any goroutine.
func (o *clientCall) abort() {
	o.closed.Store(true)
	o.own.End()
	for a := o.attempts.Load(); a != nil; a = a.older {
		if ctx := a.onWire.Load(); ctx != nil {
			ctx.End()
		}
	}
}

// Try sends the request once.
func (o *clientCall) Try(n int) *engine.Attempt {
	a := &o.first
	if n > 1 {
		a = new(clientAttempt)
	}
	a.call, o.out, o.spare = o, nil, nil
	a.older = o.attempts.Load()
	o.attempts.Store(a)
	a.parent, a.added = o.start(&a.Attempt, n, &a.once.watch)
	a.begin(&a.Context, &a.once)
	a.send()
	if a.HandedOver() {
		o.out = a
	}
	return &a.Attempt
}

// Retrying gives up an answer that was kept, before the wait for a better one.
func (o *clientCall) Retrying(now time.Time, a *engine.Attempt, d retry.Decision) {
	if o.out != nil {
		o.giveUp()
	}
	o.operation.Retrying(now, a, d)
}

// begin starts a round trip, whose context ends with it, at a limit, or with Close.
// The context has the same parent as the operation's and no later deadline, so that
// neither needs to watch the other.
func (a *clientAttempt) begin(ctx *lazyctx.Context, mem *roundTrip) {
	o := a.call
	deadline, _ := ctx.Deadline()
	a.roundTrip = &mem.wire
	a.roundTrip.Start(ctx, o.Asked(), deadline, o.limits)
	// The order matters, as in abort: one of the two sees the other.
	if a.onWire.Store(ctx); o.closed.Load() {
		ctx.End()
	}
}

// send makes the round trips of the attempt and concludes it.
func (a *clientAttempt) send() {
	defer func() {
		switch {
		case !a.HandedOver():
			a.roundTrip.End()
		case !a.Concluded(): // a panic of Retry.On
			_ = a.live.Close()
		}
	}()
	o := a.call
	req, err := a.request(nil)
	if err != nil {
		a.fail(a.facts(judge.NotMade), err)
		return
	}
	resp, err := a.roundTrip.Do(o.with.transport, req)
	if err == nil && o.with.redirects > 0 {
		resp, err = a.follow(resp)
	}
	if err != nil {
		a.failed(resp, err)
		return
	}
	f := a.facts(judge.Answered)
	f.Status = resp.StatusCode
	switch m := a.judge(f); {
	case m.Outcome == Success:
		a.Status = resp.StatusCode
		o.receiver.receive(a, resp)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		_ = resp.Body.Close() // the connection: a Read would wait beyond every limit
		a.lost(errSwitched, resp.StatusCode)
	default:
		o.receiver.decline(a, resp)
	}
}

var errSwitched = errors.New("the service switched to another protocol, which it was not asked for")

// request makes the request of one round trip, with a body of its own. h is a
// redirect's, nil for the first round trip of an attempt.
func (a *clientAttempt) request(h *hop) (*http.Request, error) {
	o := a.call
	req, own := o.request, o.with.authorize != nil || len(a.added) > 0
	switch {
	case h != nil:
		req = h.request.WithContext(a.roundTrip)
	case a != &o.first || own:
		req = req.WithContext(a.roundTrip)
	}
	a.roundTrip.Unpack = o.unpack
	if own { // what one attempt is given is not for the next, nor for the caller's request
		req.Header = req.Header.Clone()
		for name, values := range a.added {
			if !a.crossOrigin {
				req.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	if authorize := o.with.authorize; authorize != nil {
		if !a.crossOrigin {
			target := *req.URL
			req.URL = &target
			if err := authorize(req); err != nil {
				return nil, fmt.Errorf("the request was not authorized: %w", wire.WithoutURL(err))
			}
		}
		a.roundTrip.Unpack = wire.AsksGzip(o.with.transport, req) // now: it need not be signed
	}
	if own { // net/http's error for a bad header would look like a lost connection
		ck := check{}
		for name, values := range req.Header {
			ck.header("the request", name, values)
		}
		if err := ck.err(); err != nil {
			return nil, err
		}
	}
	if o.body == nil || h != nil && h.noBody {
		return req, nil
	}
	body, err := o.body()
	if err != nil {
		return nil, fmt.Errorf("the request body cannot be had again: %w", wire.WithoutURL(err))
	}
	o.spent = true
	// Without GetBody: net/http would repeat the request unseen. A body in memory
	// that is sent as one chunk has no gaps to be timed, and net/http sends what it
	// knows to be in memory together with the headers.
	if req.Body = body; o.chunked || o.request.ContentLength > wire.Chunk {
		req.Body = a.roundTrip.Body(body)
	}
	return req, nil
}

// facts are what is known of the attempt, beside its end.
func (a *clientAttempt) facts(end judge.Ending) judge.Facts {
	o := a.call
	f := judge.Facts{
		Ending: end, Method: o.request.Method, Transport: o.receiver == viaTransport{}, Upgrade: o.upgrade,
		Redirected: a.redirected, CrossOrigin: a.crossOrigin,
	}
	switch {
	case o.upload == nil:
	case !o.upload.Again():
		f.Body = judge.Gone
	case !o.upload.Settled():
		f.Body = judge.Shared
	}
	return f
}

func (a *clientAttempt) judge(f judge.Facts) judge.Meaning {
	return judge.Judge(f, judge.Rules{Repeat: judge.Repeat(a.call.repeat), MaxRetryAfter: a.call.Rules.Retry.MaxRetryAfter})
}

// fail concludes the attempt with facts and the error that goes with them. The
// user's filter has a say where the judge asks for it.
func (a *clientAttempt) fail(f judge.Facts, err error) {
	m := a.judge(f)
	if on := a.call.with.on; on != nil && m.AskUser {
		m = m.Filtered(on(&limited{limit: kindErrors[m.Kind], err: err}))
	}
	a.Status, a.Reused, a.Sent = f.Status, a.roundTrip.Reused(), f.Sent
	a.Conclude(m, err)
}

// failed concludes an attempt whose request was sent and came back as an error.
// resp is nil but for a redirect that must not be followed.
func (a *clientAttempt) failed(resp *http.Response, err error) {
	f := a.facts(judge.NotMade)
	f.Sent = true
	if unmade, ok := errors.AsType[*unmadeError](err); ok {
		a.fail(f, unmade.error)
		return
	}
	if misled, ok := errors.AsType[*RedirectError](err); ok {
		f.Ending, f.Status = judge.Misled, resp.StatusCode
		a.fail(f, misled)
		return
	}
	if source := a.roundTrip.BodyFailed(); source != nil {
		f.Ending, f.Sent = judge.SourceFailed, a.roundTrip.Sent(err)
		a.fail(f, fmt.Errorf("reading the request body: %w", wire.WithoutURL(source)))
		return
	}
	a.lost(wire.Redacted(err), 0)
}

// lost concludes an attempt without an answer, or with a part of one.
func (a *clientAttempt) lost(err error, status int) {
	o := a.call
	sent := a.redirected || a.roundTrip.Sent(err)
	limit, struck := a.limit()
	a.roundTrip.End() // before the question whether the body can be had again
	f := a.facts(judge.NoAnswer)
	f.Status, f.Sent, f.Ended, f.Limit = status, sent, true, struck
	switch {
	case o.Context.Err() != context.Canceled:
	case o.Caller.Err() == context.Canceled:
		f.Canceled = judge.ByCaller
	default:
		f.Canceled = judge.ByClose
	}
	if limit == nil {
		if f.Failure = wire.Classify(err); f.Failure == judge.ConnectTimeout {
			limit = &TimeoutError{Phase: "connect", Limit: o.limits.Connect, After: o.limits.Connect}
		}
	}
	switch {
	case f.Canceled != judge.NotCanceled || limit == nil:
	case struck == judge.AcquireLimit:
		err = limit
	default:
		err = limitedBy(limit, err)
	}
	a.fail(f, err)
}

// limit returns the limit that has ended the attempt, nil if none has.
func (a *clientAttempt) limit() (*TimeoutError, judge.Limit) {
	if phase, limit, after, ok := a.roundTrip.Expired(); ok && phase != wire.PhaseAttempt {
		struck := judge.PhaseLimit
		if phase == wire.PhaseAcquire {
			struck = judge.AcquireLimit
		}
		return &TimeoutError{Phase: phase.String(), Limit: limit, After: after}, struck
	}
	if s, ok := a.call.Struck(a.roundTrip, a.Started); ok {
		return limitOf(s), s.Limit
	}
	return nil, judge.NoLimit
}

// limitedBy is a limit together with net/http's error, which differs between
// protocols: where that says only that a context has ended, the limit stands alone.
func limitedBy(limit *TimeoutError, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return limit
	}
	return &limited{limit, err}
}
