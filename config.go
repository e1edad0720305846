package holdfast

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
)

// Off, given to a setting, switches off what it sets: no retries, no limit, no
// breaker. The comment of each field says whether it can be Off.
const Off = -1

// Config describes a client for one service. A field left zero means its
// documented default, Off means none; New reports every problem at once.
type Config struct {
	// Name is the service's, in errors, events and logs. Default: the host of
	// BaseURL.
	Name string
	// BaseURL is what every path is relative to, "https://api.example.com/v1".
	// Required; http or https.
	BaseURL string
	// Header is sent with every request. A header of the call's own wins.
	Header http.Header
	// Authorize is called before every attempt with the request that is about to
	// be sent, for a token that rotates. Its error ends the operation.
	Authorize func(*http.Request) error

	Timeouts Timeouts
	Pool     Pool
	Retry    Retry // BaseDelay defaults to 1s here
	Breaker  BreakerConfig
	Bulkhead BulkheadConfig

	// RequestIDHeader carries the id of the operation, a UUIDv4 that is the same
	// on all its attempts, so that the service can recognize a repeat. Default
	// X-Request-ID. A value that the caller set stands.
	RequestIDHeader string
	// IdempotencyKey also sends that id as Idempotency-Key.
	IdempotencyKey bool
	// MaxRedirects is how many redirects an attempt follows, within its limits.
	// Default none: a redirect is an answer like any other that is not a success.
	// At most 20. A redirect from https to http is not followed; at another origin
	// than the one that sent it a request has no header but Accept, Content-Type
	// and their like.
	MaxRedirects int
	// MaxResponseBytes is the longest answer that is read into memory, after
	// decompression. Default 32 MiB; Off for no limit. A longer one is
	// ErrBodyTooLarge. Bodies that the caller reads are not bounded.
	MaxResponseBytes int64
	// MaxEventBytes is the longest line or event of a Client.Stream; the stream as
	// a whole is not bounded. Default 8 MiB, since an image in base64 comes in one
	// piece; at most 1 GiB; Off for no limit. A longer one is ErrBodyTooLarge.
	MaxEventBytes int
}

// Format prints the settings for fmt and loggers, with every value of a header
// hidden, and what BaseURL must not have.
func (c Config) Format(f fmt.State, verb rune) {
	type config Config // without this method
	shown := config(c)
	shown.Header = make(http.Header, len(c.Header))
	for name := range c.Header {
		shown.Header[shownName(name)] = []string{"[hidden]"}
	}
	if mayHoldSecret(c.BaseURL) {
		shown.BaseURL = "[hidden]"
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), shown)
}

// Timeouts bound one attempt. Acquire bounds the wait before it, Total the whole
// call. The first three are those of a phase, with
// the meanings of httpx: a *TimeoutError names the one that was reached. The
// defaults are the second seed's ("HttpClientConfig"). Off is no limit.
type Timeouts struct {
	// Connect is the time to open a connection, and again that of its TLS
	// handshake. Default 10s.
	Connect time.Duration
	// Write is the time in which the service has to take a chunk of the request,
	// 32 KiB of its body. Waiting for whoever makes the body does not count.
	// Default 10s.
	Write time.Duration
	// Read is the longest silence of the service: before the headers, and then
	// between two chunks of the body, however long the caller reads it. A caller
	// that takes its time between two reads is not timed. Default: Attempt, or
	// what WithAttemptTimeout says.
	Read time.Duration
	// Acquire bounds the wait before an attempt: for a permit of the bulkhead, and
	// then again for a connection, where all are in use or, over HTTP/2, all their
	// streams. An attempt that gets neither in time is ErrPoolTimeout. Default 5s;
	// Off for no limit.
	Acquire time.Duration
	// Attempt is the longest that one attempt may take, its body included where
	// holdfast reads it; a body that the caller reads ends this limit with the
	// headers, and then Read and Total count. Default 60s.
	Attempt time.Duration
	// Total is the longest that an operation may take, with all its attempts and
	// waits. Default none: the call's context bounds it.
	Total time.Duration
}

// Pool is how many connections a client keeps.
type Pool struct {
	// MaxConns is the most connections to the service at once, over HTTP/2 too,
	// where each carries as many requests as the service allows. Default 50; Off
	// for no limit.
	MaxConns int
	// MaxIdleConns is how many of them are kept while nothing uses them. Default
	// 20; Off for none. A client that is often busier than this opens and closes
	// connections all the time.
	MaxIdleConns int
	// IdleExpiry is how long an idle connection is kept. Default 30s; Off for
	// ever.
	IdleExpiry time.Duration
}

// Retry is how an operation repeats its attempts. It is a value: each operation
// starts afresh with it.
type Retry struct {
	// MaxRetries is how many attempts may follow the first. Default 3, at most
	// 100; Off for none.
	MaxRetries int
	// BaseDelay is the backoff before the first retry; it doubles with each.
	// Default 1s in Config, 500ms in PolicyConfig (the seeds' two defaults); Off
	// for no wait.
	BaseDelay time.Duration
	// MaxDelay caps the backoff. Default 10s (second seed, "Retry
	// Configuration").
	MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a service may ask for: up to it,
	// Retry-After is obeyed in full, above MaxDelay too; a service that asks for
	// more ends the operation, and the error says what it asked. Default 60s; Off
	// ignores Retry-After.
	MaxRetryAfter time.Duration
	// Jitter is how chance spreads the waits. Default Full.
	Jitter Jitter
	// On reports whether an error is worth repeating. The default of a client is
	// DefaultRetryOn; of a policy, every error but the caller's cancellation. An
	// error that On does not match is not repeated, and is Permanent in a policy.
	On func(error) bool
	// Repeat says which requests a client may send again. Default RepeatKeyed. A
	// policy has no use for it.
	Repeat Repeat
}

// DefaultRetryOn is the default of Retry.On in a client: it reports whether err is
// ErrConnection or ErrRateLimited. To repeat more, put it before your own filters:
//
//	On: holdfast.Any(holdfast.DefaultRetryOn, holdfast.Is(holdfast.ErrNotFound))
func DefaultRetryOn(err error) bool {
	return errors.Is(err, ErrConnection) || errors.Is(err, ErrRateLimited)
}

// Jitter is how chance spreads the waits between attempts.
type Jitter = retry.Jitter

const (
	// Full waits anything from nothing to the whole backoff: the default, since
	// it spreads best.
	Full = retry.Full
	// Proportional waits the backoff give or take half of it; a wait may so reach
	// one and a half times MaxDelay.
	Proportional = retry.Proportional
	// Decorrelated waits anything from BaseDelay to three times the last wait, at
	// most MaxDelay.
	Decorrelated = retry.Decorrelated
	// NoJitter waits the backoff itself: for tests, and for a single caller.
	NoJitter = retry.None
)

// Repeat is which requests may be sent again after they may have reached the
// service. What provably never left, and what the service refused to do (429,
// 503 with Retry-After), may be sent again whatever the method.
type Repeat uint8

const (
	// RepeatKeyed repeats every method: POST and PATCH carry the operation's key
	// in RequestIDHeader, by which the service can recognize the second one. If
	// yours does not look at it, choose RepeatSafe.
	RepeatKeyed Repeat = iota
	// RepeatSafe repeats GET, HEAD, OPTIONS, TRACE, PUT and DELETE, whose second
	// time does no more than the first (RFC 9110, 9.2.2), and no others.
	RepeatSafe
	// RepeatNever repeats nothing that may have reached the service.
	RepeatNever
)

// BreakerConfig describes a circuit breaker: so many failures in a row open it,
// then it refuses everything for a while, then a few probes may try.
type BreakerConfig struct {
	// Name is the breaker's in events, logs and refusals. Default "breaker"; in
	// Config, the client's name.
	Name string
	// FailureThreshold is how many operations in a row have to fail. Default 15
	// (second seed, "Circuit Breaker"); Off, in Config, for no breaker.
	FailureThreshold int
	// OpenTimeout is how long it stays open before it lets probes through.
	// Default 60s.
	OpenTimeout time.Duration
	// HalfOpenMaxCalls is how many probes there are at once, and how many have to
	// succeed in a row to close it; one that fails opens it again. Default 3, at
	// most 1000.
	HalfOpenMaxCalls int
	// CountAttempts counts every attempt of an operation as a failure, instead of
	// the operation as one.
	CountAttempts bool
}

// BulkheadConfig describes a bulkhead: a limit on how much runs at once, with a
// bounded queue before it that is served in order.
type BulkheadConfig struct {
	// Name is the bulkhead's in errors. Default "bulkhead"; in Config, the client's
	// name.
	Name string
	// MaxConcurrent is how many run at once. Default 50; in Config,
	// Pool.MaxConns. Off, in Config, for no bulkhead.
	MaxConcurrent int
	// MaxQueue is how many may wait. Default 1000; Off for none. One more gets
	// ErrPoolTimeout at once.
	MaxQueue int
	// MaxWait is how long one may wait. Default 5s; Off for as long as its
	// context lets it. In Config, Timeouts.Acquire is this setting.
	MaxWait time.Duration
}
