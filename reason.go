package holdfast

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
)

// Reason is the reason why an operation that failed made no further attempt, as a code:
// for metrics, alerts and programs. Error.Stopped has the same in words. The texts of
// String do not change; docs/reasons.md has the table. The zero Reason is ReasonNone.
type Reason uint8

const (
	// ReasonNone is an operation that succeeded, or a call that was not an operation: its
	// request cannot be made, for example.
	ReasonNone Reason = iota
	// ReasonNotRetried: a failure of this kind is not repeated.
	ReasonNotRetried
	// ReasonNotRepeatable: the request must not be sent twice.
	ReasonNotRepeatable
	// ReasonServiceForbids: the service sent x-should-retry: false.
	ReasonServiceForbids
	// ReasonExhausted: all retries were made.
	ReasonExhausted
	// ReasonNoTime: the next wait does not fit into the time that is left.
	ReasonNoTime
	// ReasonWaitTooLong: the service asked for a wait that is longer than Retry.MaxRetryAfter.
	ReasonWaitTooLong
	// ReasonProbe: a probe of a half-open breaker makes one attempt.
	ReasonProbe
	// ReasonBreaker: the breaker was open.
	ReasonBreaker
	// ReasonBulkhead: no permit came free in time, or the queue was full.
	ReasonBulkhead
	// ReasonCooldown: the service asked to be left alone for longer than the operation can
	// wait.
	ReasonCooldown
	// ReasonDeadline: the caller's deadline passed, or the limit of the whole call.
	ReasonDeadline
	// ReasonCanceled: the caller canceled.
	ReasonCanceled
	// ReasonClosed: the client was closed.
	ReasonClosed
	// ReasonAnswerBegun: the answer failed after its beginning, which the caller has.
	ReasonAnswerBegun
	reasonCount
)

// reasonInfo describes a reason for people.
type reasonInfo struct{ name, is, do string }

var reasons = [reasonCount]reasonInfo{
	ReasonNone:           {},
	ReasonNotRetried:     {"not_retried", "a failure of this kind is not repeated: the same request fails again, or `Retry.On` or `Classify` does not match it", "Look at the class of the last attempt, and at the request."},
	ReasonNotRepeatable:  {"not_repeatable", "the request must not be sent twice: it may have been done, or its body can be read only once", "Give the call a key (`Config.IdempotencyKey`), or a body that can be read again."},
	ReasonServiceForbids: {"service_forbids", "the service sent `x-should-retry: false`", "Nothing: the service knows that a retry is of no use."},
	ReasonExhausted:      {"exhausted", "all retries were made", "Look at the classes of the attempts. More retries help only if the failures are short."},
	ReasonNoTime:         {"no_time", "the next wait does not fit into the time that is left", "Raise the caller's deadline or `Timeouts.Total`, or lower `Retry.MaxDelay`."},
	ReasonWaitTooLong:    {"wait_too_long", "the service asked for a wait that is longer than `Retry.MaxRetryAfter`", "Send less, or raise `Retry.MaxRetryAfter` for work that can wait."},
	ReasonProbe:          {"probe", "a probe of a half-open breaker makes one attempt", "Nothing: the service is not well yet."},
	ReasonBreaker:        {"breaker", "the breaker was open", "Look at the failures that opened it. The calls are admitted again when the service answers."},
	ReasonBulkhead:       {"bulkhead", "no permit came free in time, or the queue was full", "Look for answers that are not closed and for a slow service, or raise `Bulkhead.MaxConcurrent`."},
	ReasonCooldown:       {"cooldown", "the service asked to be left alone for longer than the operation can wait", "Send less, or call later."},
	ReasonDeadline:       {"deadline", "the caller's deadline passed, or the limit of the whole call", "Raise the limit, or look for the waits that used it up."},
	ReasonCanceled:       {"canceled", "the caller canceled", "Nothing."},
	ReasonClosed:         {"closed", "the client was closed", "Close the client after its last call."},
	ReasonAnswerBegun:    {"answer_begun", "the answer failed after its beginning, which the caller has", "Call again from the beginning, or from the last event."},
}

// String returns the code.
func (r Reason) String() string {
	if r < reasonCount {
		return reasons[r].name
	}
	return ""
}

var reasonsOf = [...]Reason{
	retry.NotWorthRepeating: ReasonNotRetried,
	retry.NotRepeatable:     ReasonNotRepeatable,
	retry.Exhausted:         ReasonExhausted,
	retry.NoTime:            ReasonNoTime,
	retry.AskedTooMuch:      ReasonWaitTooLong,
	retry.WasProbe:          ReasonProbe,
	retry.BreakerOpened:     ReasonBreaker,
	retry.NoPermit:          ReasonBulkhead,
	retry.CoolingDown:       ReasonCooldown,
	retry.Ended:             ReasonCanceled,
}

// reason is Error.Reason of an error of that kind.
func (o *operation) reason(d retry.Decision, kind error, now time.Time) Reason {
	switch kind {
	case ErrCanceled:
		return ReasonCanceled
	case ErrClosed:
		return ReasonClosed
	case ErrTimeout: // of the last attempt, or of the operation
		if d.Why == retry.Ended || d.Why == retry.NotWorthRepeating && o.lastFailed().Outcome != Permanent {
			return ReasonDeadline
		}
	}
	switch d.Why {
	case retry.NoTime:
		if !now.Before(o.Deadline()) {
			return ReasonDeadline
		}
	case retry.NotRepeatable:
		switch o.failure().why {
		case judge.UserForbids, judge.WouldFailAgain:
			return ReasonNotRetried
		case judge.ServiceForbids:
			return ReasonServiceForbids
		}
	}
	return reasonsOf[d.Why]
}
