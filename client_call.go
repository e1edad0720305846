package holdfast

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// clientCall is the operation of a client: one request and its answer.
type clientCall struct {
	operation
	client    *Client
	resolved  *resolved   // the settings when it began
	newer     *clientCall // in the list of running calls
	older     *clientCall
	own       lazyctx.Context               // its context: Timeouts.Total and Close end it
	attempts  atomic.Pointer[clientAttempt] // the newest, linked to the older ones
	answered  atomic.Int64                  // when the attempt started that has an answer with a permit, in Unix nanoseconds
	stopWatch func()                        // of a caller's Request.Cancel; nil if there is none
	limits    *wire.Limits
	receiver  receiver
	aborted   atomic.Bool
	repeat    Repeat
	upgrade   bool // the request asks for another protocol
	chunked   bool // the body comes from the caller, in pieces of any size
	unpack    bool // the request asks for a compressed answer
	bodyUsed  bool

	// Parts for nearly every call, without allocations of their own.
	first   clientAttempt
	initial http.Request // of the first attempt, copied for the others; body makes its body
	ids     [1]string    // the value of the header with the id

	anew *anew // nil until Authorize was asked a second time

	body   func() (io.ReadCloser, error)
	spend  func()       // reads the caller's body in memory to its end; nil for any other
	upload *wire.Upload // the body if it can be read only once

	handedOver *clientAttempt // the attempt with an answer that the caller reads
	declined   *http.Response // SDK transport: the last declining answer, for the case that no better one follows
}

// setRequest copies req. Its header, URL and body are still the caller's.
func (o *clientCall) setRequest(req *http.Request) {
	o.initial = *req.WithContext(&o.first.firstRoundTrip.wire)
	o.initial.Method = cmp.Or(req.Method, http.MethodGet)
	o.request = &o.initial
}

// begin sets the settings, the id, the start and the context of the operation.
// body gives the request's body without the attempt's; it is nil if that cannot be had.
func (o *clientCall) begin(ctx context.Context, with *callOptions, body func() (io.ReadCloser, error)) {
	begun := false
	defer func() {
		if !begun { // after a panic or Goexit of an instrument, of Scope or of an observer
			if o.stopWatch != nil {
				o.stopWatch()
			}
			o.abandon()
		}
	}()
	o.shared, o.resolved, o.repeat = &o.client.shared, with.resolved, with.repeat
	h, idHeader := o.request.Header, with.config.RequestIDHeader
	if ids := h[idHeader]; len(ids) > 0 {
		o.id = ids[0]
	}
	made := o.id == ""
	if made {
		if o.id = with.key; o.id == "" {
			o.id = newID(world.Of(ctx))
		}
		o.ids[0] = o.id
		h[idHeader] = o.ids[:]
	}
	switch {
	case with.key != "":
		h.Set("Idempotency-Key", with.key)
	case with.config.IdempotencyKey && h.Get("Idempotency-Key") == "":
		h.Set("Idempotency-Key", o.id)
	}

	if with.config.Authorize == nil { // otherwise it may change the headers of each attempt
		o.unpack = o.acceptEncoding(o.request)
	}

	o.Begin(o.instrument(ctx), o.client.engineOf(o.request, with.resolved, body), &with.Rules, o)
	o.AttemptLimit, o.Check = with.attempt, with.healthCheck
	if o.Check || with.nested.repeats > 0 && with.config.Retry.Nested == Yield {
		o.Schedule = new(retry.Config) // without retries
	}
	o.limits = &with.limits
	if with.readIsAttempt && with.attempt != o.limits.Read {
		limits := *o.limits
		limits.Read = with.attempt
		o.limits = &limits
	}
	o.own.Init(o.Caller, o.OwnDeadline())
	o.Context = &o.own
	if with.nested.repeats > 0 {
		o.tellNested(with)
	}
	if o.Watched {
		if made && with.key == "" {
			o.report(Event{Kind: EventKeyGenerated, Time: o.Began})
		}
		o.report(Event{Kind: EventStarted, Time: o.Began, Limit: with.attempt})
	}
	begun = true
}

// run takes the request through the rules.
func (o *clientCall) run() error {
	done := false
	defer func() { // after a panic or Goexit of the caller's code, too
		defer o.abandon()
		switch {
		case done && o.handedOver != nil: // the caller closes the body
		case o.handedOver != nil: // of an observer
			_ = o.handedOver.live.Close()
		default:
			o.finish()
		}
	}()
	if !o.client.running.add(o) {
		o.abort()
		return o.end(retry.Decision{Why: retry.Ended}, false)
	}
	d := o.Run()
	if o.spend != nil && (d.Why == retry.Answered || o.mayHaveBeenSent()) {
		o.spend()
	}
	_, stream := o.receiver.(streamReceiver)
	err := o.end(d, stream)
	done = true
	if o.handedOver != nil {
		if b := &o.handedOver.live; b.ReadCloser == http.NoBody { // many callers do not close it
			if !stream { // which may miss the end
				b.settle(Success, nil)
				b.tell(Success, ClassNone, nil)
			}
			b.release()
		}
		o.handedOver.live.watch()
		return err
	}
	if d.Why == retry.Ended {
		o.declined = nil
	}
	return err
}

// mayHaveBeenSent reports whether a failed attempt may have reached the service.
func (o *clientCall) mayHaveBeenSent() bool {
	return slices.ContainsFunc(o.failure().attempts, func(a Attempt) bool { return a.Sent })
}

// finish ends the operation's context and removes it from the running calls.
func (o *clientCall) finish() {
	defer o.freeAdded()
	defer o.client.running.remove(o)
	defer o.closeBody()
	o.endContext()
}

// freeAdded gives back the headers that instruments added.
func (o *clientCall) freeAdded() {
	if o.first.added != nil {
		freeAdded(o.first.added)
		o.first.added = nil
	}
}

func (o *clientCall) endContext() {
	o.own.End()
	if o.stopWatch != nil {
		o.stopWatch()
	}
}

// closeBody closes a body that was not sent, as an http.RoundTripper does, or that the
// attempts shared.
func (o *clientCall) closeBody() {
	if o.upload != nil {
		o.upload.Close()
		return
	}
	if o.body == nil || o.bodyUsed {
		return
	}
	o.bodyUsed = true
	if body, err := o.body(); err == nil {
		_ = body.Close()
	}
}

// abort ends the operation and its attempts. Any goroutine may call it.
func (o *clientCall) abort() {
	o.aborted.Store(true)
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
	a.call, o.handedOver, o.declined = o, nil, nil
	a.older = o.attempts.Load()
	o.attempts.Store(a)
	a.added = o.start(&a.Attempt, n, &a.firstRoundTrip.watch)
	if n == 1 {
		o.shared.window.began(a.Started.UnixNano(), o.shared)
	}
	a.startRoundTrip(&a.Context, &a.firstRoundTrip)
	a.send()
	if a.HandedOver() {
		o.handedOver = a
	}
	o.tried(a)
	return &a.Attempt
}

// Retrying reads a declining answer before the wait for a better one.
func (o *clientCall) Retrying(now time.Time, a *engine.Attempt, d retry.Decision) {
	if o.handedOver != nil {
		o.keepDeclined()
	}
	if o.attempts.Load().byID {
		o.tellByID(now)
	}
	o.operation.Retrying(now, a, d)
}
