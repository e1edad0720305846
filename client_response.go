package holdfast

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Response is an answer that was read to its end. There is nothing to close.
type Response struct {
	Status    int
	Proto     string // HTTP/1.1 or HTTP/2.0
	Header    http.Header
	Trailer   http.Header // sent after the body; nil if there is none
	Body      []byte
	RequestID string // the call's id
	Attempts  int    // the number of attempts of the call

	// For the error of Decode; zero for a Response that the program made.
	shared  *shared
	method  string
	target  *url.URL
	started int64 // of the last attempt, in Unix nanoseconds
	took    time.Duration
	reused  bool
}

// Decode decodes the body as JSON into v. An answer that has no content by its status
// (204, 205 and 304) leaves v as it is, and so does an empty body if v points to a struct
// without fields. The error is that of Unusable.
func (r *Response) Decode(v any) error {
	switch r.Status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return nil
	}
	if t := reflect.TypeOf(v); len(r.Body) == 0 && t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && t.Elem().NumField() == 0 {
		return nil // nothing is wanted
	}
	if err := json.Unmarshal(r.Body, v); err != nil {
		return r.undecodable(reflect.TypeOf(v), err)
	}
	return nil
}

// receiver takes the answer of an attempt and concludes the attempt. The attempt closes
// the answer's body unless the receiver hands it over.
type receiver interface {
	receive(a *clientAttempt, resp *http.Response)            // an answer that the caller can use
	decline(a *clientAttempt, resp *http.Response, o Outcome) // any other answer, with its outcome
}

type (
	bufferedReceiver  struct{} // Get, Post and Call: the attempt reads the answer
	liveReceiver      struct{} // Do: the caller reads it
	transportReceiver struct { // the SDK transport: the caller also reads a declining answer
		keyed       bool // the caller gave the request a key
		plainErrors bool
	}
	streamReceiver struct{} // Stream: the attempt ends with the first line or event
)

func (bufferedReceiver) receive(a *clientAttempt, resp *http.Response) {
	o := a.call
	limit := o.resolved.config.MaxResponseBytes
	body, err := wire.ReadAll(resp.Body, resp.ContentLength, limit)
	if errors.Is(err, wire.ErrTooLong) {
		a.roundTrip.Drain(resp.Body)
		a.tooLong(resp, fmt.Errorf("more than %d bytes: raise Config.MaxResponseBytes, or read it through Client.Do", limit))
		return
	}
	_ = resp.Body.Close()
	if err != nil {
		a.brokeOff(resp, int64(len(body)), err)
		return
	}
	if v := a.classify(resp.StatusCode, resp.Header, resp.Trailer, body, true); v.Class != ClassNone {
		a.Arrived = o.Now()
		e := &StatusError{Status: resp.StatusCode, Header: resp.Header, Body: body[:min(len(body), maxAnswerBody)], Truncated: len(body) > maxAnswerBody, Text: v.Text}
		a.roundTrip.End()
		a.declined(e, v, true)
		return
	}
	a.answer = &Response{
		Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, Trailer: resp.Trailer, Body: body, RequestID: o.id,
		shared: o.shared, method: o.request.Method, target: o.request.URL, started: a.Started.UnixNano(), reused: a.roundTrip.Reused(),
	}
	a.succeed()
}

func (liveReceiver) receive(a *clientAttempt, resp *http.Response) {
	if a.unopened(resp, a.open(resp)) {
		return
	}
	a.leaveBody(resp)
	a.succeed()
}

// Most SDKs do not look for a failure in an answer below 300, so that it is an error for them
// too.
func (transportReceiver) receive(a *clientAttempt, resp *http.Response) {
	liveReceiver{}.receive(a, resp)
}

func (streamReceiver) receive(a *clientAttempt, resp *http.Response) { a.openStream(resp) }

func (bufferedReceiver) decline(a *clientAttempt, resp *http.Response, o Outcome) { a.decline(resp, o) }
func (liveReceiver) decline(a *clientAttempt, resp *http.Response, o Outcome)     { a.decline(resp, o) }
func (streamReceiver) decline(a *clientAttempt, resp *http.Response, o Outcome)   { a.decline(resp, o) }

// The schedule decides later whether a declining answer is the last one. Until then its
// body is unread and keeps the permit, as that of any live answer. Retry.On sees its
// beginning.
func (transportReceiver) decline(a *clientAttempt, resp *http.Response, _ Outcome) {
	a.Arrived = a.call.Now()
	e := &StatusError{Status: resp.StatusCode, Header: resp.Header}
	config := &a.call.resolved.config
	if (config.Retry.On != nil || config.Classify != nil) && resp.Body != http.NoBody { // they may look at the body
		body := a.roundTrip.Peek(resp.Body, wire.PeekTime)
		var whole bool
		e.Body, whole = body.All()
		resp.Body = body
		e.Truncated, e.Problem = !whole, Problem(wire.ParseProblem(resp.Header, e.Body))
	}
	a.leaveBody(resp)
	a.declined(e, a.classifyError(e), false)
}

// succeed concludes an attempt with an answer that was received.
func (a *clientAttempt) succeed() {
	a.Sent = true
	a.Conclude(judge.Meaning{Outcome: Success}, nil)
}

// tooLong concludes an attempt with an answer above a bound.
func (a *clientAttempt) tooLong(resp *http.Response, err error) {
	f := a.facts(judge.TooLong)
	f.Status, f.Sent = resp.StatusCode, true
	a.conclude(f, err)
}

// brokeOff concludes an attempt with an answer that ended too early, after n bytes.
func (a *clientAttempt) brokeOff(resp *http.Response, n int64, err error) {
	a.noAnswer(fmt.Errorf("the answer broke off after %d bytes: %w", n, wire.Redacted(err)), resp.StatusCode)
}

// decline reads the beginning of a declining answer and concludes the attempt.
func (a *clientAttempt) decline(resp *http.Response, o Outcome) {
	a.Arrived = a.call.Now()
	// A retry that may follow matters more than the end of the body.
	hurry := a.Number < a.call.Most() && (o == Throttled || o == Transient)
	e, _ := a.readStatusError(resp, resp.Body, hurry)
	a.roundTrip.Drain(resp.Body)
	a.roundTrip.End()
	a.declined(e, a.classifyError(e), true)
}

// classifyError asks Config.Classify about a declining answer, for its error.
func (a *clientAttempt) classifyError(e *StatusError) Verdict {
	v := a.classify(e.Status, e.Header, nil, e.Body, !e.Truncated)
	e.Text = v.Text
	return v
}

// declined concludes an attempt that the service declined, by its status or by what
// Config.Classify says. ended means that the round trip has ended.
func (a *clientAttempt) declined(e *StatusError, v Verdict, ended bool) {
	f := a.answeredFacts(e, v, a.Arrived)
	f.Ended = ended
	f.NewToken = (v.Class == ClassCredential || v.Class == ClassNone && e.Status == http.StatusUnauthorized) && !a.crossOrigin && a.authorizesAnew(e)
	a.conclude(f, e)
}

// answeredFacts are the facts of an answer that is a failure.
func (a *clientAttempt) answeredFacts(e *StatusError, v Verdict, arrived time.Time) judge.Facts {
	f, h := a.facts(judge.Answered), e.Header
	f.Status, f.Sent, f.Verdict = e.Status, true, v.Class
	as := e.Status
	if v.Class != ClassNone && as < 300 {
		as = http.StatusTooManyRequests // for the waits that it may have
	}
	wait := judge.ReadWait(h, e.Body, as, arrived)
	f.RetryAfter, f.Quota, e.askedFrom = wait.For, wait.Quota, shownReset(wait.From)
	if v.RetryAfter > 0 {
		f.RetryAfter, e.askedFrom = v.RetryAfter, "Config.Classify"
	}
	f.Advice = judge.ParseAdvice(h.Get("X-Should-Retry"))
	f.Told = judge.AsksToWait(h.Get("Retry-After-Ms"), h.Get("Retry-After"))
	f.KeyInUse, f.Misplaced = e.Status == http.StatusConflict && a.keyInUse(), a.misplaced()
	return f
}

// shownReset is Wait.From as errors show it. The service chooses the names of the headers that
// tell when its limits reset, so a longer word that services do not usually have in them is
// an ellipsis.
func shownReset(from string) string {
	if !strings.Contains(from, "reset") {
		return from
	}
	words := strings.Split(from, "-")
	for i, word := range words {
		if len(word) > 3 && !slices.Contains(resetWords, word) {
			words[i] = "…"
		}
	}
	return strings.Join(words, "-")
}

var resetWords = []string{
	"ratelimit", "rate", "limit", "reset", "resettime", "after", "anthropic", "openai", "azure", "github",
	"requests", "request", "tokens", "token", "input", "output", "images", "image", "audio", "characters", "search", "user", "global",
	"project", "priority", "fast", "unified", "second", "seconds", "minute", "hour", "daily", "hourly", "month", "monthly",
	"short", "long", "burst", "sustained",
}

// readStatusError makes the error of a declining answer, with the beginning of its body.
// whole reports whether that is the whole body.
func (a *clientAttempt) readStatusError(resp *http.Response, body io.Reader, hurry bool) (e *StatusError, whole bool) {
	b, whole := a.roundTrip.ReadError(body, hurry)
	return &StatusError{
		Status: resp.StatusCode, Header: resp.Header, Body: b, Truncated: !whole, Problem: Problem(wire.ParseProblem(resp.Header, b)),
	}, whole
}
