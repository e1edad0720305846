package holdfast

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/wire"
)

// handOut gives the answer to the caller with its body still to be read. The
// slot, the attempt's context and the operation's place on the client's list
// stay with the body until it is closed.
func (o *exchange) handOut(trip *wire.Trip, resp *http.Response) {
	trip.Extend(o.deadline)
	b := &o.bodyRead
	b.ReadCloser, b.o, b.trip, b.slot = resp.Body, o, trip, o.slot
	o.slot = false
	resp.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // 101: the connection is the caller's
		resp.Body = struct {
			*liveBody
			io.Writer
		}{b, w}
	}
	o.raw = resp
}

// liveBody is a body that the caller reads.
type liveBody struct {
	io.ReadCloser
	o    *exchange
	trip *wire.Trip
	slot bool
	once sync.Once
	err  error // what reading it came to
}

func (b *liveBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		b.release()
		return n, err
	}
	b.err = b.failed(b.why(err))
	b.release()
	return n, b.err
}

// why says what it means that a body ended early, and whether that is the
// service's failure.
func (b *liveBody) why(err error) (v Outcome, kind, cause error) {
	err = wire.Discreet(err)
	switch limit := b.o.expired(b.trip); {
	case limit != nil:
		return Transient, ErrTimeout, limitedBy(limit, err)
	case b.trip.Err() != nil:
		kind, cause = b.o.ended()
		return Canceled, kind, cause
	}
	return Transient, ErrConnection, fmt.Errorf("the answer broke off: %w", err)
}

// failed is the error of a body that ended early. The verdict was given when the
// answer began; a service that failed afterwards is a failure of its own.
func (b *liveBody) failed(v Outcome, kind, cause error) error {
	o := b.o
	before, counted := o.trouble().failures, v != Transient
	if n := len(before); n > 0 && before[n-1].Number == o.made { // a refusal, at the door
		counted = counted || before[n-1].Outcome == Transient
		before = before[:n-1]
	}
	e := o.named(&Error{
		Took: time.Since(o.began), Stopped: "the answer had begun", Err: cause, kind: kind,
		Attempts: append(slices.Clip(before), Attempt{
			Number: o.made, Start: o.asked, Took: time.Since(o.asked), Outcome: v, Err: cause, Sent: true,
			Status: o.raw.StatusCode, Reused: b.trip.Reused(), Probe: o.Probe(),
		}),
	})
	if v == Transient {
		o.rules.counts.brokenOff()
		o.tell(Event{Kind: EventBrokeOff, Time: o.began.Add(e.Took), Attempt: o.made, Of: o.most(), Outcome: v, Status: o.raw.StatusCode, Err: e, Sent: true, Duration: e.Took})
	}
	if br := o.rules.breaker; br != nil && !counted {
		br.note(o.caller, o.ticket, Transient, e)
	}
	return e
}

// Close gives back the slot and the connection.
func (b *liveBody) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}

func (b *liveBody) release() {
	b.once.Do(func() {
		b.yield()
		b.o.finish()
	})
}

// yield gives back what the attempt had taken.
func (b *liveBody) yield() {
	b.trip.End()
	if b.slot {
		b.o.rules.bulkhead.handle.Release()
	}
}
