package holdfast

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// receiver takes the answer of an attempt and concludes it. Until then the attempt
// owns the answer's body.
type receiver interface {
	receive(a *clientAttempt, resp *http.Response) // an answer that the caller can use
	decline(a *clientAttempt, resp *http.Response) // any other answer
}

// The four receivers.
type (
	buffered     struct{} // Get, Post and Call: the answer is read within the attempt
	handedOut    struct{} // Do: the caller reads it
	viaTransport struct{} // the SDK transport: declining answers are answers, too
	streamed     struct{} // Stream: the attempt ends with the first line or event
)

func (buffered) receive(a *clientAttempt, resp *http.Response) {
	o := a.call
	body, err := wire.ReadAll(resp.Body, resp.ContentLength, o.with.maxBody)
	if errors.Is(err, wire.ErrTooLong) {
		a.roundTrip.Drain(resp.Body)
		a.tooLong(resp, fmt.Errorf("more than %d bytes: raise Config.MaxResponseBytes, or read it through Client.Do", o.with.maxBody))
		return
	}
	_ = resp.Body.Close()
	if err != nil {
		a.lost(fmt.Errorf("the answer broke off after %d bytes: %w", len(body), wire.Redacted(err)), resp.StatusCode)
		return
	}
	a.answer = &Response{
		Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, Body: body, RequestID: o.id, target: o.request.URL,
	}
	a.succeed()
}

func (buffered) decline(a *clientAttempt, resp *http.Response) { a.decline(resp) }

func (handedOut) receive(a *clientAttempt, resp *http.Response) {
	a.handOut(resp)
	a.succeed()
}

func (handedOut) decline(a *clientAttempt, resp *http.Response) { a.decline(resp) }

func (viaTransport) receive(a *clientAttempt, resp *http.Response) { handedOut{}.receive(a, resp) }

// Only the schedule knows whether a declining answer is the last one: until then
// none of its body is read, and it holds its permit like any live answer.
func (viaTransport) decline(a *clientAttempt, resp *http.Response) {
	a.Arrived = a.call.Now()
	a.handOut(resp)
	a.declined(&StatusError{Status: resp.StatusCode, Header: resp.Header}, false)
}

func (streamed) receive(a *clientAttempt, resp *http.Response) { a.open(resp) }
func (streamed) decline(a *clientAttempt, resp *http.Response) { a.decline(resp) }

// succeed concludes an attempt whose answer is taken.
func (a *clientAttempt) succeed() {
	a.Sent = true
	a.Conclude(judge.Meaning{Outcome: Success}, nil)
}

// tooLong concludes an attempt whose answer exceeds a bound.
func (a *clientAttempt) tooLong(resp *http.Response, err error) {
	f := a.facts(judge.TooLong)
	f.Status, f.Sent = resp.StatusCode, true
	a.fail(f, err)
}

// decline reads the beginning of a declining answer and concludes the attempt.
func (a *clientAttempt) decline(resp *http.Response) {
	a.Arrived = a.call.Now()
	f := a.facts(judge.Answered)
	f.Status = resp.StatusCode
	// A retry that may follow is worth more than the end of a body.
	o := a.judge(f).Outcome
	hurry := a.Number < a.call.Most() && (o == Throttled || o == Transient)
	refusal, _ := a.readRefusal(resp, resp.Body, hurry)
	a.roundTrip.Drain(resp.Body)
	a.roundTrip.End()
	a.declined(refusal, true)
}

// readRefusal makes the error of a declining answer and of the beginning of its
// body. whole reports whether that is all of it.
func (a *clientAttempt) readRefusal(resp *http.Response, body io.Reader, hurry bool) (refusal *StatusError, whole bool) {
	b, whole := a.roundTrip.ReadError(body, hurry)
	return &StatusError{
		Status: resp.StatusCode, Header: resp.Header, Body: b, Problem: Problem(wire.ParseProblem(resp.Header, b)),
	}, whole
}

// declined concludes an attempt that the service declined. ended: its round trip
// is over.
func (a *clientAttempt) declined(refusal *StatusError, ended bool) {
	f, h := a.facts(judge.Answered), refusal.Header
	f.Status, f.Sent, f.Ended = refusal.Status, true, ended
	f.RetryAfter = judge.RetryAfter(h.Get("Retry-After-Ms"), h.Get("Retry-After"), h.Get("Date"), a.Arrived)
	f.Advice = judge.ParseAdvice(h.Get("X-Should-Retry"))
	a.fail(f, refusal)
}
