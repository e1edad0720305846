package holdfast

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// liveBody is the body of an answer that the caller reads.
type liveBody struct {
	io.ReadCloser
	a      *clientAttempt
	err    error // of Read
	once   sync.Once
	closed atomic.Bool // by the caller
	ended  atomic.Bool // well or not, or in a way that says nothing of the service
	// recorded: the recorder knows of the end.
	recorded atomic.Bool
	status   int32
	begun    bool // a byte has arrived
	stream   bool // see isStream
}

// leaveBody leaves the answer to the caller with its body unread. Until the body is
// closed, it has the permit and the attempt's context, and the operation runs.
func (a *clientAttempt) leaveBody(resp *http.Response) {
	o, stream := a.call, a.call.isStream(resp)
	if stream && o.HandOverStream(&a.Attempt) {
		a.roundTrip.CarriesStream()
	} else {
		a.HandOver()
		o.answered.Store(a.Started.UnixNano())
	}
	a.roundTrip.Extend(o.OwnDeadline())
	a.live = liveBody{ReadCloser: resp.Body, a: a, status: int32(resp.StatusCode), stream: stream}
	b := &a.live
	if a.answer = resp; resp.Body == http.NoBody {
		return
	}
	resp.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // 101: the connection is the caller's
		resp.Body = struct {
			*liveBody
			io.Writer
		}{b, w}
	}
}

// isStream reports whether an answer may take as long as the service likes.
func (o *clientCall) isStream(resp *http.Response) bool {
	if _, ok := o.receiver.(streamReceiver); ok {
		return true
	}
	if resp.StatusCode != http.StatusOK {
		return false
	}
	types := resp.Header["Content-Type"]
	if len(types) == 0 {
		return false
	}
	media, _, _ := strings.Cut(types[0], ";")
	switch strings.TrimSpace(media) {
	case "text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream":
		return true
	}
	return false
}

func (b *liveBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.begun = true
	}
	sdk, ofSDK := b.a.call.receiver.(transportReceiver)
	if failed, atEnd := b.found(); failed != nil && (atEnd || !ofSDK) { // an SDK knows its events
		b.err = failed
		b.release()
		if n > 0 {
			return n, nil
		}
		return 0, failed
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		b.settle(Success, nil)
		b.release()
		b.tell(Success, ClassNone, nil)
		return n, err
	}
	b.err = b.failed(b.judge(err))
	if ofSDK {
		b.err = b.plain(err, sdk.plainErrors)
	}
	b.release()
	return n, b.err
}

// plain returns the error of a Read for an SDK, and b.err for most: io.ErrUnexpectedEOF is
// itself, because programs compare it with ==, and so is the error of a body that its
// caller has closed. That of a stream stays b.err: the AWS SDK takes io.ErrUnexpectedEOF
// itself for the end of the stream, and the rest would be lost unseen.
func (b *liveBody) plain(err error, always bool) error {
	switch limit, reached := b.a.limit(); {
	case errors.Is(err, io.ErrUnexpectedEOF) && (always || !b.stream):
		return io.ErrUnexpectedEOF
	case b.closed.Load(), always && (limit == nil || reached == judge.OperationLimit && limit.Phase == "deadline"):
		return err
	}
	return b.err
}

// Close releases the permit and the connection. A Read that it ends is no failure of the
// service: to the breaker, an answer that the caller has enough of ended well.
func (b *liveBody) Close() error {
	b.settle(Success, nil)
	defer b.tell(Canceled, ClassCanceled, errBodyClosed)
	return b.close()
}

// close is Close without a verdict.
func (b *liveBody) close() error {
	b.closed.Store(true)
	defer b.release()
	return b.ReadCloser.Close()
}

// settle tells the breaker how the answer ended, once. It has counted the answer's
// beginning apart from that, and a declining one for good unless it breaks off.
func (b *liveBody) settle(o Outcome, cause error) {
	if b.ended.Swap(true) {
		return
	}
	if begun := b.a.Outcome; begun == Success || o == Transient && begun != Transient {
		b.a.call.SettleAnswer(o, cause)
	}
}

// release releases what the answer holds, and reports whether it did: the first time.
func (b *liveBody) release() (first bool) {
	b.a.onWire.Load().Forget((*leftBody)(b))
	b.once.Do(func() {
		first = true
		defer b.a.call.finish()
		b.releaseAttempt()
	})
	return first
}

// watch makes the end of the operation's context release what the body holds: callers forget
// to close bodies. It is called last, when the caller gets the answer.
func (b *liveBody) watch() {
	left := (*leftBody)(b)
	if b.ReadCloser != http.NoBody && !b.a.onWire.Load().Notify(left) {
		left.ContextEnded(b.a.call.World)
	}
}

// leftBody is a body of which the context ends before the caller has read or closed it.
type leftBody liveBody

func (l *leftBody) ContextEnded(w world.World) {
	l.once.Do(func() {
		o := l.a.call
		if (o.ends != nil || l.stream && o.shared.recorder != nil) && o.Context.Err() != nil { // otherwise a Read has reached its limit, and tells it
			outcome, class := Canceled, ClassCanceled
			kind, cause := o.ended()
			if kind == ErrTimeout {
				outcome, class = Unknown, ClassTimeout
			}
			apart(w, func() { (*liveBody)(l).tell(outcome, class, cause) })
		}
		l.a.roundTrip.Left()
		o.ReleaseHeld(&l.a.Attempt)
		o.endContext()
		o.client.running.remove(o)
		apart(w, o.closeBody)
	})
}

// apart runs code of the caller's, which may wait, in another goroutine. A panic there would
// end the program, since the caller cannot recover it: it ends only f.
func apart(w world.World, f func()) {
	w.Go(func() {
		defer func() { _ = recover() }()
		f()
	})
}

// releaseAttempt releases what the attempt holds.
func (b *liveBody) releaseAttempt() {
	defer b.a.call.ReleaseHeld(&b.a.Attempt)
	b.a.roundTrip.End()
}

var errBodyClosed = errors.New("the body was closed")

// judge judges the error of a Read.
func (b *liveBody) judge(err error) (m judge.Meaning, cause error) {
	if b.closed.Load() {
		return judge.Meaning{Outcome: Canceled, Kind: judge.Canceled}, errBodyClosed
	}
	err = wire.Redacted(err)
	f := judge.Facts{Ending: judge.NoAnswer, Sent: true, Begun: b.begun}
	limit, reached := b.a.limit()
	switch f.Limit = reached; {
	case b.a.call.hasLeft():
		f.Canceled = judge.ByCaller
		_, cause = b.a.call.ended()
	case limit != nil:
		cause = withLimit(limit, err)
	case b.a.roundTrip.Err() != nil:
		f.Canceled = b.a.call.canceledBy()
		_, cause = b.a.call.ended()
	default:
		cause = fmt.Errorf("the answer broke off: %w", err)
		if wire.Classify(err) == judge.TimedOut {
			f.Failure = judge.TimedOut
		}
	}
	m = b.a.judge(f)
	if o := b.a.call; m.Kind == judge.Canceled && o.pastDeadline(o.Now()) { // by http.Client.Timeout
		m.Kind, cause = judge.Timeout, &TimeoutError{Phase: "deadline", After: since(o.Began, o.Now())}
	}
	return m, cause
}

// classOf is the class of an answer that failed after its beginning.
func classOf(m judge.Meaning) Class {
	ending := judge.NoAnswer
	if m.Kind == judge.BodyTooLarge {
		ending = judge.TooLong
	}
	return judge.ClassOf(judge.Facts{Ending: ending, Sent: true}, m)
}

// failed reports the failure of a body that ended too early, and returns its error.
func (b *liveBody) failed(m judge.Meaning, cause error) error {
	return b.failedWith(m, classOf(m), cause)
}

func (b *liveBody) failedWith(m judge.Meaning, class Class, cause error) error {
	a, o := b.a, b.a.call
	before := o.failure().attempts
	if n := len(before); n > 0 && before[n-1].Number == a.Number { // a declining answer of the SDK transport
		before = before[:n-1]
	}
	now := o.Now()
	e := o.describe(&Error{
		Took: now.Sub(o.Began), Queued: o.Queued, Stopped: "the answer had begun", Reason: ReasonAnswerBegun, Err: cause, kind: kindErrors[m.Kind],
		Attempts: append(slices.Clip(before), Attempt{
			Number: a.Number, Start: a.Started, Took: now.Sub(a.Started), Outcome: m.Outcome, Class: class, Err: cause, Sent: true,
			Status: int(b.status), Reused: a.roundTrip.Reused(), Probe: a.Probe, Queued: o.Queued - queued(before),
		}),
	})
	defer b.tell(m.Outcome, class, e)
	defer b.ended.Store(true)
	if m.Outcome == Transient {
		defer b.settle(Transient, e)
		o.shared.counts.brokeOff.Add(1)
		o.report(Event{Kind: EventBrokeOff, Time: o.Began.Add(e.Took), Attempt: a.Number, Of: o.Most(), Outcome: m.Outcome, Class: class, Status: int(b.status), Err: e, Reason: e.Reason, Sent: true, Duration: e.Took})
	}
	return noted(o.Caller, e)
}
