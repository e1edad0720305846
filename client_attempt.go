package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// clientAttempt is one attempt of a clientCall: a request over the wire, with its
// redirects.
type clientAttempt struct {
	engine.Attempt
	call   *clientCall
	older  *clientAttempt
	onWire atomic.Pointer[lazyctx.Context] // of the current round trip, for Close

	roundTrip   *wire.RoundTrip
	resent      uint8       // times that its connection was stale, and nothing of the request was written
	awaitsEvent bool        // Timeouts.FirstEvent bounds it: the answer is a stream without an event yet
	redirected  bool        // it followed a redirect
	crossOrigin bool        // to another origin
	byID        bool        // see isByID
	addedHere   bool        // the headers in added are those of the operation's request, too
	added       http.Header // by instruments
	authorized  *authorized // by Authorize
	answer      any         // of the receiver: *Response, *http.Response or *Stream; or the RoundTripper's error

	firstRoundTrip roundTrip
	live           liveBody
}

// roundTrip is the memory for one round trip.
type roundTrip struct {
	wire  wire.RoundTrip
	watch lazyctx.Watch
}

// startRoundTrip starts a round trip. ctx ends with it, at a limit, or with Close. The
// parent of ctx is the operation's, and its deadline is no later, so neither context has
// to watch the other.
func (a *clientAttempt) startRoundTrip(ctx *lazyctx.Context, mem *roundTrip) {
	o := a.call
	deadline, _ := ctx.Deadline()
	a.roundTrip = &mem.wire
	a.roundTrip.Start(ctx, o.AttemptStart(), deadline, o.limits)
	// This order and that in abort ensure that one of the two ends ctx.
	if a.onWire.Store(ctx); o.aborted.Load() {
		ctx.End()
	}
}

// nextRoundTrip starts another round trip of the attempt, after one that has ended. The
// deadline of the attempt stays.
func (a *clientAttempt) nextRoundTrip() {
	deadline, _ := a.roundTrip.Deadline()
	ctx, mem := new(lazyctx.Context), new(roundTrip)
	ctx.InitWatched(a.Parent(), deadline, &mem.watch)
	a.startRoundTrip(ctx, mem)
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
		a.requestFailed(err)
		return
	}
	resp, err := a.do(req)
	if err == nil && o.resolved.config.MaxRedirects > 0 {
		resp, err = a.follow(resp)
	}
	if err != nil {
		a.answer = err
		a.roundTripFailed(resp, err)
		return
	}
	if o.ends != nil {
		o.ends.proto = resp.Proto
	}
	f := a.facts(judge.Answered)
	f.Status = resp.StatusCode
	switch m := a.judge(f); {
	case m.Outcome == Success:
		a.Status = resp.StatusCode
		o.receiver.receive(a, resp)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		_ = resp.Body.Close() // the connection: no limit bounds a Read
		a.noAnswer(errSwitched, resp.StatusCode)
	default:
		o.receiver.decline(a, resp, m.Outcome)
	}
}

// do makes a round trip. With Config.CheckRequestID an answer without the call's id is none.
// Another origin does not get the id.
func (a *clientAttempt) do(req *http.Request) (*http.Response, error) {
	o := a.call
	resp, err := a.roundTrip.Do(o.resolved.transport, req)
	if cfg := &o.resolved.config; err == nil && cfg.CheckRequestID && !a.crossOrigin && resp.Header.Get(cfg.RequestIDHeader) != o.id {
		return nil, a.roundTrip.Disown(resp, cfg.RequestIDHeader)
	}
	return resp, err
}

var errSwitched = errors.New("the service switched to another protocol, which it was not asked for")

// request makes the request of one round trip, with its own body. h is the redirect
// that asks for it, nil for the first round trip of an attempt.
func (a *clientAttempt) request(h *hop) (*http.Request, error) {
	o := a.call
	authorize := o.resolved.config.Authorize
	if a == &o.first && h == nil && a.resent == 0 && authorize == nil && len(a.added) > 0 {
		if err := a.addHere(); err != nil {
			return nil, err
		}
	}
	req, own := o.request, authorize != nil || len(a.added) > 0
	switch first := &o.first; {
	case a == first && first.addedHere && h == nil && a.resent == 0:
		own = false
	case a != first:
		own = own || first.addedHere
	}
	switch {
	case h != nil:
		req = h.request.WithContext(a.roundTrip)
	case a != &o.first || own || a.resent > 0:
		req = req.WithContext(a.roundTrip)
	}
	a.roundTrip.Unpack = o.unpack
	if own { // the next attempt and the caller's request do not get this attempt's headers
		req.Header = req.Header.Clone()
		if a != &o.first && o.first.addedHere {
			for name := range o.first.added {
				delete(req.Header, http.CanonicalHeaderKey(name))
			}
		}
		for name, values := range a.added {
			if !a.crossOrigin {
				req.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	if authorize != nil {
		if !a.crossOrigin {
			target := *req.URL
			req.URL = &target
			if err := a.authorize(req, authorize); err != nil {
				return nil, fmt.Errorf("the request was not authorized: %w", err)
			}
			req.URL = wire.WithoutBlanks(req.URL)
		}
		a.roundTrip.Unpack = o.acceptEncoding(req) // after the request was signed
	}
	if own { // net/http's error for an invalid header would look like a lost connection
		if err := checkHeaders("header", req.Header); err != nil {
			return nil, err
		}
	}
	if o.body == nil || h != nil && h.noBody {
		return req, nil
	}
	body, err := o.body()
	if err != nil {
		if endingOf(err) == judge.Mistaken {
			return nil, err
		}
		return nil, fmt.Errorf("the request body cannot be had again: %w", wire.WithoutURL(err))
	}
	o.bodyUsed = true
	// The request has no GetBody, with which net/http would repeat it unseen. A body in
	// memory of one chunk needs no write limit, and stays as it is: net/http sends a body
	// that it knows to be in memory together with the headers.
	if req.Body = body; o.chunked || o.request.ContentLength > wire.Chunk {
		req.Body = a.roundTrip.Body(body, req.ContentLength)
	}
	return req, nil
}

// acceptEncoding asks for an answer that is compressed, or for one that is not if it is a
// stream. It reports whether the round trip is to unpack the answer.
func (o *clientCall) acceptEncoding(req *http.Request) bool {
	if _, ok := o.receiver.(streamReceiver); ok {
		return wire.AsksIdentity(req)
	}
	return wire.AsksGzip(o.resolved.transport, req)
}

// facts returns the facts that are known before the attempt ends.
func (a *clientAttempt) facts(end judge.Ending) judge.Facts {
	o := a.call
	sdk, ofSDK := o.receiver.(transportReceiver)
	f := judge.Facts{
		Ending: end, Method: o.request.Method, Transport: ofSDK, Keyed: sdk.keyed, Upgrade: o.upgrade,
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

// conclude ends the attempt with its facts and its error. It asks Retry.On if the judge
// wants it.
func (a *clientAttempt) conclude(f judge.Facts, err error) { a.concludeWith(f, a.judge(f), err) }

func (a *clientAttempt) concludeWith(f judge.Facts, m judge.Meaning, err error) {
	if on := a.call.resolved.config.Retry.On; on != nil && m.AskUser {
		m = m.Filtered(on(&limited{limit: kindErrors[m.Kind], err: err}))
	}
	a.Status, a.Reused, a.Sent, a.Class = f.Status, a.roundTrip.Reused(), f.Sent, judge.ClassOf(f, m)
	a.byID = m.Why == judge.May && a.isByID(f)
	a.Conclude(m, err)
}

// requestFailed concludes an attempt of which a request was not made.
func (a *clientAttempt) requestFailed(err error) {
	if ended, ok := errors.AsType[*authorizeEnded](err); ok {
		a.noAnswer(ended, 0)
		return
	}
	f := a.facts(endingOf(err))
	f.Sent = a.redirected
	a.conclude(f, err)
}

// roundTripFailed concludes an attempt with the error of a round trip. resp is nil,
// except for a redirect that must not be followed.
func (a *clientAttempt) roundTripFailed(resp *http.Response, err error) {
	f := a.facts(judge.NotMade)
	f.Sent = true
	if notMade, ok := errors.AsType[*notMadeError](err); ok {
		a.requestFailed(notMade.error)
		return
	}
	if redirect, ok := errors.AsType[*RedirectError](err); ok {
		f.Ending, f.Status = judge.Misled, resp.StatusCode
		a.conclude(f, redirect)
		return
	}
	if source := a.roundTrip.BodyFailed(); source != nil {
		f.Ending, f.Sent = judge.SourceFailed, a.roundTrip.Sent(err)
		if wire.Unsendable(source) { // it has another length than it announces
			f.Ending = judge.Mistaken
			a.conclude(f, source)
			return
		}
		a.conclude(f, fmt.Errorf("reading the request body: %w", wire.WithoutURL(source)))
		return
	}
	if answer, ok := errors.AsType[*wire.ProxyAnswer](err); ok {
		a.proxyDeclined(answer)
		return
	}
	if wire.Unsendable(err) {
		f.Ending, f.Sent = judge.Mistaken, a.roundTrip.Sent(err)
		a.conclude(f, wire.Redacted(err))
		return
	}
	a.noAnswer(wire.Redacted(err), 0)
}

// proxyDeclined concludes an attempt that a proxy did not connect.
func (a *clientAttempt) proxyDeclined(r *wire.ProxyAnswer) {
	a.Arrived, a.answer = a.call.Now(), nil // net/http's has no more than the status's name
	f := a.facts(judge.ProxyDeclined)
	f.Status, f.Ended = r.Status, true
	f.RetryAfter = judge.RetryAfter(r.Header.Get("Retry-After-Ms"), r.Header.Get("Retry-After"), r.Header.Get("Date"), a.Arrived)
	m := a.judge(f)
	f.Status = 0 // the service has not answered
	a.concludeWith(f, m, &ProxyError{Proxy: r.Proxy, Host: r.Host, Status: r.Status, RetryAfter: f.RetryAfter})
}

// noAnswer concludes an attempt with no answer, or with a part of one.
func (a *clientAttempt) noAnswer(err error, status int) {
	o := a.call
	_, late := err.(*authorizeEnded)
	sent := a.redirected || a.roundTrip.Sent(err)
	limit, reached := a.limit()
	a.roundTrip.End() // before facts asks whether the body can be sent again
	f := a.facts(judge.NoAnswer)
	f.Status, f.Sent, f.Ended, f.Limit = status, sent, true, reached
	if limit != nil && !(reached == judge.OperationLimit && limit.Phase == "deadline") {
		a.answer = nil // it is the client's own limit
	}
	switch {
	case o.hasLeft():
		f.Canceled = judge.ByCaller
	case o.Context.Err() == context.Canceled:
		f.Canceled = o.canceledBy()
	}
	f.Reused, f.Silent = a.roundTrip.Reused(), status == 0 && a.roundTrip.Silent(err, limit != nil)
	if limit == nil {
		if f.Failure = wire.Classify(err); f.Failure == judge.ConnectTimeout {
			limit = &TimeoutError{Phase: "connect", Limit: o.limits.Connect, After: o.limits.Connect}
		}
	}
	switch {
	case f.Canceled != judge.NotCanceled || limit == nil:
	case reached == judge.AcquireLimit:
		err = limit
	default:
		if cause := o.causeOf(limit); cause != nil {
			err = cause
		}
		err = withLimit(limit, err)
	}
	m := a.judge(f)
	if late && m.Outcome == Transient {
		m.Outcome, m.Why, m.AskUser = Unknown, judge.MustNot, false // the service has no part in it
	}
	if m.Retire {
		a.roundTrip.Retire(o.resolved.transport)
	}
	if stale := m.AtOnce && m.Stands; stale {
		if m.Why == judge.May && !sent && (a.resent == 0 || a.roundTrip.Missed() && a.resent < maxResends) {
			a.resend()
			return
		}
		a.Free = !wire.CanRetire(o.resolved.transport)
	}
	a.concludeWith(f, m, err)
}

// maxResends bounds how often an attempt meets a connection that this side retires at the
// same moment. More than once is rare.
const maxResends = 10

// resend sends the request again within the attempt, on another connection. Nothing of it
// was written, so the service has not seen this attempt yet.
func (a *clientAttempt) resend() {
	a.resent++
	a.nextRoundTrip()
	a.send()
}

// canceledBy is the party that canceled the operation.
func (o *clientCall) canceledBy() judge.Cancel {
	if o.Caller.Err() == context.Canceled {
		return judge.ByCaller
	}
	return judge.ByClose
}

// limit returns the limit that ended the attempt, nil if none did.
func (a *clientAttempt) limit() (*TimeoutError, judge.Limit) {
	if phase, limit, after, ok := a.roundTrip.Expired(); ok && phase != wire.PhaseAttempt {
		reached := judge.PhaseLimit
		if phase == wire.PhaseAcquire {
			reached = judge.AcquireLimit
		}
		return &TimeoutError{Phase: phase.String(), Limit: limit, After: after}, reached
	}
	if s, ok := a.call.ReachedLimit(a.roundTrip, a.Started); ok {
		if a.awaitsEvent && s.Limit == judge.AttemptLimit {
			s.Phase, s.Set = phaseFirstEvent, a.call.resolved.firstEvent
		}
		return timeoutOf(s), s.Limit
	}
	return nil, judge.NoLimit
}

// causeOf is the cause that the caller gave its own deadline, nil if it gave none. The timer
// of the caller's context may be later than that of the attempt.
func (o *clientCall) causeOf(limit *TimeoutError) error {
	if limit.Phase != "deadline" {
		return nil
	}
	if o.Caller.Err() == nil {
		o.World.Sleep(o.Caller, o.Now().Add(timerDelay))
	}
	if cause := context.Cause(o.Caller); cause != context.DeadlineExceeded {
		return cause
	}
	return nil
}

// timerDelay is how long the timer of a context is waited for, after its time.
const timerDelay = 10 * time.Millisecond

// withLimit joins a limit and net/http's error, which differs between protocols. An error
// that a context has ended adds nothing to the limit.
func withLimit(limit *TimeoutError, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return limit
	}
	return &limited{limit, err}
}
