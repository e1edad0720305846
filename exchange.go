package holdfast

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/call"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/shell"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// exchange is the operation of a client: one request and, in the end, its answer.
type exchange struct {
	operation
	client  *Client
	newer   *exchange // its neighbours among the running ones
	older   *exchange
	own     shell.Attempt                 // the operation's context: Timeouts.Total ends it, and so does Close
	current atomic.Pointer[shell.Attempt] // the attempt's, which Close ends too
	closed  atomic.Bool                   // Close has
	limits  *wire.Limits
	repeat  Repeat
	isCheck bool // of health: see Client.Healthy
	isDoor  bool // refusals are answers: see Client.HTTPClient
	isLive  bool // its body is for the caller
	streams bool // the answer is a stream
	spent   bool // the request's body was sent
	moved   bool // the attempt has followed a redirect
	away    bool // to another origin

	// What nearly every call needs once is part of it, so that it costs nothing.
	once     attemptMemory // the first attempt's
	initial  http.Request  // the first attempt's, and what the others are made from; its body comes from body
	ids      [1]string     // the value of the header with the id
	bodyRead liveBody

	body   func() (io.ReadCloser, error)
	upload *wire.Upload // what body reads, if it can be read only once

	answer *Response      // of a buffered call
	raw    *http.Response // of a live one
	spare  *http.Response // of a door: the last refusal, while a better answer is waited for
	stream *Stream
}

// attemptMemory is what an attempt needs besides its context.
type attemptMemory struct {
	trip  wire.Trip
	watch shell.Watch
}

// buffered makes a call whose answer is read within the attempt.
func (c *Client) buffered(ctx context.Context, method, path string, in any, opts []CallOption) (*Response, error) {
	o, err := c.encoded(ctx, method, path, in, opts, acceptJSON)
	if err != nil {
		return nil, err
	}
	if err := o.run(); err != nil {
		return nil, err
	}
	o.answer.Attempts = o.made
	return o.answer, nil
}

// acceptJSON is one for all calls, and so never written to.
var acceptJSON = []string{"application/json"}

// encoded is a call with a body that is in memory.
func (c *Client) encoded(ctx context.Context, method, path string, in any, opts []CallOption, accept []string) (*exchange, error) {
	target, err := wire.Target(c.settings.base, path)
	if err != nil {
		return nil, c.misuse(method, wire.Shown(c.settings.base), err)
	}
	body, mediaType, err := encode(in)
	if err != nil {
		return nil, c.misuse(method, wire.Shown(target), err)
	}
	with, err := c.with(method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.refused(ctx, method, target, nil, &with); err != nil {
		return nil, err
	}
	return c.compose(ctx, method, target, body, mediaType, &with, accept), nil
}

// compose makes the exchange of a body that is in memory. http.NewRequest would
// parse the URL again.
func (c *Client) compose(ctx context.Context, method string, target *url.URL, body []byte, mediaType string, with *callOptions, accept []string) *exchange {
	o := &exchange{client: c}
	h := make(http.Header, 4)
	o.ask(&http.Request{Method: method, URL: target, Host: target.Host, Header: h})
	o.addHeaders(with)
	if h["Accept"] == nil {
		h["Accept"] = accept
	}
	if body != nil {
		if h["Content-Type"] == nil {
			h["Content-Type"] = []string{mediaType}
		}
		o.request.ContentLength = int64(len(body))
		o.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	o.prepare(ctx, with)
	return o
}

// live prepares a call whose body the caller reads.
func (c *Client) live(in *http.Request, opts []CallOption) (*exchange, error) {
	ctx := in.Context()
	target, base := in.URL, c.settings.base
	switch {
	case target == nil:
		return nil, c.misuse(in.Method, wire.Shown(base), errors.New("the request has no URL"))
	case target.Scheme == "" && target.Host == "":
		var err error
		if target, err = wire.Target(base, target.String()); err != nil {
			return nil, c.misuse(in.Method, wire.Shown(base), err)
		}
	case !wire.SameOrigin(target, base) && target.User != nil:
		// What was taken for a host may be a part of the password.
		return nil, c.misuse(in.Method, wire.Shown(base),
			fmt.Errorf("the request's URL has a user or password in it, and is not at the origin of the base URL, which is %s://%s", base.Scheme, base.Host))
	case !wire.SameOrigin(target, base):
		return nil, c.misuse(in.Method, wire.Shown(target),
			fmt.Errorf("%s://%s is not the origin of the base URL, which is %s://%s", target.Scheme, target.Host, base.Scheme, base.Host))
	}
	ck := check{}
	for name, values := range in.Header {
		ck.header("the request", name, values)
	}
	if err := ck.err(); err != nil {
		return nil, c.misuse(in.Method, wire.Shown(target), err)
	}
	method := cmp.Or(in.Method, http.MethodGet)
	with, err := c.with(method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.refused(ctx, method, target, in.Header, &with); err != nil {
		return nil, err
	}
	o := &exchange{client: c, isLive: true}
	o.ask(in)
	req := o.request
	if req.Header = in.Header.Clone(); req.Header == nil {
		req.Header = http.Header{}
	}
	req.URL, req.Host, req.Body, req.GetBody = target, cmp.Or(in.Host, target.Host), nil, nil
	switch {
	case in.Body == nil || in.Body == http.NoBody:
	case in.GetBody != nil:
		first := in.Body
		o.body = func() (io.ReadCloser, error) {
			if body := first; body != nil {
				first = nil
				return body, nil
			}
			return in.GetBody()
		}
	default:
		o.upload = wire.NewUpload(in.Body, in.ContentLength, c.rules.retry.Retries > 0)
		o.body = o.upload.Open
	}
	o.addHeaders(&with)
	o.prepare(ctx, &with)
	return o, nil
}

// ask takes over what the request says; what it refers to is still the caller's.
func (o *exchange) ask(req *http.Request) {
	o.initial = *req.WithContext(&o.once.trip)
	o.initial.Method = cmp.Or(req.Method, http.MethodGet)
	o.request = &o.initial
}

// addHeaders gives the request the call's headers and the client's. A header is the
// nearest one's: the request's own, or rather the call's, or else the client's.
func (o *exchange) addHeaders(with *callOptions) {
	h := o.request.Header
	for name, values := range with.header {
		h[name] = values
	}
	for name, values := range o.client.settings.header {
		if h[name] == nil {
			h[name] = values
		}
	}
}

// prepare gives the operation its id, its time and its context.
func (o *exchange) prepare(ctx context.Context, with *callOptions) {
	c := o.client
	o.repeat, o.isCheck, o.isDoor = with.repeat, with.isCheck, with.isDoor
	h := o.request.Header
	if ids := h[c.settings.idHeader]; len(ids) > 0 {
		o.id = ids[0]
	}
	made := o.id == ""
	if made {
		if o.id = with.key; o.id == "" {
			o.id = newID()
		}
		o.ids[0] = o.id
		h[c.settings.idHeader] = o.ids[:]
	}
	switch {
	case with.key != "":
		h.Set("Idempotency-Key", with.key)
	case c.settings.alsoAsKey && h.Get("Idempotency-Key") == "":
		h.Set("Idempotency-Key", o.id)
	}

	o.begin(ctx, &c.rules)
	o.attempt = with.attempt
	if o.isCheck {
		o.schedule = new(retry.Config) // without retries
	}
	o.limits = &c.limits
	if c.settings.readIsAttempt && with.attempt != c.limits.Read {
		own := c.limits
		own.Read = with.attempt
		o.limits = &own
	}
	o.own.Init(ctx, o.deadline)
	o.ctx = &o.own
	if !o.watched {
		return
	}
	if made && with.key == "" {
		o.tell(Event{Kind: EventKeyGenerated, Time: o.began})
	}
	o.tell(Event{Kind: EventStarted, Time: o.began, Limit: with.attempt})
}

// run takes the request through the rules.
func (o *exchange) run() error {
	if !o.client.running.add(o) {
		o.abort()
		o.discard()
		return o.end(retry.Decision{Why: retry.Ended})
	}
	handedOut := false
	defer func() { // through a panic of Authorize, too
		switch {
		case handedOut:
		case o.raw != nil: // of an observer, too
			_ = o.raw.Body.Close()
		default:
			o.finish()
		}
	}()
	d := call.Run(o, o.schedule)
	err := o.end(d)
	if o.raw != nil {
		handedOut = true
		if o.bodyRead.ReadCloser == http.NoBody { // which many do not close
			o.bodyRead.release()
		}
		return nil
	}
	if d.Why == retry.Ended {
		o.spare = nil
	}
	return err
}

// Verdict keeps a health check from the breaker: its permit comes back without
// one. A wait for a connection says nothing of the service.
func (o *exchange) Verdict(v outcome.Outcome) {
	switch b, bad := o.rules.breaker, o.bad; {
	case o.isCheck:
		v = Unknown
	case bad != nil && bad.kind == ErrPoolTimeout && len(bad.failures) > 1 && b != nil && !b.each: // what came before it stands
		v = bad.failures[len(bad.failures)-2].Outcome
	}
	o.operation.Verdict(v)
}

// finish ends the operation's context and takes it off the client's list.
func (o *exchange) finish() {
	o.own.End()
	o.discard()
	o.client.running.remove(o)
}

// discard closes a body that was never sent, as a Transport would have, or that
// the attempts shared.
func (o *exchange) discard() {
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

// Attempt sends the request once.
func (o *exchange) Attempt(n int) outcome.Result {
	o.spare, o.moved, o.away = nil, false, false
	trip := o.depart(n)
	handedOut := false
	defer func() {
		if !handedOut {
			trip.End()
		}
	}()
	req, err := o.attemptRequest(trip, nil)
	if err != nil {
		// Nothing was sent, and it is no fault of the service.
		return o.failed(Attempt{Outcome: Unknown, Err: err}, nil, true)
	}
	resp, err := trip.RoundTrip(o.client.transport, req)
	if err == nil && o.client.settings.redirects > 0 {
		trip, resp, err = o.follow(trip, resp)
	}
	switch {
	case err != nil:
		return o.unanswered(trip, resp, err)
	case resp.StatusCode == http.StatusSwitchingProtocols && !(o.isLive && o.request.Header["Upgrade"] != nil):
		_ = resp.Body.Close() // the connection; a Read would wait on it beyond every limit
		return o.lost(trip, errSwitched, resp.StatusCode)
	case resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified:
		if o.isDoor {
			handedOut = true
			return o.keep(trip, resp)
		}
		return o.turnedDown(trip, resp)
	case o.isLive:
		handedOut = true
		o.handOut(trip, resp)
		return o.succeeded(resp.StatusCode)
	}
	if o.streams {
		var r outcome.Result
		r, handedOut = o.open(trip, resp)
		return r
	}
	return o.read(trip, resp)
}

var errSwitched = errors.New("the service switched to another protocol, which it was not asked for")

// unanswered is an attempt that came to an error. resp is nil but for a redirect
// that cannot be followed.
func (o *exchange) unanswered(trip *wire.Trip, resp *http.Response, err error) outcome.Result {
	a := Attempt{Outcome: Unknown, Reused: trip.Reused(), Sent: true}
	if unmade, ok := errors.AsType[*unmadeError](err); ok {
		a.Err = unmade.error
		return o.failed(a, nil, true)
	}
	if astray, ok := errors.AsType[*RedirectError](err); ok {
		a.Outcome, a.Err, a.Status = Permanent, astray, resp.StatusCode
		return o.failed(a, ErrStatus, true)
	}
	if failed := trip.BodyFailed(); failed != nil {
		a.Err, a.Sent = fmt.Errorf("reading the request body: %w", wire.WithoutURL(failed)), trip.Sent(err)
		return o.failed(a, nil, true)
	}
	return o.lost(trip, wire.Discreet(err), 0)
}

// depart gives attempt n a context, and a clock for its phases.
func (o *exchange) depart(n int) *wire.Trip {
	ctx, mem := o.start(n), &o.once
	if n > 1 {
		mem = new(attemptMemory)
	}
	deadline, _ := ctx.Deadline()
	return o.lead(ctx, mem, deadline)
}

// lead has an attempt's context end with its trip, or with Close. It has the same
// parent as the operation's, and no later deadline, so that neither need watch the
// other.
func (o *exchange) lead(ctx *shell.Attempt, mem *attemptMemory, deadline time.Time) *wire.Trip {
	ctx.Keep(&mem.watch)
	mem.trip.Start(ctx, o.asked, deadline, o.limits)
	// The order matters, as in abort: one of the two sees the other.
	if o.current.Store(ctx); o.closed.Load() {
		ctx.End()
	}
	return &mem.trip
}

// abort ends the operation and its attempt, from any goroutine.
func (o *exchange) abort() {
	o.closed.Store(true)
	o.own.End()
	if ctx := o.current.Load(); ctx != nil {
		ctx.End()
	}
}

// attemptRequest makes the request of one attempt, or of a redirect within it,
// with a body of its own.
func (o *exchange) attemptRequest(trip *wire.Trip, h *hop) (*http.Request, error) {
	req := o.request
	switch {
	case h != nil:
		req = h.request.WithContext(trip)
	case trip != &o.once.trip || o.client.settings.authorize != nil:
		req = req.WithContext(trip)
	}
	if o.client.settings.authorize != nil && !o.away {
		// What one attempt is given is not for the next, nor for the caller's request.
		req.Header = req.Header.Clone()
		target := *req.URL
		req.URL = &target
		if err := o.client.settings.authorize(req); err != nil {
			return nil, fmt.Errorf("the request was not authorized: %w", wire.WithoutURL(err))
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
	// Without GetBody: net/http would repeat it where nobody counts.
	if req.Body = body; !o.inOneGo() {
		req.Body = trip.Body(body)
	}
	return req, nil
}

// inOneGo is a body in memory that is sent as one chunk: there are no gaps to be
// timed, nothing of it blocks, and net/http sends what it knows to be in memory
// together with the headers.
func (o *exchange) inOneGo() bool {
	return !o.isLive && o.request.ContentLength <= wire.Chunk
}

// read reads the answer within the attempt.
func (o *exchange) read(trip *wire.Trip, resp *http.Response) outcome.Result {
	body, err := wire.ReadAll(resp.Body, resp.ContentLength, o.client.settings.maxBody)
	if errors.Is(err, wire.ErrTooLong) {
		wire.Drain(resp.Body, trip.End)
		err = fmt.Errorf("more than %d bytes: raise Config.MaxResponseBytes, or read it through Client.Do", o.client.settings.maxBody)
		return o.failed(Attempt{Outcome: Permanent, Err: err, Status: resp.StatusCode, Reused: trip.Reused(), Sent: true}, ErrBodyTooLarge, true)
	}
	_ = resp.Body.Close()
	if err != nil {
		return o.lost(trip, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), wire.Discreet(err)), resp.StatusCode)
	}
	o.answer = &Response{
		Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, Body: body, RequestID: o.id, target: o.request.URL,
	}
	return o.succeeded(resp.StatusCode)
}

// lost is an attempt without an answer, or with only a part of one.
func (o *exchange) lost(trip *wire.Trip, err error, status int) outcome.Result {
	a := Attempt{Outcome: Transient, Err: err, Reused: trip.Reused(), Status: status}
	a.Sent = o.moved || trip.Sent(err)
	limit := o.expired(trip)
	trip.End() // before the question whether the request can be had again
	if o.ctx.Err() == context.Canceled {
		kind, _ := o.ended()
		a.Outcome = Canceled
		return o.failed(a, kind, true)
	}
	kind := ErrConnection
	hopeless := false
	if limit == nil {
		switch wire.Classify(err) {
		case wire.ConnectTimeout:
			limit = &TimeoutError{Phase: "connect", Limit: o.limits.Connect, After: o.limits.Connect}
		case wire.Hopeless:
			hopeless, o.trouble().unrepeatable = true, "the same attempt would fail again"
		}
	}
	if limit != nil {
		kind, a.Err = ErrTimeout, limitedBy(limit, err)
	}
	if limit != nil && limit.Phase == "acquire" { // this side is saturated, of which the service knows nothing
		a.Outcome, a.Err, o.trouble().unrepeatable = Unknown, limit, "no connection came free in time"
		return o.failed(a, ErrPoolTimeout, true)
	}
	return o.judged(a, kind, hopeless || !o.mayRepeat(a.Sent))
}

// turnedDown is an attempt whose answer is a refusal or a failure.
func (o *exchange) turnedDown(trip *wire.Trip, resp *http.Response) outcome.Result {
	arrived := time.Now()
	var hurry func()
	if s := resp.StatusCode; o.made < o.most() && (s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500) {
		hurry = trip.End // a retry may follow, which is worth more than the end of a body
	}
	refusal, _ := readRefusal(resp, resp.Body, hurry)
	wire.Drain(resp.Body, trip.End)
	trip.End()
	return o.weighed(trip, refusal, arrived)
}

// readRefusal makes the error of an answer and of the beginning of its body, and
// reports whether that is all of it.
func readRefusal(resp *http.Response, body io.Reader, hurry func()) (refusal *StatusError, whole bool) {
	b, whole := wire.ReadError(body, hurry)
	return &StatusError{
		Status: resp.StatusCode, Header: resp.Header, Body: b, Problem: Problem(wire.ParseProblem(resp.Header, b)),
	}, whole
}

// weighed says what a refusal that arrived then means for the operation.
func (o *exchange) weighed(trip *wire.Trip, refusal *StatusError, arrived time.Time) outcome.Result {
	a := Attempt{
		Outcome: Permanent, Err: refusal, Status: refusal.Status, Reused: trip.Reused(), Sent: true,
		RetryAfter: wire.RetryAfter(refusal.Header, arrived),
	}
	undone := false // refused, rather than perhaps done
	switch s := refusal.Status; {
	case s == http.StatusTooManyRequests:
		a.Outcome, undone = Throttled, true
		if a.RetryAfter > 0 && a.RetryAfter <= o.rules.retry.MaxRetryAfter && !o.away {
			o.rules.pause.Ask(arrived, a.RetryAfter)
			o.trouble().retryAt = arrived.Add(a.RetryAfter)
		}
	case s == http.StatusRequestTimeout, s >= 500:
		a.Outcome = Transient
		undone = s == http.StatusServiceUnavailable && a.RetryAfter > 0
	}
	noRepeat := !o.mayRepeat(!undone || o.moved)
	if again, said := wire.ShouldRetry(refusal.Header); said {
		noRepeat = noRepeat || !again
	}
	return o.judged(a, statusKind(refusal.Status), noRepeat)
}

// judged lets the caller's own filter decide what is worth repeating.
func (o *exchange) judged(a Attempt, kind error, noRepeat bool) outcome.Result {
	if on := o.client.settings.on; on != nil {
		switch worth := on(&limited{limit: kind, err: a.Err}); {
		case !worth:
			noRepeat = true
		case a.Outcome == Permanent:
			a.Outcome = Transient
		}
	}
	return o.failed(a, kind, noRepeat)
}

// mayRepeat reports whether the request may be sent again, given whether the
// last time may have done what it asks for.
func (o *exchange) mayRepeat(mayBeDone bool) bool {
	switch {
	case o.upload != nil && (!o.upload.Again() || o.raw != nil && !o.upload.Settled()):
		o.trouble().unrepeatable = "the request body can be read only once"
		return false
	case !mayBeDone, o.repeat == RepeatKeyed:
		return true
	}
	safe := wire.Idempotent(o.request.Method)
	if !safe && o.isDoor && o.repeat == RepeatSafe {
		o.trouble().unrepeatable = "it may have been done, and it carries no key: see RepeatPOST"
	}
	return safe && o.repeat == RepeatSafe
}
