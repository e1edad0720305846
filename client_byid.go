package holdfast

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
)

// isByID reports whether a failed attempt with these facts may be repeated only because the
// service can recognize the call's id in RequestIDHeader. It is false once that was reported.
func (a *clientAttempt) isByID(f judge.Facts) bool {
	o := a.call
	if _, ofSDK := o.receiver.(transportReceiver); ofSDK { // its caller gave a key, or chose RepeatPOST
		return false
	}
	if o.client.byID.Load() || o.repeat != RepeatKeyed || !f.Sent || judge.Idempotent(f.Method) {
		return false
	}
	if h := o.request.Header; h["Idempotency-Key"] != nil || h["X-Idempotency-Key"] != nil {
		return false
	}
	// A request that the service declined is repeated whatever Repeat is.
	return judge.Judge(f, judge.Rules{Repeat: judge.RepeatSafe, MaxRetryAfter: o.Rules.Retry.MaxRetryAfter}).Why != judge.May
}

// tellByID reports once that a repeat relies on the call's id alone.
func (o *clientCall) tellByID(now time.Time) {
	if !o.client.byID.Swap(true) {
		o.report(Event{Kind: EventRepeatedByID, Time: now, Attempt: int(o.Made), Of: o.Most()})
	}
}
