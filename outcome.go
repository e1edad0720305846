package holdfast

import "github.com/holdfast-go/holdfast/internal/outcome"

// Outcome is the result of one attempt, in the terms of the rules. The zero Outcome
// is Unknown.
type Outcome = outcome.Outcome

const (
	// Unknown shows nothing about the service. It is not repeated and not counted.
	Unknown = outcome.Unknown
	// Success is an answer that the caller can use.
	Success = outcome.Success
	// Transient is a failure of the service or of the connection. It is repeated, and
	// a breaker counts it.
	Transient = outcome.Transient
	// Throttled is a service that asks for fewer calls. It is repeated later, and a
	// breaker does not count it.
	Throttled = outcome.Throttled
	// Permanent is an answer that declines the request. It is not repeated. To a
	// half-open breaker it is a success, since the service is up.
	Permanent = outcome.Permanent
	// Canceled is the caller's own cancellation. It is not repeated and not counted.
	Canceled = outcome.Canceled
)
