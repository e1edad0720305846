package holdfast

import (
	"net/http"
	"time"
)

// Answer is an answer of the service, as Config.Classify sees it before anything of it is
// handed on. It is valid during the call of Classify.
type Answer struct {
	// Method and Path are those of the request.
	Method, Path string
	// Status, Header and Trailer are those of the answer. Trailer is nil unless Whole or
	// Ended.
	Status          int
	Header, Trailer http.Header
	// Body is the beginning of the body, at most 64 KiB. It is empty for a Stream.
	Body []byte
	// Whole means that Body is the whole body.
	Whole bool

	// Stream means that the answer is a stream: server-sent events, NDJSON or Amazon's
	// event stream. Classify is called for each event, and at the end.
	Stream bool
	// Event is the event. Of NDJSON it is the line, as Data. Of Amazon's event stream Type
	// is the header :event-type, :exception-type or :error-code. At the end it is the last
	// event.
	Event ServerEvent
	// Seen is the number of events before this one; at the end, of all.
	Seen int
	// Ended means that the stream has ended after Event.
	Ended bool
}

// Verdict is what Config.Classify says of an answer. The zero Verdict leaves it to the
// status: below 300 it is a success.
type Verdict struct {
	// Class is the failure. ClassNone is none. ClassOverloaded, ClassServer, ClassLost,
	// ClassTimeout, ClassThrottled, ClassQuota, ClassInProgress, ClassTooEarly,
	// ClassCredential and ClassRequest have what docs/classes.md says; any other is
	// ClassContent.
	Class Class
	// RetryAfter is the wait that the answer asks for. Default: what its headers and its
	// body say, in the forms of docs/http.md.
	RetryAfter time.Duration
	// Text is the service's reason, for the error. It is shown, so it must have no secret.
	Text string
	// More means that an event of a stream decides nothing, such as a ping or an
	// announcement: until one decides, the attempt may still be repeated. It counts for the
	// first 16 events.
	More bool
}
