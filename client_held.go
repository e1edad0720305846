package holdfast

import (
	"fmt"
	"sync/atomic"
	"time"
)

// heldLong is the age from which on an answer that its caller has not read to the end or
// closed is held for long.
const heldLong = 30 * time.Second

// heldEvery is the shortest time between two looks at the answers that are held, and
// heldTold that between two events of them.
const (
	heldEvery = time.Second
	heldTold  = time.Hour
)

// holding remembers what the last call without a permit found.
type holding struct {
	looked, told atomic.Int64 // when, in Unix nanoseconds
	answers      atomic.Int64 // that were held for long
}

// Saturated adds to the error that all permits are held by answers that callers have left
// open, if it is so, and reports it once an hour.
func (o *clientCall) Saturated(full bool) {
	o.operation.Saturated(full)
	now, h := o.Now(), &o.client.holding
	if last := h.looked.Load(); now.UnixNano()-last >= int64(heldEvery) && h.looked.CompareAndSwap(last, now.UnixNano()) {
		h.answers.Store(int64(o.client.running.answersOlderThan(now, heldLong)))
	}
	held, permits := int(h.answers.Load()), o.shared.bulkhead.permits
	if held < permits {
		return
	}
	text := fmt.Sprintf("all %d permits are held by answers older than %v, which their callers have not read to the end or closed", permits, heldLong)
	if full {
		text = o.failure().rejected.Error() + "; " + text
	}
	o.failure().rejected = &saturated{text}
	if last := h.told.Load(); last == 0 || now.UnixNano()-last >= int64(heldTold) {
		if h.told.CompareAndSwap(last, now.UnixNano()) {
			o.report(Event{Kind: EventAnswersHeld, Time: now, Held: held, Duration: heldLong})
		}
	}
}
