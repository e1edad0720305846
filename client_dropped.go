package holdfast

import (
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/bubble"
)

// answerBody is the body of an answer that its caller has, if no context ends the call. The
// collector tells when the caller has dropped it, so nothing of the call refers to it.
type answerBody struct {
	*liveBody
	answer  http.Response  // that the caller has
	from    *http.Response // of net/http, which sets its trailer at the end
	cleanup runtime.Cleanup
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.liveBody.Read(p)
	if err != nil {
		b.cleanup.Stop()
		b.answer.Trailer = b.from.Trailer
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.cleanup.Stop()
	return b.liveBody.Close()
}

// takeAnswer returns the answer of the call to its caller, once.
func (o *clientCall) takeAnswer() *http.Response {
	a := o.handedOver
	resp := a.answer.(*http.Response)
	a.answer = nil
	if resp.Body != &a.live || !o.mayBeDropped() {
		return resp
	}
	b := &answerBody{liveBody: &a.live, answer: *resp, from: resp}
	b.answer.Body = b
	b.cleanup = runtime.AddCleanup(b, dropped, b.liveBody)
	return &b.answer
}

// takeStream returns the stream of the call to its caller, once.
func (o *clientCall) takeStream() *Stream {
	a := o.handedOver
	s := a.answer.(*Stream)
	a.answer = nil
	if o.mayBeDropped() {
		runtime.AddCleanup(s, dropped, &a.live)
	}
	return s
}

// mayBeDropped reports whether nothing but Close ends the call if its caller forgets the
// answer. The collector cannot act in a bubble.
func (o *clientCall) mayBeDropped() bool {
	return o.Caller.Done() == nil && o.OwnDeadline().IsZero() && o.World.IsReal() && !bubble.Inside()
}

// dropping counts the answers of a client that were dropped.
type dropping struct {
	answers atomic.Uint64
	told    atomic.Int64 // when the last event was, in Unix nanoseconds
}

var errDropped = errors.New("the answer was dropped")

// dropped releases what an answer holds that its caller has dropped without reading it to
// its end or closing it.
func dropped(b *liveBody) {
	o := b.a.call
	apart(o.World, func() {
		first := b.release()
		if first {
			_ = b.ReadCloser.Close()
		}
		b.tell(Canceled, ClassCanceled, errDropped)
		if !first {
			return
		}
		d, now := &o.client.dropping, o.Now()
		d.answers.Add(1)
		if last := d.told.Load(); last == 0 || now.UnixNano()-last >= int64(heldTold) {
			if d.told.CompareAndSwap(last, now.UnixNano()) {
				o.report(Event{Kind: EventAnswerDropped, Time: now, Status: int(b.status), Duration: now.Sub(o.Began)})
			}
		}
	})
}
