package holdfast

import (
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/frame"
	"github.com/holdfast-go/holdfast/internal/wire"
)

const (
	maxAnswerBody = 64 << 10 // of an Answer
	maxUndecided  = 16       // events of a stream that may decide nothing
)

// checked is v with a class that an answer can have.
func (v Verdict) checked() Verdict {
	switch v.Class {
	case ClassNone, ClassOverloaded, ClassServer, ClassLost, ClassTimeout, ClassThrottled, ClassQuota, ClassInProgress, ClassTooEarly,
		ClassCredential, ClassRequest:
	default:
		v.Class = ClassContent
	}
	v.RetryAfter = max(0, v.RetryAfter)
	return v
}

// answerOf is an answer for Config.Classify, without its body.
func (a *clientAttempt) answerOf(status int, h http.Header) Answer {
	req := a.call.request
	return Answer{Method: req.Method, Path: req.URL.Path, Status: status, Header: h}
}

// classify asks Config.Classify about an answer that is no stream. body is its beginning.
func (a *clientAttempt) classify(status int, h, trailer http.Header, body []byte, whole bool) Verdict {
	ask := a.call.resolved.config.Classify
	if ask == nil {
		return Verdict{}
	}
	answer := a.answerOf(status, h)
	if encoding := h.Get("Content-Encoding"); encoding == "" || encoding == "identity" {
		answer.Body = body[:min(len(body), maxAnswerBody)]
		answer.Whole = whole && len(answer.Body) == len(body)
	}
	if answer.Whole {
		answer.Trailer = trailer
	}
	return ask(&answer).checked()
}

// An opening is the beginning of an answer that the caller reads, before anything of it is
// handed on.
type opening struct {
	verdict Verdict
	body    []byte // that the verdict is about: the beginning of the body, or an event
	whole   bool   // the body has no more
	err     error  // the body failed
	tooLong error  // Config.MaxEventBytes was exceeded before there was an event that is content
}

// open asks Config.Classify about the beginning of an answer that the caller reads, where a
// setting asks for it. The answer's body is the whole afterwards.
func (a *clientAttempt) open(resp *http.Response) (o opening) {
	config := &a.call.resolved.config
	stream := a.call.isStream(resp)
	if config.Classify == nil && !(stream && (config.Timeouts.Event > 0 || a.call.resolved.firstEvent > 0)) {
		return o
	}
	if resp.Body == http.NoBody {
		o.verdict = a.classify(resp.StatusCode, resp.Header, resp.Trailer, nil, true)
		o.whole = true
		return o
	}
	if !stream {
		body := a.roundTrip.Peek(resp.Body, wire.PeekTime)
		resp.Body = body
		if o.body, o.whole = body.All(); !body.Late() && body.Err() != nil && body.Err() != io.EOF {
			o.err = body.Err()
			return o
		}
		o.verdict = a.classify(resp.StatusCode, resp.Header, resp.Trailer, o.body, o.whole)
		return o
	}
	patience := wire.PeekTime
	if a.extendToFirstEvent(); a.awaitsEvent {
		patience = 0
	}
	o, c, body := a.openEvents(resp, patience)
	if o.verdict.Class == ClassNone && o.err == nil && o.tooLong == nil {
		a.awaitsEvent = false
		resp.Body = &watchedBody{ReadCloser: body, classifier: c, a: a, seen: c.fed, trailer: &resp.Trailer}
	}
	return o
}

// openEvents reads the events of a stream up to one that is a failure, or content. It takes
// patience at most. Zero is for a call that cannot go on without: the limits of the attempt
// and Config.MaxEventBytes bound it.
func (a *clientAttempt) openEvents(resp *http.Response, patience time.Duration) (o opening, c *classifier, body *wire.Peeked) {
	c, body = a.newClassifier(resp), a.roundTrip.Peek(resp.Body, patience)
	if resp.Body = body; patience == 0 {
		body.Most = math.MaxInt
	}
	for {
		piece := body.More()
		c.add(piece)
		decided := false
		if o.verdict, decided = c.first(); decided {
			break
		}
		if c.skipsTooMuch() && patience == 0 {
			o.tooLong = tooLateEvent(c.frames.Max)
			break
		}
		if len(piece) > 0 {
			continue
		}
		switch {
		case body.Late():
		case body.Err() == io.EOF:
			o.whole = true
			c.frames.End()
			if o.verdict, decided = c.first(); !decided {
				o.verdict = c.ended(resp.Trailer)
			}
		default:
			o.err = body.Err()
		}
		break
	}
	if c.tooLong && patience == 0 {
		o.tooLong = tooLongEvent(c.frames.Max)
	}
	o.body = c.answer.Event.Data
	return o, c, body
}

// tooLongEvent and tooLateEvent are the errors of a stream that exceeds
// Config.MaxEventBytes: by an event, and before the first one.
func tooLongEvent(most int) error {
	return fmt.Errorf("a line or event of more than %d bytes: raise Config.MaxEventBytes", most)
}

func tooLateEvent(most int) error {
	return fmt.Errorf("more than %d bytes before the first line or event: raise Config.MaxEventBytes", most)
}

// unopened concludes an attempt of which the beginning of the answer is a failure, and
// reports whether it was. The body is not read any more.
func (a *clientAttempt) unopened(resp *http.Response, o opening) bool {
	switch {
	case o.err != nil:
		a.brokeOff(resp, int64(len(o.body)), o.err)
	case o.tooLong != nil:
		a.tooLong(resp, o.tooLong)
	case o.verdict.Class != ClassNone:
		a.Arrived = a.call.Now()
		if o.whole {
			a.roundTrip.Drain(resp.Body)
		}
		a.roundTrip.End()
		a.declined(a.statusError(resp, o), o.verdict, true)
	default:
		return false
	}
	return true
}

const phaseFirstEvent = "first_event"

// statusError is the error of an answer that Config.Classify finds to be a failure.
func (a *clientAttempt) statusError(resp *http.Response, o opening) *StatusError {
	body := append([]byte(nil), o.body...)
	return &StatusError{Status: resp.StatusCode, Header: resp.Header, Body: body, Truncated: !o.whole, Text: o.verdict.Text}
}

// classifier asks Config.Classify about the events of one stream, in the bytes that pass.
type classifier struct {
	ask     func(*Answer) Verdict // nil if only the time of events counts
	answer  Answer                // with the last event
	data    []byte                // of the last event
	fed     int                   // bytes
	frames  frame.Splitter
	next    func() (frame.Event, error)
	over    bool // there is nothing more to ask
	tooLong bool // for an event was
}

// newClassifier returns the classifier of a stream.
func (a *clientAttempt) newClassifier(resp *http.Response) *classifier {
	config := &a.call.resolved.config
	c := &classifier{ask: config.Classify, answer: a.answerOf(resp.StatusCode, resp.Header)}
	c.answer.Stream = true
	c.frames.Max = config.MaxEventBytes
	switch media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media {
	case "text/event-stream":
		c.next = c.frames.Event
	case "application/vnd.amazon.eventstream":
		c.next = c.frames.Message
	default:
		c.next = func() (frame.Event, error) {
			line, err := c.frames.Line()
			return frame.Event{Data: line}, err
		}
	}
	return c
}

// add takes bytes that arrived.
func (c *classifier) add(piece []byte) {
	c.fed += len(piece)
	for len(piece) > 0 && !c.over {
		n := copy(c.frames.Room(), piece)
		c.frames.Add(n)
		piece = piece[n:]
	}
}

// skipsTooMuch reports whether more than an event may have is before the first that is
// content.
func (c *classifier) skipsTooMuch() bool {
	return c.frames.Max > 0 && c.fed-len(c.frames.Rest()) > c.frames.Max
}

// first asks about the events that are complete, up to one that is a failure, or content:
// then it has decided.
func (c *classifier) first() (v Verdict, decided bool) {
	for !c.over {
		e, err := c.next()
		switch {
		case err == frame.ErrMore, err == io.EOF:
			return Verdict{}, false
		case err != nil: // its reader meets the same
			c.over, c.tooLong = true, err == frame.ErrTooLong
			return Verdict{}, true
		}
		if v = c.event(ServerEvent(e)); v.Class != ClassNone || !v.More {
			c.over = v.Class != ClassNone
			return v, true
		}
	}
	return Verdict{}, true
}

// all asks about the events that are complete, up to one that is a failure. content means
// that one is content.
func (c *classifier) all() (v Verdict, content bool) {
	for !c.over {
		one, decided := c.first()
		if !decided || one.Class != ClassNone {
			return one, content
		}
		content = true
	}
	return Verdict{}, content
}

// event asks about one event.
func (c *classifier) event(e ServerEvent) (v Verdict) {
	c.data = append(c.data[:0], e.Data...)
	e.Data = c.data
	c.answer.Event = e
	if c.ask != nil {
		v = c.ask(&c.answer).checked()
	}
	c.answer.Seen++
	v.More = v.More && c.answer.Seen < maxUndecided
	return v
}

// end asks about the end of the stream.
func (c *classifier) end(trailer http.Header) Verdict {
	if c.over || c.ask == nil {
		return Verdict{}
	}
	c.frames.End()
	if v, _ := c.all(); v.Class != ClassNone || c.over {
		return v
	}
	return c.ended(trailer)
}

// ended asks about the end of a stream, after all its events.
func (c *classifier) ended(trailer http.Header) Verdict {
	if c.ask == nil {
		return Verdict{}
	}
	c.over, c.answer.Ended, c.answer.Trailer = true, true, trailer
	return c.ask(&c.answer).checked()
}

// watchedBody is the body of a stream that the caller reads, after its first event: each
// event that passes is asked about, and timed.
type watchedBody struct {
	io.ReadCloser
	*classifier
	a       *clientAttempt
	seen    int // bytes that the classifier had before the caller
	trailer *http.Header

	failure Verdict // that was found
	atEnd   bool    // at the end of the stream
}

func (w *watchedBody) Read(p []byte) (int, error) {
	w.a.roundTrip.AwaitEvent()
	n, err := w.ReadCloser.Read(p)
	known := min(w.seen, n)
	w.seen -= known
	w.add(p[known:n])
	var v Verdict
	if w.seen == 0 { // otherwise the caller has the first event still to read
		var content bool
		if v, content = w.all(); content || known > 0 {
			w.a.roundTrip.EventArrived()
		}
	}
	if v.Class == ClassNone && err == io.EOF {
		v = w.end(*w.trailer)
		w.atEnd = v.Class != ClassNone
	}
	if v.Class != ClassNone {
		w.failure = v
	}
	return n, err
}

// found reports the failure that Config.Classify has found in the part of the body that was
// just read, once. ended means that the end of the body is the failure.
func (b *liveBody) found() (failed error, ended bool) {
	w, ok := b.ReadCloser.(*watchedBody)
	if !ok || w.failure.Class == ClassNone {
		return nil, false
	}
	v := w.failure
	w.failure = Verdict{}
	e := &StatusError{Status: int(b.status), Header: w.answer.Header, Body: append([]byte(nil), w.data...), Text: v.Text}
	return b.failedAs(v, e, func(err error) error { return err }), w.atEnd
}

// failedAs reports that Config.Classify has found a failure in a body that has begun, and
// returns its error.
func (b *liveBody) failedAs(v Verdict, e *StatusError, wrap func(error) error) error {
	a := b.a
	f := a.answeredFacts(e, v, a.call.Now())
	m := a.judge(f)
	if c := a.call.Engine.Cooldown; m.Cooldown && c != nil {
		c.Request(a.call.Now(), a.call.Scope(), cooldown.Told{For: m.RetryAfter}, cooldown.Pass{})
	}
	return b.failedWith(m, judge.ClassOf(f, m), wrap(e))
}
