package holdfast

import (
	"context"
	"time"
)

// EventKind is the kind of an Event.
type EventKind uint8

// The comment of each kind lists the fields of Event that it sets, besides those that
// every event has: Kind, Time, Name, RequestID, Method and Path.
const (
	// EventStarted: an operation starts. Limit (of one attempt).
	EventStarted EventKind = iota + 1
	// EventKeyGenerated: a RequestID was made for the operation.
	EventKeyGenerated
	// EventWaiting: no permit is free, and the operation waits for one.
	EventWaiting
	// EventPermitAcquired: the operation has a permit. Remaining, Duration (of the
	// wait).
	EventPermitAcquired
	// EventCoolingDown: the operation waits, because the service asked to be left alone.
	// Delay.
	EventCoolingDown
	// EventAttempt: an attempt starts. Attempt, Of, Probe. Time is earlier than the last
	// check of the breaker and of the cooldown.
	EventAttempt
	// EventAttemptDone: an attempt has ended. Attempt, Of, Probe, Outcome, Class, Err, Status,
	// Sent, Duration, RetryAfter, RetryAfterFrom, RetryAt (the end of the cooldown, if
	// the attempt started one), Proto, Unread, and Stream (its first line or event has
	// arrived).
	EventAttemptDone
	// EventRetrying: another attempt follows. Attempt (the failed one), Of, Class, Err, Sent,
	// Delay.
	EventRetrying
	// EventSucceeded: the operation succeeded. Attempt (the number of attempts), Of,
	// Outcome, Duration, Breaker, Unread.
	EventSucceeded
	// EventFailed: the operation failed. Attempt (the number of attempts, 0 if nothing
	// was sent), Of, Class (of the last attempt), Err, Reason, Sent (by any attempt),
	// Duration, Breaker, Unread.
	EventFailed
	// EventBrokeOff: a body that the caller reads, or a stream, ended too early because
	// the service failed or a limit was reached. EventSucceeded came before it, when
	// the answer began. Attempt (the number of attempts), Of, Outcome, Class, Status, Err,
	// Reason, Sent, Duration (since the operation started).
	EventBrokeOff
	// EventBreakerOpened: the breaker opened. From, Failures, Delay (until it admits probes),
	// RetryAt, Epoch, and Err if the failure that opened it is known. Time is later than
	// the change: an attempt with a later Time started while the breaker was open.
	EventBreakerOpened
	// EventBreakerHalfOpen: the breaker admits probes. From, Duration (since it opened), Epoch.
	EventBreakerHalfOpen
	// EventBreakerClosed: the breaker closed. From, Duration (since it opened), Epoch.
	EventBreakerClosed
	// EventProbe: a half-open breaker admitted a probe. Probe.
	EventProbe
	// EventRejected: the breaker rejected an operation. RetryAt, Rejected (the number
	// of rejections).
	EventRejected
	// EventAnswersHeld: a call got no permit, because all are held by answers of Client.Do
	// or the SDK transport that callers have not read to the end or closed. It is reported
	// at most once an hour. Held, Duration (the shortest time that they were held).
	EventAnswersHeld
	// EventNestedRetries: an SDK repeats a call above the SDK transport, which retries as
	// well. It is reported once for each client. Attempt (the SDK's), Of (the requests that
	// the two loops may make of one call of the SDK; see Retry.Nested).
	EventNestedRetries
	// EventRepeatedByID: a POST or PATCH that may have been done is repeated, and the
	// service can recognize that only by the call's id in Config.RequestIDHeader. It is
	// reported once for each client. Config.IdempotencyKey also sends the id as
	// Idempotency-Key, and RepeatSafe as Retry.Repeat does not repeat. Attempt (the failed
	// one), Of.
	EventRepeatedByID
	// EventAnswerDropped: a caller has dropped an answer of Client.Do, Client.Stream or the SDK
	// transport without reading it to its end or closing it, and no context ends the call.
	// The collector found it, and the client released its permit and its connection. It is
	// reported at most once an hour; ClientStats.Dropped has the number. Status, Duration
	// (since the call began).
	EventAnswerDropped
	// EventAnswerEnded: an answer that the caller reads has ended. Only an AnswerInstrument
	// gets it. Attempt (the number of attempts), Of, Outcome (Success for an answer that was
	// read to its end, Canceled for one that the caller left before, Unknown if its time was
	// over), Class and Err (of another outcome than Success), Status, Sent, Duration (since
	// the operation started), Stream.
	EventAnswerEnded
)

var eventNames = [...]string{
	EventStarted:         "request started",
	EventKeyGenerated:    "idempotency key generated",
	EventWaiting:         "waiting for a slot",
	EventPermitAcquired:  "slot acquired",
	EventCoolingDown:     "cooling down",
	EventAttempt:         "attempt started",
	EventAttemptDone:     "attempt ended",
	EventRetrying:        "retrying",
	EventSucceeded:       "operation succeeded",
	EventFailed:          "operation failed",
	EventBrokeOff:        "answer broke off",
	EventBreakerOpened:   "circuit breaker opened",
	EventBreakerHalfOpen: "circuit breaker half-open",
	EventBreakerClosed:   "circuit breaker closed",
	EventProbe:           "probe admitted",
	EventRejected:        "circuit breaker open: rejecting request",
	EventNestedRetries:   "an SDK retries above this client, which retries too",
	EventRepeatedByID:    "a request that may have been done is repeated, with its request id as the only key",
	EventAnswerDropped:   "an answer was dropped: it was neither read to its end nor closed",
	EventAnswerEnded:     "answer ended",
	EventAnswersHeld:     "all slots are held by answers that were not closed",
}

// String is the event's message in the log.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "invalid"
}

// Event is something that happened to an operation or to a breaker. Fields that Kind
// does not set are zero. An Event has no credential: no header, no body, no query.
type Event struct {
	Kind EventKind
	Time time.Time
	// Name is the name of the client, the policy or the breaker.
	Name string
	// RequestID is the operation's id. It is empty for a policy and a breaker, as are
	// Method and Path.
	RequestID    string
	Method, Path string

	Attempt, Of int // Attempt counts from 1; Of is the largest number possible
	Probe       bool
	Outcome     Outcome
	Class       Class // what the failure is; see docs/classes.md
	Status      int   // of the answer
	Err         error
	Reason      Reason // why no further attempt followed; see docs/reasons.md
	Sent        bool   // a client's request may have reached the service; see Attempt.Sent
	Limit       time.Duration
	Delay       time.Duration
	Duration    time.Duration
	RetryAfter  time.Duration // the wait that the service asked for
	// RetryAfterFrom is where RetryAfter was read; see Attempt.RetryAfterFrom.
	RetryAfterFrom string

	From      State  // the state before the change
	Failures  int    // in a row
	Epoch     uint64 // orders the changes of one breaker
	RetryAt   time.Time
	Rejected  uint64
	Remaining int // free permits
	Held      int // answers that hold a permit

	// These are set for instruments.
	Proto   string // of the answer: HTTP/1.1 or HTTP/2.0
	Breaker string // the state of the breaker after the operation, StateOff without one
	Unread  bool   // the caller reads the answer's body: EventAnswerEnded follows
	Stream  bool   // the answer is a stream
}

// Observer receives the events of a client, a policy or a breaker; see WithObserver.
// Many goroutines call Observe at once: each event is reported by the goroutine in
// which it happened, and never under a lock. The call continues when Observe returns.
// ctx is the caller's. A breaker's event has the context of the call that caused it.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }

type observers []Observer

func (os observers) Observe(ctx context.Context, e Event) {
	for _, o := range os {
		o.Observe(ctx, e)
	}
}
