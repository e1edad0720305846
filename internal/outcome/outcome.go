// Package outcome classifies the result of an attempt for the rules. A breaker,
// a retry schedule and a budget do not see errors, status codes or sockets.
package outcome

import "time"

// Outcome is the classified result of an attempt or of a whole operation.
//
// The zero value is Unknown, which changes nothing: a missing assignment
// neither closes nor opens a breaker.
type Outcome uint8

const (
	// Unknown gives no information about the service: it is not repeated and
	// not counted. It is also the outcome of a panic in the caller's function.
	Unknown Outcome = iota
	// Success is an answer that the caller can use.
	Success
	// Transient is a failure of the service or of the connection: a timeout, a
	// lost connection, a 5xx. It is repeated, and a breaker counts it.
	Transient
	// Throttled means that the service asked for fewer requests (429). It is
	// repeated later. No breaker counts it: a service that throttles is up.
	Throttled
	// Permanent is a negative answer: a 404, a 422. A repetition would get the
	// same answer. It proves that the service is up.
	Permanent
	// Canceled means that the caller gave up. It gives no information about the
	// service.
	Canceled
)

var names = [...]string{"unknown", "success", "transient", "throttled", "permanent", "canceled"}

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	if int(o) < len(names) {
		return names[o]
	}
	return "invalid"
}

// Spread is the time, after a wait that a service asked for, over which chance
// spreads the callers that waited: a tenth of the wait.
func Spread(asked time.Duration) time.Duration { return asked / 10 }

// Result is the outcome of an attempt and its consequences for the next one.
type Result struct {
	Outcome Outcome
	// RetryAfter is the wait that the service asked for, or zero.
	RetryAfter time.Duration
	// NoRepeat forbids a repetition that the outcome would allow: a missing
	// host name fails again, a streamed body is consumed, a POST without a key
	// may have done its work.
	NoRepeat bool
	// AtOnce means that the connection had ended before the attempt: the first
	// repetition of an operation that is for this reason does not wait.
	AtOnce bool
	// Free means that AtOnce is for every such repetition, up to a bound: there may be
	// more connections of that kind.
	Free bool
	// Stands means that the attempt gives no information about the service: the
	// verdict of the attempt before it stands.
	Stands bool
}
