// Package outcome names what became of one attempt, in the few words that the
// rules need: a breaker, a retry schedule and a budget never see an error, a
// status code or a socket.
package outcome

import "time"

// Outcome is what one attempt, or one whole operation, came to.
//
// The zero value is Unknown, and Unknown moves nothing: an assignment that was
// forgotten can neither close a breaker nor open one.
type Outcome uint8

const (
	// Unknown says nothing about the service: it is not repeated and not counted.
	// A panic in the caller's function ends here too.
	Unknown Outcome = iota
	// Success is an answer that the caller can use.
	Success
	// Transient is a failure of the service or of the way to it: a timeout, a
	// lost connection, a 5xx. It is worth repeating, and a breaker counts it.
	Transient
	// Throttled is the service asking for patience (429). It is worth repeating,
	// later, and no breaker counts it: a service that throttles is alive.
	Throttled
	// Permanent means answered, and answered no: a 404, a 422. Repeating it
	// would bring the same answer. It proves that the service is up.
	Permanent
	// Canceled is the caller's own wish, and says nothing about the service.
	Canceled
)

var names = [...]string{"unknown", "success", "transient", "throttled", "permanent", "canceled"}

// String gives the outcome's name in lower case.
func (o Outcome) String() string {
	if int(o) < len(names) {
		return names[o]
	}
	return "invalid"
}

// Spread is the time, after a wait that a service asked for, over which chance
// spreads the callers that waited: a tenth of the wait.
func Spread(asked time.Duration) time.Duration { return asked / 10 }

// Result is the outcome of an attempt and what the service said about the next.
type Result struct {
	Outcome Outcome
	// RetryAfter is how long the service asked to be left alone; zero if it did
	// not ask.
	RetryAfter time.Duration
	// NoRepeat marks an attempt that must not be made again although its outcome
	// would allow it: a host name that does not exist fails again, a body that
	// was a stream is gone, a POST without a key may have done its work.
	NoRepeat bool
	// Stands marks an attempt that says nothing about the service: the verdict of
	// the attempt before it stands.
	Stands bool
}
