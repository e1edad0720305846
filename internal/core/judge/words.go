package judge

import "github.com/holdfast-go/holdfast/internal/outcome"

// Kind is the kind of an attempt's error: each is one of the errors that users
// look for with errors.Is.
type Kind uint8

const (
	// NoKind: an error of the caller's own code that nothing classified.
	NoKind Kind = iota
	// Connection: the connection failed.
	Connection
	// Timeout: a limit of the client or of the caller was reached.
	Timeout
	// ServerTimeout: 408.
	ServerTimeout
	// Server: a 5xx, or higher, without a kind of its own.
	Server
	// Unavailable: 502, 503 or 504.
	Unavailable
	// Status: a redirect that was not followed, or a 4xx without a kind of its own.
	Status
	// Authentication: 401 or 403.
	Authentication
	// NotFound: 404.
	NotFound
	// InvalidRequest: 400 or 422.
	InvalidRequest
	// RateLimited: 429.
	RateLimited
	// PoolTimeout: no connection came free in time.
	PoolTimeout
	// Canceled: the caller canceled.
	Canceled
	// Closed: the client was closed.
	Closed
	// BodyTooLarge: the answer is longer than the client reads.
	BodyTooLarge
	// Mistake: the request cannot be sent as it is.
	Mistake
	// Proxy: a proxy declined to connect to the service.
	Proxy
	// Content: an answer that cannot be used.
	Content
)

// KindOf returns the kind of an answer's status, from 300 on.
func KindOf(status int) Kind {
	switch status {
	case 400, 422:
		return InvalidRequest
	case 401, 403:
		return Authentication
	case 404:
		return NotFound
	case 408:
		return ServerTimeout
	case 429:
		return RateLimited
	case 502, 503, 504:
		return Unavailable
	}
	if status >= 500 {
		return Server
	}
	return Status
}

// KindOfOutcome returns the kind of an error to which a user's Classify gave
// outcome o. See Meaning.Classified.
func KindOfOutcome(o outcome.Outcome) Kind {
	switch o {
	case outcome.Transient:
		return Connection
	case outcome.Throttled:
		return RateLimited
	case outcome.Permanent:
		return Status
	case outcome.Canceled:
		return Canceled
	}
	return NoKind
}

// Why is the reason why an attempt must not be repeated.
type Why uint8

const (
	// May is no reason: the attempt may be repeated.
	May Why = iota
	// MustNot: the end of the attempt, or Retry.Repeat, forbids it.
	MustNot
	// BodyOnce: the request body can be read only once.
	BodyOnce
	// NoKey: a POST or PATCH of an SDK may have been done and carries no key.
	NoKey
	// WouldFailAgain: the same attempt fails again.
	WouldFailAgain
	// NoConnection: no connection came free in time.
	NoConnection
	// ServiceForbids: the service sent x-should-retry: false.
	ServiceForbids
	// UserForbids: Retry.On or Classify said no.
	UserForbids
)

// String explains the reason in a few words, which users read in Error.Stopped. It
// is empty where there is no more to say than that the request must not be
// repeated.
func (w Why) String() string {
	switch w {
	case BodyOnce:
		return "the request body can be read only once"
	case NoKey:
		return "it may have been done, and it carries no key: see RepeatPOST"
	case WouldFailAgain:
		return "the same attempt would fail again"
	case NoConnection:
		return "no connection came free in time"
	}
	return ""
}
