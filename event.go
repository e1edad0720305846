package holdfast

import (
	"context"
	"time"
)

// EventKind says what an Event tells.
type EventKind uint8

const (
	// EventStarted: an operation begins. Method, Path, Limit (of one attempt).
	EventStarted EventKind = iota + 1
	// EventKeyGenerated: RequestID was made for the operation.
	EventKeyGenerated
	// EventWaiting: no slot is free, the operation waits for one.
	EventWaiting
	// EventPermitAcquired: it has one. Remaining, Duration (of the wait).
	EventPermitAcquired
	// EventCoolingDown: the operation waits out a silence that the service asked
	// for. Delay.
	EventCoolingDown
	// EventAttempt: an attempt starts. Attempt, Of, Probe. Its Time is earlier
	// than the breaker's last yes to it, and than the last look at what the service
	// had asked for.
	EventAttempt
	// EventAttemptDone: it has ended. Attempt, Of, Probe, Outcome, Err, Status,
	// Sent, Duration, RetryAfter, and RetryAt where all attempts are held back until
	// then.
	EventAttemptDone
	// EventRetrying: another attempt follows. Attempt (that failed), Of, Err, Sent,
	// Delay.
	EventRetrying
	// EventSucceeded: the operation succeeded. Attempt (their number), Duration.
	EventSucceeded
	// EventFailed: it did not. Attempt (their number, 0 if nothing was sent),
	// Err, Sent (by any of them), Duration.
	EventFailed
	// EventBrokeOff: an answer that the caller reads, a stream or the body of Do and
	// the door, ended before its end by the service's failure or a limit; its
	// operation had been told when it began. Attempt (their number), Status, Err,
	// Sent, Duration (since the operation began).
	EventBrokeOff
	// EventBreakerOpened: the breaker opened. Failures, Delay (how long it stays
	// open), RetryAt, Epoch, and Err where the failure that opened it is known. Its
	// Time is later than the change itself: what starts after it, started while the
	// breaker was open.
	EventBreakerOpened
	// EventBreakerHalfOpen: it lets probes through. Duration (since it opened), Epoch.
	EventBreakerHalfOpen
	// EventBreakerClosed: it recovered. Duration (since it opened), Epoch.
	EventBreakerClosed
	// EventProbe: a half-open permit was given out.
	EventProbe
	// EventRejected: the breaker refused an operation. RetryAt, Rejected (so far).
	EventRejected
)

var eventNames = [...]string{
	EventStarted:         "request started",
	EventKeyGenerated:    "idempotency key generated",
	EventWaiting:         "waiting for a slot",
	EventPermitAcquired:  "slot acquired",
	EventCoolingDown:     "held back",
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
}

// String is the message under which the event is logged.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "invalid"
}

// Event is something that happened to an operation or to a breaker. Kind says
// which fields it has; the others are zero. An Event has no credential: no
// header, no body, no query.
type Event struct {
	Kind EventKind
	Time time.Time
	// Name is the client's, the policy's or the breaker's.
	Name string
	// RequestID is the operation's; empty for a policy and for a breaker's events.
	RequestID    string
	Method, Path string

	Attempt, Of int // counted from 1; Of is the most that there can be
	Probe       bool
	Outcome     Outcome
	Status      int
	Err         error
	Sent        bool // a client's request may have reached the service: see Attempt.Sent
	Limit       time.Duration
	Delay       time.Duration
	Duration    time.Duration
	RetryAfter  time.Duration

	Failures  int
	Epoch     uint64 // orders the changes of one breaker
	RetryAt   time.Time
	Rejected  uint64
	Remaining int
}

// Observer receives every event of what it was given to (WithObserver). Observe
// is called by the goroutine to which it happened, never under a lock, and from
// many goroutines at once; the call goes on when it returns. ctx is the
// caller's, for whatever a tracer put into it; for a breaker's events it is that
// of the call which caused them.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// ObserverFunc makes an Observer of a function.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }

// observers tells several.
type observers []Observer

func (os observers) Observe(ctx context.Context, e Event) {
	for _, o := range os {
		o.Observe(ctx, e)
	}
}
