package holdfast

import "github.com/holdfast-go/holdfast/internal/outcome"

// Outcome is what one attempt came to, in the words that the rules understand.
// The zero Outcome is Unknown, which moves nothing.
type Outcome = outcome.Outcome

const (
	// Unknown says nothing about the service: not repeated, not counted.
	Unknown = outcome.Unknown
	// Success is an answer that the caller can use.
	Success = outcome.Success
	// Transient is a failure of the service or of the way to it: repeated, and
	// counted by a breaker.
	Transient = outcome.Transient
	// Throttled is a service asking for patience: repeated later, never counted.
	Throttled = outcome.Throttled
	// Permanent is a service that answered no: not repeated. It proves that the
	// service is up.
	Permanent = outcome.Permanent
	// Canceled is the caller's own wish: not repeated, not counted.
	Canceled = outcome.Canceled
)
