package holdfast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/frame"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Stream sends in as Post does, and hands out the answer line by line or event by
// event while it arrives: NDJSON through Lines, server-sent events through
// Events. It returns with the first of them, or at the end of an answer that has
// none. What fails until then is an attempt like any other, and repeated as
// such; what fails afterwards is not repeated, since something was handed on.
//
// The attempt's limit ends with the headers. From there Timeouts.Read is the
// longest silence between two chunks; ctx and Timeouts.Total bound the whole. The
// breaker has its Success with the first line or event. The caller ranges over
// the stream to its end, leaves the loop, or calls Close; until then it occupies
// its slot.
func (c *Client) Stream(ctx context.Context, method, path string, in any, opts ...CallOption) (*Stream, error) {
	o, err := c.encoded(ctx, method, path, in, opts, streamed{}, acceptStream)
	if err != nil {
		return nil, err
	}
	if err := o.run(); err != nil {
		return nil, err
	}
	s := o.out.answer.(*Stream)
	s.Attempts = o.Made
	return s, nil
}

// Stream is an answer that arrives bit by bit. Range over Lines or over Events,
// once: the end of the loop, however it ends, closes the stream. A loop over a
// stream that has come to its end runs no more; over one that failed, it yields
// the same error; over one that was closed before its end, ErrCanceled.
//
// It is for one goroutine, but for Close, which any may call.
type Stream struct {
	Status    int
	Proto     string // HTTP/1.1 or HTTP/2.0
	Header    http.Header
	RequestID string // the operation's
	Attempts  int    // how many it took until the first line or event

	body   *liveBody // nil until the first line or event is there
	source io.Reader // what body reads
	frames frame.Splitter
	events int
	bytes  int64
	idle   int   // reads in a row that brought nothing
	over   error // what the last read came to: io.EOF, or a failure
	err    error // what comes instead of a further line or event: io.EOF, or an *Error
	closed atomic.Bool

	finished bool // the service has said so
}

// ServerEvent is an event of an event stream (server-sent events; WHATWG HTML,
// 9.2.6). Comments, which servers send to keep a connection alive, are none.
type ServerEvent struct {
	// Type is message, unless the service said otherwise.
	Type string
	// Data is what it carries, its lines joined by LF. It is good until the loop
	// goes on: copy what is to be kept.
	Data []byte
	// ID is the last one that the service gave, with this event or an earlier one.
	// To go on behind it, call again with the header Last-Event-ID.
	ID string
	// Retry is how long the service wants callers to wait before they come back
	// for more, if it has said so; zero if not. Nothing here waits for it.
	Retry time.Duration
}

// StreamError is what a stream came to that ended after its beginning: it is in
// the chain of the *Error that the loop yields last, and keeps what was received.
type StreamError struct {
	// Events is how many lines or events were handed on.
	Events int
	// Bytes is how many bytes had arrived, after decompression.
	Bytes int64
	// Partial is the line or event that was not finished, as it had arrived.
	Partial []byte
	// Err is why the stream ended.
	Err error
}

// Error gives the cause, and how much had arrived. Partial stays out of it.
func (e *StreamError) Error() string {
	if e.Events == 1 {
		return fmt.Sprintf("%v (after 1 event, %d bytes)", e.Err, e.Bytes)
	}
	return fmt.Sprintf("%v (after %d events, %d bytes)", e.Err, e.Events, e.Bytes)
}

// Unwrap gives the cause.
func (e *StreamError) Unwrap() error { return e.Err }

// GoString, which %#v prints, leaves Partial out as well.
func (e *StreamError) GoString() string {
	return fmt.Sprintf("&holdfast.StreamError{Events:%d, Bytes:%d, Err:%q}", e.Events, e.Bytes, e.Err)
}

// Lines is the answer line by line, without the ends of the lines and without
// lines of nothing but white space. A line is good until the loop goes on: copy
// what is to be kept. The last one need not have an end.
//
// An error is yielded last, with no line: an *Error. If the answer broke off, its
// chain has a *StreamError.
func (s *Stream) Lines() iter.Seq2[[]byte, error] { return ranged(s, s.frames.Line) }

// Events is the answer event by event, as the standard has it, whatever media
// type the service gave it; errors are yielded as by Lines. An answer that ends
// within an event is one that broke off.
func (s *Stream) Events() iter.Seq2[ServerEvent, error] {
	return ranged(s, func() (ServerEvent, error) {
		e, err := s.frames.Event()
		return ServerEvent(e), err
	})
}

func ranged[E any](s *Stream, next func() (E, error)) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		defer s.Close()
		for s.err == nil {
			e, err := next()
			switch {
			case s.closed.Load(), err != nil:
				s.more(err)
			default:
				s.events++
				if !yield(e, nil) {
					return
				}
			}
		}
		if s.err != io.EOF {
			var none E
			yield(none, s.err)
		}
	}
}

// Close gives back the slot and the connection. What had not arrived is lost, and
// that says nothing about the service. Calling it again does nothing.
//
// Over HTTP/1.1 a connection is used again only if its answer was read to the
// end. So do not leave a loop because of what the service said in its last line or
// event: nothing follows it, and the loop ends by itself.
func (s *Stream) Close() error {
	s.closed.Store(true)
	return s.body.Close()
}

// read takes in what arrives next.
func (s *Stream) read() {
	n, err := s.source.Read(s.frames.Room())
	s.frames.Add(n)
	s.bytes += int64(n)
	switch {
	case err == io.EOF:
		s.frames.End()
		if s.body != nil {
			s.body.release()
		}
	case err == nil && n > 0:
		s.idle = 0
	case err == nil:
		if s.idle++; s.idle == 100 { // as bufio has it
			err = io.ErrNoProgress
		}
	}
	s.over = err
}

// more reads on if a line or event is not complete, and otherwise settles how the
// stream has ended.
func (s *Stream) more(why error) {
	m, cause := judge.Meaning{Outcome: Transient, Kind: judge.Connection}, error(nil)
	switch {
	case s.closed.Load():
		m, cause = judge.Meaning{Outcome: Canceled, Kind: judge.Canceled}, errStreamClosed
	case why == frame.ErrMore && s.over == nil:
		s.read()
		return
	case why == frame.ErrMore:
		m, cause = s.body.why(s.over)
	case why == io.EOF:
		s.err = io.EOF
		return
	case why == frame.ErrTooLong:
		m, cause = judge.Judge(judge.Facts{Ending: judge.TooLong}, judge.Rules{}), s.tooLong()
	default:
		cause = fmt.Errorf("the answer ended too early: %w", why)
	}
	s.fail(m, cause)
}

func (s *Stream) fail(m judge.Meaning, cause error) {
	s.err = s.body.failed(m, &StreamError{
		Events: s.events, Bytes: s.bytes, Partial: bytes.Clone(s.frames.Rest()), Err: cause,
	})
	s.body.release()
}

var errStreamClosed = errors.New("the stream was closed")

func (s *Stream) tooLong() error {
	return fmt.Errorf("a line or event of more than %d bytes: raise Config.MaxEventBytes", s.frames.Max)
}

// What the answer to a Stream may be. The two that are meant come first, for a
// service that would choose something else.
var acceptStream = []string{"text/event-stream, application/x-ndjson, */*;q=0.1"}

// open makes a stream of an answer, as soon as it has a whole line or event, or has
// ended without one. What fails before that is repeated as an attempt.
func (a *clientAttempt) open(resp *http.Response) {
	o := a.call
	a.roundTrip.Extend(o.OwnDeadline())
	s := &Stream{
		Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, RequestID: o.id, source: resp.Body,
		frames: frame.Splitter{Max: o.with.maxEvent},
	}
	switch err := s.await(); {
	case err == frame.ErrTooLong:
		a.tooLong(resp, s.tooLong())
		return
	case err != nil:
		a.lost(fmt.Errorf("the answer broke off after %d bytes: %w", s.bytes, wire.Redacted(err)), resp.StatusCode)
		return
	}
	a.handOut(resp)
	if s.body = &a.live; s.over == io.EOF {
		s.body.release()
	}
	a.answer = s
	a.succeed()
}

// await reads until there is a whole line, or event if the service calls it a
// stream of events.
func (s *Stream) await() error {
	peek := s.frames.PeekLine
	if mediaType, _, _ := mime.ParseMediaType(s.Header.Get("Content-Type")); mediaType == "text/event-stream" {
		peek = s.frames.PeekEvent
	}
	for {
		switch err := peek(); {
		case err == nil, err == io.EOF:
			return nil
		case err == frame.ErrMore && s.over == nil:
			s.read()
		case err == frame.ErrMore:
			return s.over
		default:
			return err
		}
	}
}

// DecodeLines is the lines of a stream, each decoded from JSON into a T. A line
// that is no T is an *Error that is ErrDecode; the stream goes on behind it, if
// the loop does. All else is as with Lines.
func DecodeLines[T any](s *Stream) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range s.Lines() {
			if !yield(decoded[T](s, line, err)) {
				return
			}
		}
	}
}

// DecodeEvents is the events of a stream, the data of each decoded from JSON into
// a T; see DecodeLines. Use Events where their types matter.
//
// Some services say by an event of its own that they have finished: OpenAI's has
// the data [DONE]. Give that text as end, and an answer that ends without it is
// an error, as one that broke off, and what follows it is not waited for. Give ""
// where there is none.
func DecodeEvents[T any](s *Stream, end string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for e, err := range s.Events() {
			if end != "" && err == nil && string(e.Data) == end {
				s.finish()
				return
			}
			if !yield(decoded[T](s, e.Data, err)) {
				return
			}
		}
		if end != "" && s.err == io.EOF && !s.finished {
			s.fail(judge.Meaning{Outcome: Transient, Kind: judge.Connection}, fmt.Errorf("the answer ended without %q: %w", end, io.ErrUnexpectedEOF))
			var none T
			yield(none, s.err)
		}
	}
}

// finish ends a stream whose service has said that it is finished: what is left is
// its end on the wire, which the connection needs for its next answer.
func (s *Stream) finish() {
	s.err, s.finished = io.EOF, true
	s.body.a.roundTrip.Drain(s.body.ReadCloser)
}

func decoded[T any](s *Stream, data []byte, err error) (T, error) {
	var v T
	if err == nil {
		if err = json.Unmarshal(data, &v); err != nil {
			err = s.body.a.call.describe(&Error{
				Stopped: "answered", kind: ErrDecode,
				Err: fmt.Errorf("decoding %T from line or event %d, of %d bytes: %w", v, s.events, len(data), wire.RedactedJSON(err)),
			})
		}
	}
	return v, err
}
