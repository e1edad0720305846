package holdfast

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
)

// Off is the value of a setting that means none, or no limit: no retries, no time
// limit, no breaker. The comment of each field says whether it can be Off.
const Off = -1

// Config describes a client for one service. A zero field means its default. A
// number or a duration is positive, or Off where its comment says so; no duration
// is longer than 365 days. New reports every problem at once.
//
// The defaults of Config and of its parts are those of requirement B2b in
// docs/requirements.md. Where B2b has no default, the comment names another source, or
// the default is holdfast's own.
type Config struct {
	// Name is the service's name in errors, events and logs. Default: the host of
	// BaseURL.
	Name string
	// BaseURL is the address that every path is relative to, as
	// "https://api.example.com/v1". Required; http or https, without a user, a query
	// or a fragment.
	BaseURL string
	// Header is sent with every request. A header of the call itself wins. It must not have
	// RequestIDHeader, X-Request-ID or Idempotency-Key: all calls would have one id.
	Header http.Header
	// Authorize is called before every attempt with the request that is about to
	// be sent, for a token that rotates, and once more in a call after a 401: see
	// Declined. Its error ends the call. The limits of the attempt end the call too if it
	// has not returned by then. It is called in a goroutine of its own.
	Authorize func(*http.Request) error

	// Classify is called for every answer before anything of it is handed on, and says
	// whether it is a failure whatever its status, such as an error within a 200. Package
	// dialect has it for well-known services. Client.Do and the SDK transport read up to
	// 64 KiB of a body for it, for half a second at most, or the first event of a stream,
	// and hand it on with the rest. It is called for later events of a stream, too: a
	// failure then ends the stream. Many goroutines call it at once. Default: none, so that the
	// status decides.
	Classify func(*Answer) Verdict
	// Scope names the part of the service that a call belongs to, such as the model that
	// it asks. Each scope has a breaker and a cooldown of its own; at most 128 are kept. It
	// is called once for each call, with a request that must not be changed. GetBody, if it
	// is not nil, gives the body. ScopeModel, ScopePath and ScopeHeader are such functions.
	// Default: none, so one breaker for the client, and cooldowns as docs/http.md says.
	Scope func(*http.Request) string

	Timeouts Timeouts
	Pool     Pool
	Retry    Retry
	Breaker  BreakerConfig
	Bulkhead BulkheadConfig

	// Proxy is the address of a proxy, as "http://proxy.example.com:3128"; http, https or
	// socks5, without a user. "none" is for no proxy. Default: that of the environment
	// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), which may have a user and a password.
	Proxy string
	// UnencryptedHTTP2 speaks HTTP/2 over http:// from the first byte on, and no HTTP/1.1
	// (RFC 9113, 3.3). Over https:// the two sides choose HTTP/2 themselves.
	UnencryptedHTTP2 bool

	// RequestIDHeader is the header that carries the call's id: a UUIDv4, the same
	// on all its attempts, by which the service can recognize a repeat. A value that
	// the caller sets stands. Logs show the id, so the header must not be one for
	// credentials, such as Authorization or X-Api-Key. Default X-Request-ID (requirement A4).
	RequestIDHeader string
	// CheckRequestID wants the id in the same header of each answer, for a service that
	// sends it back. An answer with another id or none belongs to another request: its
	// connection is closed, and the attempt is lost (ErrConnection). Over HTTP/1.1 a service
	// that sends more than it announces mixes answers up (SECURITY.md). An answer of something in
	// between, such as a 503 of a load balancer, has no id and is lost too. Default false.
	CheckRequestID bool
	// IdempotencyKey also sends the id as Idempotency-Key.
	IdempotencyKey bool
	// MaxRedirects is the number of redirects that an attempt follows, at most 20.
	// Its limits include them. Default none: a redirect is then an ErrStatus. A
	// redirect from https to http is not followed. A redirect to another origin
	// takes Accept, Content-Type and the like along, and no other header.
	MaxRedirects int
	// AllowPrivateRedirects follows a redirect from a public origin to a private, loopback
	// or link-local address, too. Default: such a redirect is an ErrStatus, so that a
	// service cannot make the client call the network that it runs in. docs/http.md says
	// what is checked. A BaseURL that is itself private may redirect anywhere.
	AllowPrivateRedirects bool
	// MaxResponseBytes is the longest answer that is read into memory, after
	// decompression. A longer one is ErrBodyTooLarge. Bodies that the caller reads
	// are not bounded. Default 32 MiB; Off for no limit.
	MaxResponseBytes int64
	// MaxEventBytes is the longest line or event of a Client.Stream, at most 1 GiB.
	// A longer one is ErrBodyTooLarge, and so are more bytes before the first line or
	// event: comments, white space, and events of which Classify says More. With
	// Timeouts.FirstEvent, both hold for the first event in Client.Do and the SDK
	// transport, too. The stream as a whole is not bounded. Default 8 MiB, which an image
	// in base64 fits into; Off for no limit.
	MaxEventBytes int
}

// Format prints the settings for fmt and loggers. It hides the values of headers,
// and a BaseURL or a Proxy that may hold a password or a key.
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
	if mayHoldSecret(c.Proxy) {
		shown.Proxy = "[hidden]"
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), shown)
}

// Timeouts bound one attempt. Acquire bounds the wait before it, Total the whole
// call. A limit that is reached is ErrTimeout, with a *TimeoutError that names it.
type Timeouts struct {
	// Connect bounds opening a connection, and again its TLS handshake. Default 10s;
	// Off for no limit.
	Connect time.Duration
	// Write bounds sending one chunk of the request, 32 KiB of its body. Time that
	// the body's reader takes does not count. Default 10s; Off for no limit.
	Write time.Duration
	// Read bounds the wait for the headers of the answer, and then for each chunk of
	// its body. Time that the caller takes between two reads does not count.
	// Default: Attempt, or the call's WithAttemptTimeout; Off for no limit.
	Read time.Duration
	// Acquire bounds the wait for a permit of the bulkhead, and then again for a
	// connection, where all are in use or, over HTTP/2, all their streams. A wait
	// that is longer is ErrPoolTimeout, not ErrTimeout. Default 5s; Off for no limit.
	Acquire time.Duration
	// Attempt bounds one attempt, with the body of its answer where holdfast reads
	// that. Where the caller reads the body, the limit ends with the headers, and
	// Read and Total remain. Default 60s; Off for no limit.
	Attempt time.Duration
	// FirstEvent bounds the time from the start of an attempt to the first event of a
	// stream that is content: comments do not count, and neither do events of which
	// Classify says More. Default: Attempt, in Client.Stream. Client.Do and the SDK
	// transport wait for it only if it is set.
	FirstEvent time.Duration
	// Event bounds the wait for the next event of a stream. Comments do not count, and
	// neither do events of which Classify says More. Time that the caller takes between
	// two reads does not count. Default none.
	Event time.Duration
	// Total bounds the call, with all its attempts and waits. Default none: the
	// call's context bounds it.
	Total time.Duration
}

// Pool bounds the connections of a client.
type Pool struct {
	// MaxConns is the largest number of connections at once. It holds over HTTP/2
	// too, where a connection carries as many requests as the service allows.
	// Default 50, at most 1048576; Off for no limit.
	MaxConns int
	// MaxIdleConns is the number of connections that are kept while idle. A client
	// that often uses more opens and closes connections all the time. Default 20,
	// at most 1048576; Off for none.
	MaxIdleConns int
	// IdleExpiry is how long an idle connection is kept. Default 30s; Off for no
	// limit.
	IdleExpiry time.Duration
	// MaxAge is how long a connection is used: the request that finds it older is its
	// last one. So a client that is never idle follows a name that moves. Over HTTP/2 a
	// connection that is never idle is replaced only if MaxConns leaves room for another.
	// Each connection gets between 90 % and all of it. Default 5m; Off for no limit.
	MaxAge time.Duration
}

// Retry describes how a call repeats its attempts.
type Retry struct {
	// MaxRetries is the number of attempts that may follow the first. Default 3, at
	// most 100; Off for none.
	MaxRetries int
	// BaseDelay is the backoff before the first retry. It doubles with each retry.
	// Default 1s in Config, 500ms in PolicyConfig (requirement B7); Off for no wait.
	BaseDelay time.Duration
	// MaxDelay is the longest backoff, at least BaseDelay. Default 10s, or BaseDelay
	// if that is longer.
	MaxDelay time.Duration
	// MaxRetryAfter is the longest wait that a call makes because a service asks for it. A
	// Retry-After up to it is obeyed, above MaxDelay too. A longer one ends the call, and
	// calls that start before its end fail with ErrCoolingDown. Default 60s; Off ignores
	// Retry-After.
	MaxRetryAfter time.Duration
	// MaxCooldown is the longest cooldown: the time for which no call is sent because the
	// service asked to be left alone. So a service that asks for years stops its callers
	// for no longer than this. Default 10m; Off for no limit.
	MaxCooldown time.Duration
	// Jitter spreads the backoff by chance. Default Full (requirement A5).
	Jitter Jitter
	// Throttled is the schedule after an attempt that the service throttled, as with a
	// 429. Its retries are counted beside MaxRetries. Default: the same schedule as for
	// other failures. Three retries within a few seconds do not outlast a limit per minute
	// that is told without a wait: for such a service set MaxRetries to 6.
	Throttled Schedule
	// On reports whether an error is worth repeating. The default of a client is
	// DefaultRetryOn; of a policy, every error but the caller's cancellation. An error
	// that On does not match is not repeated, and is Permanent in a policy. A client's
	// error has its kind, such as ErrServer. A policy's error is that of the function,
	// and a time limit is context.DeadlineExceeded.
	On func(error) bool
	// Repeat selects the requests that a client may send again. Default
	// RepeatKeyed. It has no effect in a policy.
	Repeat Repeat
	// Nested decides what the SDK transport does with a call that the SDK repeats itself.
	// Default Yield. It has no effect elsewhere.
	Nested Nested
}

// Schedule is a schedule of retries. Each wait is between half the backoff and the whole.
// Without MaxRetries the delays have no effect.
type Schedule struct {
	// MaxRetries is the number of retries, at most 100. Default: 0, so that there is no
	// such schedule.
	MaxRetries int
	// BaseDelay is the backoff before the first retry. It doubles with each. Default: 5s
	// if MaxRetries is set.
	BaseDelay time.Duration
	// MaxDelay is the longest backoff, at least BaseDelay. Default: 60s if MaxRetries is
	// set, or BaseDelay if that is longer.
	MaxDelay time.Duration
}

// Nested decides what the SDK transport does with a call that the SDK repeats itself, which
// it tells in a header: X-Stainless-Retry-Count, Amz-Sdk-Request or
// Grpc-Previous-Rpc-Attempts.
type Nested uint8

const (
	// Yield makes one attempt for such a call, so that the two loops do not multiply.
	Yield Nested = iota
	// Multiply retries it as any other call.
	Multiply
)

// DefaultRetryOn is the default of Retry.On in a client: it reports whether err is
// ErrConnection or ErrRateLimited. To repeat more, combine it with your own filters:
//
//	On: holdfast.Any(holdfast.DefaultRetryOn, holdfast.Is(holdfast.ErrNotFound))
//
// Do not use it in a policy: a function's own errors are none of these kinds.
func DefaultRetryOn(err error) bool {
	return errors.Is(err, ErrConnection) || errors.Is(err, ErrRateLimited)
}

// Is returns a filter for Retry.On that matches errors that are target.
func Is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// As returns a filter for Retry.On that matches errors with a T in their chain.
func As[T error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[T](err)
		return ok
	}
}

// Any returns a filter for Retry.On that matches errors that one of filters matches.
func Any(filters ...func(error) bool) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(filters, func(matches func(error) bool) bool { return matches(err) })
	}
}

// Jitter is a random spread of the waits between attempts.
type Jitter = retry.Jitter

const (
	// Full waits between zero and the backoff. It is the default, since it spreads
	// best.
	Full = retry.Full
	// Proportional waits between half the backoff and one and a half times the
	// backoff. A wait can be one and a half times MaxDelay.
	Proportional = retry.Proportional
	// Decorrelated waits between BaseDelay and three times the previous wait, at most
	// MaxDelay.
	Decorrelated = retry.Decorrelated
	// NoJitter waits exactly the backoff. It is for tests and for a single caller.
	NoJitter = retry.None
)

// Repeat selects the requests that may be sent again after they may have reached
// the service. Two kinds of request may always be sent again: one that provably
// never left, and one that the service declined (429, or 503 with Retry-After).
type Repeat uint8

const (
	// RepeatKeyed repeats every method. POST and PATCH carry the call's id in
	// RequestIDHeader, by which the service can recognize a repeat. Choose RepeatSafe
	// for a service that does not look at it.
	RepeatKeyed Repeat = iota
	// RepeatSafe repeats GET, HEAD, OPTIONS, TRACE, PUT and DELETE, which may be
	// sent twice (RFC 9110, 9.2.2), and no other method.
	RepeatSafe
	// RepeatNever repeats nothing that may have reached the service.
	RepeatNever
)

// BreakerConfig describes a circuit breaker. A number of failures in a row opens
// it. While it is open it rejects every call. Then it admits a few probes, and
// closes if they succeed.
type BreakerConfig struct {
	// Name is the breaker's name in events, logs and errors. Default: the client's
	// name in Config, else "breaker".
	Name string
	// FailureThreshold is the number of calls that have to fail in a row to open the
	// breaker. Default 15. Off is for no breaker, in Config only.
	FailureThreshold int
	// OpenTimeout is how long the breaker stays open before it admits probes.
	// Default 60s.
	OpenTimeout time.Duration
	// HalfOpenMaxCalls is the number of probes at once. The same number has to succeed
	// in a row to close the breaker. One that fails opens it again. Default 3, at most
	// 1000.
	HalfOpenMaxCalls int
	// CountAttempts counts each failed attempt. By default, a failed call counts
	// once (requirement A6).
	CountAttempts bool
}

// BulkheadConfig describes a bulkhead: a limit on the number of calls that run at
// once, with a bounded queue that is served in order.
type BulkheadConfig struct {
	// Name is the bulkhead's name in errors. Default: the client's name in Config,
	// else "bulkhead".
	Name string
	// MaxConcurrent is the number of permits: of attempts, or functions, that run at
	// once. Default: Pool.MaxConns in Config, else 50. Off is for no bulkhead, in
	// Config only.
	MaxConcurrent int
	// MaxQueue is the number of calls that may wait for a permit. One more is
	// ErrPoolTimeout at once. Default 1000, at most 1048576; Off for none. In Config,
	// the same number of calls may wait for the end of a cooldown; one more is
	// ErrCoolingDown at once.
	MaxQueue int
	// MaxStreams is the number of streams beside the permits: a stream gives its permit back
	// with its beginning, as long as there are not more. An answer to Client.Stream is a
	// stream, and so is an event stream or NDJSON through Client.Do or the SDK transport.
	// Its connection does not count for Pool.MaxConns. Default: ten times MaxConcurrent; Off
	// for none, so that each stream keeps its permit. It has no effect in NewBulkhead.
	MaxStreams int
	// MaxWait bounds the wait for a permit. A longer one is ErrPoolTimeout. Default
	// 5s; Off for no limit. In Config it must be zero: there, set Timeouts.Acquire.
	MaxWait time.Duration
}
