package dialect

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// maxText bounds what is decoded of a body or an event, in bytes. A longer event is searched
// for its members only.
const maxText = 64 << 10

// format reads the answers of one API. A nil function finds nothing.
type format struct {
	streams media // of its streams
	plain   bool  // a stream may have the type text/plain, as net/http's server gives it to one without a type
	// declined reads the body of a status from 400 on.
	declined func(*holdfast.Answer) holdfast.Verdict
	// body reads the body of a status below 300.
	body func(*holdfast.Answer) holdfast.Verdict
	// event reads an event. kind is empty for a line.
	event func(a *holdfast.Answer, kind string, data []byte) holdfast.Verdict
	// ended reports whether a stream may end after an event. marked means that a stream with
	// such an event has an end mark, so that it broke off otherwise.
	ended func(kind string, data []byte) (ended, marked bool)
	mark  string // the end mark, for people
}

// classify is a Config.Classify.
func (f *format) classify(a *holdfast.Answer) holdfast.Verdict {
	switch {
	case a.Status >= 400 && a.Status < 600:
		return f.classifyDeclined(a)
	case a.Status < 200 || a.Status >= 300:
		return holdfast.Verdict{}
	}
	m := mediaOf(a.Header)
	switch {
	case (m == f.streams || f.plain && a.Stream && m == mediaPlain) && f.event != nil && a.Status == http.StatusOK:
		switch {
		case !a.Stream:
			return f.classifyEach(a)
		case a.Ended:
			return f.classifyEnd(a)
		}
		return f.classifyEvent(a)
	case f.body == nil, m != mediaJSON && m != mediaNone:
		return holdfast.Verdict{}
	case a.Stream: // the first line of a body that is no stream may be all of it
		if a.Ended || a.Seen > 0 {
			return holdfast.Verdict{}
		}
		whole := *a
		whole.Body = a.Event.Data
		return f.body(&whole)
	}
	return f.body(a)
}

func (f *format) classifyDeclined(a *holdfast.Answer) holdfast.Verdict {
	switch m := mediaOf(a.Header); {
	case m == mediaProblem:
		return classifyProblem(a)
	case m != mediaJSON && m != mediaNone, f.declined == nil:
		return holdfast.Verdict{}
	}
	v := f.declined(a)
	if !mayMean(a.Status, v.Class) || v.Class == holdfast.ClassServer && a.Status >= 500 { // the status is finer
		v.Class, v.RetryAfter = holdfast.ClassNone, 0
	}
	if v.RetryAfter > 0 && tellsWait(a.Header) {
		v.RetryAfter = 0 // the header's wait is the finer one
	}
	return v
}

// mayMean reports whether a body can say that an answer with this status is a failure of
// this class. A service that is down may quote anything, and some statuses have a meaning
// that depends on more than the answer.
func mayMean(status int, class holdfast.Class) bool {
	is := func(classes ...holdfast.Class) bool { return slices.Contains(classes, class) }
	switch {
	case class == holdfast.ClassNone:
		return true
	case status >= 500:
		return is(holdfast.ClassOverloaded, holdfast.ClassServer, holdfast.ClassTimeout)
	case status == 401:
		return is(holdfast.ClassCredential, holdfast.ClassThrottled, holdfast.ClassQuota)
	case status == 408:
		return is(holdfast.ClassServer, holdfast.ClassTimeout)
	case status == 429:
		return is(holdfast.ClassThrottled, holdfast.ClassQuota, holdfast.ClassOverloaded)
	}
	return status != 409 && status != 421 && status != 425
}

func (f *format) classifyEvent(a *holdfast.Answer) holdfast.Verdict {
	kind, data, ok := f.split(a.Event)
	if !ok {
		return holdfast.Verdict{More: true}
	}
	v := f.event(a, kind, data)
	if v.RetryAfter > 0 && tellsWait(a.Header) {
		v.RetryAfter = 0
	}
	return v
}

// classifyEnd finds a stream that broke off.
func (f *format) classifyEnd(a *holdfast.Answer) holdfast.Verdict {
	if a.Seen == 0 {
		return holdfast.Verdict{Class: holdfast.ClassLost, Text: "the stream ended without an event"}
	}
	kind, data, ok := f.split(a.Event)
	if !ok {
		return holdfast.Verdict{}
	}
	if ended, marked := f.ended(kind, data); ended || !marked {
		return holdfast.Verdict{}
	}
	return holdfast.Verdict{Class: holdfast.ClassLost, Text: "the stream ended without " + f.mark}
}

// split returns the type and the data of an event. Of a line of an event stream, data is the
// part after "data:"; ok is false if it is a line without data.
func (f *format) split(e holdfast.ServerEvent) (kind string, data []byte, ok bool) {
	data = bytes.TrimSpace(e.Data)
	if f.streams == mediaEvents && e.Type == "" {
		if data, ok = bytes.CutPrefix(data, []byte("data:")); !ok {
			return "", nil, false
		}
		data = bytes.TrimSpace(data)
	}
	return e.Type, data, true
}

// classifyEach reads a stream that was received as a whole.
func (f *format) classifyEach(a *holdfast.Answer) holdfast.Verdict {
	if f.streams == mediaAmazon {
		return holdfast.Verdict{}
	}
	e := *a
	e.Stream = true
	for line := range bytes.Lines(a.Body) {
		event := holdfast.ServerEvent{Data: line}
		if _, data, ok := f.split(event); !ok || len(data) == 0 {
			continue
		}
		e.Event = event
		if v := f.classifyEvent(&e); v.Class != holdfast.ClassNone {
			return v
		}
		e.Seen++
	}
	if !a.Whole {
		return holdfast.Verdict{}
	}
	e.Ended = true
	return f.classifyEnd(&e)
}

// ends is a Dialect.Ends.
func (f *format) ends(e holdfast.ServerEvent) bool {
	kind, data, ok := f.split(e)
	if !ok {
		return false
	}
	ended, _ := f.ended(kind, data)
	return ended
}

// media is a kind of media type.
type media uint8

const (
	mediaNone    media = iota // no Content-Type
	mediaJSON                 // application/json, and the like
	mediaProblem              // application/problem+json
	mediaLines                // NDJSON
	mediaEvents               // server-sent events
	mediaAmazon               // Amazon's event stream
	mediaPlain                // text/plain
	mediaOther
)

func mediaOf(h http.Header) media {
	text := h.Get("Content-Type")
	if text == "" {
		return mediaNone
	}
	text, _, _ = strings.Cut(text, ";")
	switch text = strings.ToLower(strings.TrimSpace(text)); {
	case text == "application/problem+json":
		return mediaProblem
	case text == "application/x-ndjson":
		return mediaLines
	case text == "text/event-stream":
		return mediaEvents
	case text == "text/plain":
		return mediaPlain
	case text == "application/vnd.amazon.eventstream":
		return mediaAmazon
	case text == "application/json", strings.HasSuffix(text, "+json"), strings.HasPrefix(text, "application/x-amz-json-"):
		return mediaJSON
	}
	return mediaOther
}
