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
)

// Stream sends in as Post does, and returns the answer while it arrives: NDJSON with
// Stream.Lines, server-sent events with Stream.Events. It returns when the first line or
// event is there, or at the end of an empty answer. A failure before that is repeated
// like any other attempt. A later failure is not repeated, because the caller has a part
// of the answer.
//
// The attempt's limit, or Timeouts.FirstEvent, ends with the first line or event. From there
// Timeouts.Read bounds the time between two chunks and Timeouts.Event that between two
// events, and ctx and Timeouts.Total bound the whole. Config.Classify may find a failure in
// a line or event: before the first one that is content, it is a failed attempt. For a half-open
// breaker the first line or event is a Success, for a closed one the end of the stream is.
// The caller ranges over the stream to its end, leaves the loop, or calls Close; until
// then the call keeps its permit.
func (c *Client) Stream(ctx context.Context, method, path string, in any, opts ...CallOption) (*Stream, error) {
	o, err := c.encodedCall(ctx, method, path, in, opts, streamReceiver{}, acceptStream)
	if err != nil {
		return nil, noted(ctx, err)
	}
	if err := o.run(); err != nil {
		return nil, err
	}
	s := o.takeStream()
	s.Attempts = int(o.Made)
	return s, nil
}

// acceptStream has the two intended types first, for a service that chooses between
// types.
var acceptStream = []string{"text/event-stream, application/x-ndjson, */*;q=0.1"}

// Stream is an answer that arrives in parts. Range over Lines or Events, once: the end
// of the loop closes the stream. A second loop yields nothing after the end of the
// answer, the same error after a failure, and ErrCanceled if the stream was closed before
// its end.
//
// One goroutine uses the stream. Any goroutine may call Close.
type Stream struct {
	Status    int
	Proto     string // HTTP/1.1 or HTTP/2.0
	Header    http.Header
	RequestID string // the call's id
	Attempts  int    // the number of attempts until the first line or event

	trailer    *http.Header // of the answer: net/http fills it at the end of the body
	body       *liveBody    // nil until the first line or event is there
	source     io.Reader    // of body
	frames     frame.Splitter
	events     int
	bytes      int64
	emptyReads int   // in a row
	readErr    error // of the last Read; it may be io.EOF
	err        error // yielded in the place of the next line or event; io.EOF for none
	closed     atomic.Bool
	marked     atomic.Bool // an event ends the stream: without it the answer broke off

	classify func(*Answer) Verdict  // nil for none
	last     ServerEvent            // that was classified
	ends     func(ServerEvent) bool // nil if no event ends the stream
	timed    bool                   // Timeouts.Event is set
	finished bool                   // the service sent the event that ends the stream
	foreign  *foreign               // nil unless events are wanted, and another media type is announced
}

// ServerEvent is one event of an event stream (server-sent events; WHATWG HTML, 9.2.6).
// Comments, which servers send to keep a connection alive, are no events.
type ServerEvent struct {
	// Type is the event's type. Default "message".
	Type string
	// Data is the event's data, with LF between its lines. It is valid until the next
	// step of the loop: copy it to keep it.
	Data []byte
	// ID is the last id that the service sent, with this event or an earlier one. To
	// continue after it, send it in a new call as the header Last-Event-ID.
	ID string
	// Retry is the wait before a new call that the service asks for, zero if it does not
	// ask. The client does not wait.
	Retry time.Duration
}

// StreamError is the failure of a stream after its beginning. It is in the chain of the
// *Error that the loop yields last, and has the numbers of what was received.
type StreamError struct {
	// Events is the number of lines or events that were yielded.
	Events int
	// Bytes is the number of bytes that arrived, after decompression.
	Bytes int64
	// Partial is the unfinished line or event.
	Partial []byte
	// Err is the cause.
	Err error
}

// Error returns the cause and the numbers, and not Partial.
func (e *StreamError) Error() string {
	return fmt.Sprintf("%v (after %s, %d bytes)", e.Err, plural(e.Events, "event"), e.Bytes)
}

// Unwrap returns the cause.
func (e *StreamError) Unwrap() error { return e.Err }

// GoString is the text for %#v, also without Partial.
func (e *StreamError) GoString() string {
	return fmt.Sprintf("&holdfast.StreamError{Events:%d, Bytes:%d, Err:%q}", e.Events, e.Bytes, e.Err)
}

// Lines yields the lines of the answer, without their ends and without lines of white
// space only. The last line may have no end. A line is valid until the next step of the
// loop: copy it to keep it.
//
// A failure is yielded last, without a line, as an *Error. If the answer broke off, its
// chain has a *StreamError.
func (s *Stream) Lines() iter.Seq2[[]byte, error] {
	return iterate(s, s.frames.Line, func(line []byte) ServerEvent { return ServerEvent{Data: line} })
}

// Events yields the server-sent events of the answer, for every media type, and a failure
// as Lines does. An answer that ends within an event broke off. One of another media type
// that has no event at all is ErrDecode: a page of a proxy, for example.
func (s *Stream) Events() iter.Seq2[ServerEvent, error] {
	s.expectEvents()
	return iterate(s, func() (ServerEvent, error) {
		e, err := s.frames.Event()
		return ServerEvent(e), err
	}, func(e ServerEvent) ServerEvent { return e })
}

// EndsWith tells which event ends the stream, or which line, in ServerEvent.Data. The event
// is yielded, and the loop ends after it. An answer that ends without it broke off. Call
// EndsWith before the loop.
//
//	stream.EndsWith(func(e holdfast.ServerEvent) bool { return e.Type == "message_stop" })
func (s *Stream) EndsWith(ends func(ServerEvent) bool) {
	s.ends = ends
	s.marked.Store(true)
}

// DecodeLines yields the lines of a stream, each decoded from JSON into a T. A line
// that cannot be decoded yields an *Error that is ErrDecode, and the loop can continue
// with the next line. Otherwise DecodeLines is the same as Lines.
func DecodeLines[T any](s *Stream) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range s.Lines() {
			if !yield(decoded[T](s, line, err)) {
				return
			}
		}
	}
}

// DecodeEvents yields the data of a stream's events, each decoded from JSON into a T; see
// DecodeLines. Use Events if the types of the events matter.
//
// Some services end a stream with an event: OpenAI's has the data [DONE]. Pass its data
// as end. The loop then ends at this event, and an answer without it broke off. Pass ""
// if there is no such event.
func DecodeEvents[T any](s *Stream, end string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if end != "" {
			s.marked.Store(true)
			defer s.body.settle(Success, nil) // unless it has failed
		}
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

// Trailer returns the headers that the service has sent after the answer, once a loop has
// met its end. It is nil before, and if there is none.
func (s *Stream) Trailer() http.Header {
	if s.readErr != io.EOF {
		return nil
	}
	return *s.trailer
}

// Close releases the permit and the connection. The part that had not arrived is lost,
// and the breaker does not count this. Calling it again does nothing.
//
// Over HTTP/1.1, only an answer that was read to its end leaves its connection for the
// next call. After the service's last line or event, let the loop end by itself.
func (s *Stream) Close() error {
	s.closed.Store(true)
	if s.marked.Load() {
		defer s.body.tell(Canceled, ClassCanceled, errStreamClosed)
		return s.body.close()
	}
	return s.body.Close()
}

// endLoop closes the stream at the end of a loop.
func (s *Stream) endLoop() {
	if s.err == io.EOF && s.marked.Load() && !s.finished { // DecodeEvents has not met the end, and ends the answer
		s.closed.Store(true)
		_ = s.body.close()
		return
	}
	defer s.Close()
	if s.err == io.EOF { // otherwise it has failed, or its caller has left it
		s.body.tell(Success, ClassNone, nil)
	}
}

// openStream makes a stream of an answer as soon as it has a whole line or event, or has
// ended without one. A failure before that concludes the attempt.
func (a *clientAttempt) openStream(resp *http.Response) {
	o := a.call
	a.extendToFirstEvent()
	if o.resolved.config.Classify != nil {
		opened, _, _ := a.openEvents(resp, 0)
		if a.unopened(resp, opened) {
			return
		}
	}
	s := &Stream{
		Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, RequestID: o.id, source: resp.Body, trailer: &resp.Trailer,
		frames: frame.Splitter{Max: o.resolved.config.MaxEventBytes}, classify: o.resolved.config.Classify, timed: o.limits.Event > 0,
	}
	switch err := s.readFirst(); {
	case err == frame.ErrTooLong:
		a.tooLong(resp, tooLongEvent(s.frames.Max))
		return
	case err == errTooLate:
		a.tooLong(resp, tooLateEvent(s.frames.Max))
		return
	case err != nil:
		a.brokeOff(resp, s.bytes, err)
		return
	}
	a.awaitsEvent = false
	a.leaveBody(resp)
	if s.body = &a.live; s.bytes > 0 {
		s.body.begun = true
	}
	if s.readErr == io.EOF {
		s.body.release()
	}
	a.answer = s
	a.succeed()
}

// extendToFirstEvent sets the limit of the attempt from the headers to the first event: that
// of Timeouts.FirstEvent, or else its own.
func (a *clientAttempt) extendToFirstEvent() {
	o, limit := a.call, a.call.resolved.firstEvent
	if a.awaitsEvent = limit > 0; !a.awaitsEvent {
		return
	}
	deadline := a.Started.Add(limit)
	if own := o.OwnDeadline(); !own.IsZero() && own.Before(deadline) {
		deadline = own
	}
	a.roundTrip.Extend(deadline)
}

// errTooLate means that more than an event may have was before the first one: comments or
// white space.
var errTooLate = errors.New("no event")

// readFirst reads until there is a whole line, or a whole event of an event stream.
func (s *Stream) readFirst() error {
	peek := s.frames.PeekLine
	if mediaType, _, _ := mime.ParseMediaType(s.Header.Get("Content-Type")); mediaType == "text/event-stream" {
		peek = s.frames.PeekEvent
	}
	for {
		switch err := peek(); {
		case err == nil, err == io.EOF:
			return nil
		case err == frame.ErrMore && s.frames.Max > 0 && s.bytes-int64(len(s.frames.Rest())) > int64(s.frames.Max):
			return errTooLate
		case err == frame.ErrMore && s.readErr == nil:
			s.read()
		case err == frame.ErrMore:
			return s.readErr
		default:
			return err
		}
	}
}

func iterate[E any](s *Stream, next func() (E, error), event func(E) ServerEvent) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		defer s.endLoop()
		if s.ends != nil {
			defer s.body.settle(Success, nil) // if the caller leaves the loop
		}
		for s.err == nil {
			e, err := next()
			if err != nil || s.closed.Load() {
				s.advance(err)
				continue
			}
			if (s.classify != nil || s.timed) && !s.admits(event(e)) {
				continue
			}
			s.events++
			last := s.ends != nil && s.ends(event(e))
			if !yield(e, nil) {
				return
			}
			if last && s.err == nil {
				s.finish()
			}
		}
		if s.err != io.EOF {
			var none E
			yield(none, s.err)
		}
	}
}

// admits asks Config.Classify about an event, and reports whether it may be yielded: if not,
// the stream has failed.
func (s *Stream) admits(e ServerEvent) bool {
	var v Verdict
	if s.classify != nil {
		answer := s.answer(e)
		v = s.classify(&answer).checked()
	}
	if v.Class != ClassNone {
		s.failAs(v, e.Data)
		return false
	}
	e.Data = append(s.last.Data[:0], e.Data...)
	s.last = e
	if !v.More {
		s.body.a.roundTrip.EventArrived()
	}
	return true
}

// answer is an event for Config.Classify.
func (s *Stream) answer(e ServerEvent) Answer {
	answer := s.body.a.answerOf(s.Status, s.Header)
	answer.Stream, answer.Event, answer.Seen = true, e, s.events
	return answer
}

// hasNoEnd asks Config.Classify about the end of the answer, and EndsWith. It reports
// whether the stream has failed by it.
func (s *Stream) hasNoEnd() bool {
	switch {
	case s.ends != nil && !s.finished:
		s.fail(judge.Meaning{Outcome: Transient, Kind: judge.Connection}, fmt.Errorf("the answer ended without the event that ends it: %w", io.ErrUnexpectedEOF))
		return true
	case s.classify == nil:
		return false
	}
	answer := s.answer(s.last)
	answer.Ended, answer.Trailer = true, *s.trailer
	v := s.classify(&answer).checked()
	if v.Class != ClassNone {
		s.failAs(v, nil)
	}
	return v.Class != ClassNone
}

// failAs ends the stream with a failure that Config.Classify has found.
func (s *Stream) failAs(v Verdict, event []byte) {
	e := &StatusError{Status: s.Status, Header: s.Header, Body: bytes.Clone(event[:min(len(event), maxAnswerBody)]), Text: v.Text}
	s.err = s.body.failedAs(v, e, func(err error) error {
		return &StreamError{Events: s.events, Bytes: s.bytes, Partial: bytes.Clone(event), Err: err}
	})
	s.body.release()
}

// advance reads on if the next line or event is not complete. Otherwise it ends the
// stream, for the reason err of the splitter.
func (s *Stream) advance(err error) {
	m, cause := judge.Meaning{Outcome: Transient, Kind: judge.Connection}, error(nil)
	switch {
	case s.closed.Load():
		m, cause = judge.Meaning{Outcome: Canceled, Kind: judge.Canceled}, errStreamClosed
	case err == frame.ErrMore && s.readErr == nil:
		s.read()
		return
	case err == frame.ErrMore:
		m, cause = s.body.judge(s.readErr)
	case s.isForeign():
		return
	case err == io.EOF:
		if !s.hasNoEnd() {
			s.err = io.EOF
		}
		return
	case err == frame.ErrTooLong:
		m, cause = judge.Judge(judge.Facts{Ending: judge.TooLong}, judge.Rules{}), tooLongEvent(s.frames.Max)
	default:
		cause = fmt.Errorf("the answer ended too early: %w", err)
	}
	s.fail(m, cause)
}

// read reads the next part of the answer.
func (s *Stream) read() {
	if s.timed && s.body != nil {
		s.body.a.roundTrip.AwaitEvent()
	}
	n, err := s.source.Read(s.frames.Room())
	s.frames.Add(n)
	s.bytes += int64(n)
	if s.foreign != nil && s.events == 0 {
		rest := s.frames.Rest()
		s.foreign.add(rest[len(rest)-n:])
	}
	switch {
	case err == io.EOF:
		s.frames.End()
		if s.body != nil {
			s.body.release()
		}
	case err == nil && n > 0:
		s.emptyReads = 0
	case err == nil:
		if s.emptyReads++; s.emptyReads == 100 { // the bound of package bufio
			err = io.ErrNoProgress
		}
	}
	s.readErr = err
}

func (s *Stream) fail(m judge.Meaning, cause error) {
	s.err = s.body.failed(m, &StreamError{
		Events: s.events, Bytes: s.bytes, Partial: bytes.Clone(s.frames.Rest()), Err: cause,
	})
	s.body.release()
}

// finish ends a stream after the event that ends it. It reads the rest of the answer, so
// that the connection can be used again.
func (s *Stream) finish() {
	s.err, s.finished = io.EOF, true
	s.body.a.roundTrip.Drain(s.body.ReadCloser)
}

var errStreamClosed = errors.New("the stream was closed")

func decoded[T any](s *Stream, data []byte, err error) (T, error) {
	var v T
	if err == nil {
		if err = json.Unmarshal(data, &v); err != nil {
			err = s.undecodable(v, data, err)
		}
	}
	return v, err
}
