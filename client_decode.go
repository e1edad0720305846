package holdfast

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Unusable returns the error of an answer with content that the program cannot use, for a
// reason: an *Error that is ErrDecode. Its chain has the reason, and a *StatusError with the
// status, the headers and the beginning of the body, of 64 KiB at most. Its attempt has the
// class ClassContent.
func (r *Response) Unusable(reason error) error {
	e := &Error{
		Method: r.method, RequestID: r.RequestID, Stopped: "answered", Took: r.took, kind: ErrDecode,
		Err: &undecodableError{reason, (&StatusError{Status: r.Status, Header: r.Header, Body: r.Body}).cut(kept)},
	}
	if r.shared != nil {
		e.Name, e.URL = r.shared.name, wire.Shown(r.target)
		e.Attempts = []Attempt{{
			Number: r.Attempts, Start: time.Unix(0, r.started), Took: r.took, Outcome: Success, Class: ClassContent, Err: e.Err, Status: r.Status,
			Reused: r.reused, Sent: true,
		}}
	}
	return e
}

// undecodable is the error of an answer that cannot be decoded into what a type points to.
func (r *Response) undecodable(into reflect.Type, err error) error {
	what := "the body"
	if into != nil && into.Kind() == reflect.Pointer {
		what = into.Elem().String()
	}
	from := fmt.Sprintf("%d bytes", len(r.Body))
	if media := mediaType(r.Header); len(r.Body) > 0 && media != "" && !strings.HasSuffix(media, "json") {
		from += " of " + media
	}
	return r.Unusable(fmt.Errorf("decoding %s from %s: %w", what, from, wire.RedactedJSON(err)))
}

// undecodableError is an error of the decoder, with the answer. It is no ErrStatus: the
// service did not decline the request.
type undecodableError struct {
	error
	answer *StatusError
}

func (u *undecodableError) Unwrap() []error { return []error{u.error, u.answer} }

// mediaType is the media type of an answer, bounded, and empty if there is none that can be
// shown.
func mediaType(h http.Header) string {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || len(media) > 100 {
		return ""
	}
	return media
}

// undecodable is the error of a line or event that cannot be decoded into a T. The stream
// goes on.
func (s *Stream) undecodable(into any, data []byte, err error) error {
	from := fmt.Sprintf("line or event %d, of %d bytes", s.events, len(data))
	if media := mediaType(s.Header); media != "" && media != eventStream && !strings.HasSuffix(media, "json") {
		from += " of " + media
	}
	a, o := s.body.a, s.body.a.call
	now := o.Now()
	var before []Attempt
	if o.lazyFailure != nil {
		before = o.lazyFailure.attempts
	}
	cause := &undecodableError{
		fmt.Errorf("decoding %T from %s: %w", into, from, wire.RedactedJSON(err)),
		(&StatusError{Status: s.Status, Header: s.Header, Body: data}).cut(kept),
	}
	return o.describe(&Error{
		Stopped: "answered", Took: since(o.Began, now), Queued: o.Queued, kind: ErrDecode, Err: cause,
		Attempts: append(slices.Clip(before), Attempt{
			Number: a.Number, Start: a.Started, Took: since(a.Started, now), Outcome: Success, Class: ClassContent, Err: cause, Status: s.Status,
			Reused: a.roundTrip.Reused(), Probe: a.Probe, Sent: true, Queued: o.Queued - queued(before),
		}),
	})
}

const eventStream = "text/event-stream"

// foreign is an answer that is read as an event stream and announces another media type.
type foreign struct {
	media string
	head  []byte // its beginning, at most maxAnswerBody
}

// expectEvents prepares for an answer that may not be an event stream.
func (s *Stream) expectEvents() {
	if media := mediaType(s.Header); media != "" && media != eventStream && s.events == 0 && s.foreign == nil {
		s.foreign = &foreign{media: media}
		s.foreign.add(s.frames.Rest())
	}
}

func (f *foreign) add(b []byte) {
	f.head = append(f.head, b[:min(len(b), maxAnswerBody-len(f.head))]...)
}

// isForeign reports whether an answer of another media type has ended without an event. Then
// it has failed: a page or an error of a proxy is no empty event stream, and did not break off.
func (s *Stream) isForeign() bool {
	f := s.foreign
	if f == nil || s.events > 0 || len(f.head) == 0 || s.readErr != io.EOF {
		return false
	}
	m := judge.Meaning{Outcome: Unknown, Kind: judge.Content, Why: judge.MustNot}
	err := s.body.failedWith(m, ClassContent, &undecodableError{
		fmt.Errorf("no event in %d bytes of %s", s.bytes, f.media),
		(&StatusError{Status: s.Status, Header: s.Header, Body: bytes.Clone(f.head), Truncated: s.bytes > int64(len(f.head))}).cut(kept),
	})
	if e, ok := err.(*Error); ok {
		e.kind = ErrDecode
	}
	s.err = err
	s.body.release()
	return true
}
