package holdfast

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// The kinds of an *Error, for errors.Is. Every failed call returns an *Error of one
// kind. A kind may be part of others: ErrUnavailable is also ErrServer, and ErrServer
// is also ErrConnection.
var (
	// ErrConnection is a failure that may pass: a timeout, a lost connection, a 408 or
	// a 5xx. The next five kinds are part of it.
	ErrConnection error = &sentinel{text: "connection failed", code: CodeUnavailable}
	// ErrTimeout is a limit on this side that was reached. A *TimeoutError names it, unless
	// the limit is one of the system, of a dialler or of a RoundTripper. It is also
	// context.DeadlineExceeded.
	ErrTimeout error = &sentinel{text: "timed out", code: CodeDeadlineExceeded, is: []error{ErrConnection, context.DeadlineExceeded}}
	// ErrServerTimeout is a 408.
	ErrServerTimeout error = &sentinel{text: "server timed out", code: CodeDeadlineExceeded, is: []error{ErrConnection}}
	// ErrServer is any 5xx.
	ErrServer error = &sentinel{text: "server error", code: CodeInternal, is: []error{ErrConnection}}
	// ErrUnavailable is a 502, 503 or 504.
	ErrUnavailable error = &sentinel{text: "service unavailable", code: CodeUnavailable, is: []error{ErrServer}}

	// ErrProxy is a proxy that declined to connect to the service. A *ProxyError has its
	// answer. The breaker does not count it.
	ErrProxy error = &sentinel{text: "declined by a proxy", code: CodeUnavailable, is: []error{ErrConnection}}

	// ErrStatus is an answer that declines the request: a 4xx other than 408, or a
	// redirect that was not followed. A *StatusError has the answer.
	ErrStatus error = &sentinel{text: "declined by the service", code: CodeFailedPrecondition}
	// ErrAuthentication is a 401 or 403.
	ErrAuthentication error = &sentinel{text: "not authorized", code: CodeUnauthenticated, is: []error{ErrStatus}}
	// ErrNotFound is a 404.
	ErrNotFound error = &sentinel{text: "not found", code: CodeNotFound, is: []error{ErrStatus}}
	// ErrInvalidRequest is one of two failures. A 400 or 422 is also ErrStatus. A
	// request that cannot be made is not: nothing was sent.
	ErrInvalidRequest error = &sentinel{text: "invalid request", code: CodeInvalidArgument}
	// ErrRateLimited is one of two failures. A 429 is also ErrStatus and has a
	// *StatusError. The other is ErrCoolingDown.
	ErrRateLimited error = &sentinel{text: "rate limited", code: CodeResourceExhausted}
	// ErrCoolingDown is a call that was not sent, because the service asked to be left
	// alone for longer than the call can wait. A *RejectedError has the end of that time.
	ErrCoolingDown error = &sentinel{text: "cooling down: the service asked to be left alone", code: CodeResourceExhausted, is: []error{ErrRateLimited}}

	// ErrCircuitOpen is a call that the breaker rejected: nothing was sent. A
	// *RejectedError has the time for the next call.
	ErrCircuitOpen error = &sentinel{text: "circuit breaker open: rejecting request", code: CodeUnavailable}
	// ErrPoolTimeout is a saturated client: no permit of the bulkhead or no connection
	// came free in time, or the queue is full. It is also a saturated Router: all its
	// clients for other origins are in use.
	ErrPoolTimeout error = &sentinel{text: "no permit came free in time", code: CodeResourceExhausted}
	// ErrCanceled is the caller's own cancellation. It is also context.Canceled.
	ErrCanceled error = &sentinel{text: "canceled by the caller", code: CodeCanceled, is: []error{context.Canceled}}
	// ErrClosed is a call of a client or a Router that was closed.
	ErrClosed error = &sentinel{text: "client closed", code: CodeUnavailable}
	// ErrBodyTooLarge is an answer longer than Config.MaxResponseBytes, or a line or
	// event of a stream that is longer than Config.MaxEventBytes.
	ErrBodyTooLarge error = &sentinel{text: "response body too large", code: CodeOutOfRange}
	// ErrDecode is an answer that cannot be decoded into the caller's type, or that is not
	// what the caller wants; see Response.Unusable. A *StatusError has its status, its
	// headers and the beginning of its body.
	ErrDecode error = &sentinel{text: "response could not be decoded", code: CodeInternal}

	// ErrContent is an answer that Config.Classify finds unusable. A *StatusError has its
	// status, its headers and the beginning of its body.
	ErrContent error = &sentinel{text: "answer cannot be used", code: CodeInternal}

	// errThrottled and errInvalid are ErrRateLimited and ErrInvalidRequest for an answer.
	errThrottled error = &sentinel{text: "rate limited", code: CodeResourceExhausted, is: []error{ErrRateLimited, ErrStatus}}
	errInvalid   error = &sentinel{text: "invalid request", code: CodeInvalidArgument, is: []error{ErrInvalidRequest, ErrStatus}}
)

// Code is the name of a gRPC status code in lower case. An adapter for gRPC needs no
// table of its own. A Code is never empty.
type Code string

// The codes. Their texts do not change.
const (
	CodeCanceled           Code = "canceled"
	CodeUnknown            Code = "unknown"
	CodeInvalidArgument    Code = "invalid_argument"
	CodeDeadlineExceeded   Code = "deadline_exceeded"
	CodeNotFound           Code = "not_found"
	CodeResourceExhausted  Code = "resource_exhausted"
	CodeFailedPrecondition Code = "failed_precondition"
	CodeOutOfRange         Code = "out_of_range"
	CodeInternal           Code = "internal"
	CodeUnavailable        Code = "unavailable"
	CodeUnauthenticated    Code = "unauthenticated"
	CodePermissionDenied   Code = "permission_denied"
)

// sentinel is a kind of error, and part of the kinds in is.
type sentinel struct {
	text string
	code Code
	is   []error
}

func (s *sentinel) Error() string   { return "holdfast: " + s.text }
func (s *sentinel) Unwrap() []error { return s.is }

// Error is the error of one operation: every failed call returns one. It has every
// attempt and the reason why no other followed. Explain describes it in full.
//
// errors.Is finds its kind, ErrTimeout and the others. errors.As finds its cause, a
// *StatusError, *TimeoutError, *RejectedError, or an error of the standard library.
type Error struct {
	// Name is the name of the client or the policy.
	Name string
	// Method and URL are those of the request, and empty for a policy. The URL has no
	// user, password or query values. It is empty if a Router cannot tell what in it is a
	// password.
	Method, URL string
	// RequestID is the operation's id, the same for all its attempts. It is empty for a
	// policy.
	RequestID string
	// Attempts are the attempts in order. It is empty if nothing was sent.
	Attempts []Attempt
	// Stopped is the reason why there was no further attempt, for people to read.
	Stopped string
	// Reason is the same as a code; see docs/reasons.md.
	Reason Reason
	// Took is the duration of the operation, waits included.
	Took time.Duration
	// Queued is the part of Took that was spent waiting for permits of the bulkhead. It
	// includes a last wait after which no attempt followed.
	Queued time.Duration
	// Allowed is the limit of Took, zero if there was none.
	Allowed time.Duration
	// Err is the cause: the error of the last attempt, or the reason why it was not
	// made.
	Err error

	kind error  // the sentinel; nil for a policy's error that was not classified
	last error  // the last failure before Err, if Err only tells that the time was over
	note string // why the time was over, if Err does not tell it
}

// Attempt is one attempt of an operation that failed.
type Attempt struct {
	Number int // from 1
	// Start is the time at which the attempt started. It is zero if the attempt was not
	// timed. Only the first attempt of a Policy can be untimed, if the policy has no
	// AttemptTimeout, Total, observer, instrument or metrics, and no logger at DEBUG.
	Start time.Time
	// Took is the attempt's duration. It is zero if the attempt was not timed.
	Took    time.Duration
	Outcome Outcome
	Class   Class // what the failure is
	Err     error // the reason for the failure
	Status  int   // of the answer; zero if there was none
	Reused  bool  // the connection was used before
	Probe   bool  // the attempt was a probe of a half-open breaker
	// Sent means that a client's request may have reached the service. It is false only
	// if that is impossible: there was no connection, nothing was written to it, or the
	// service reported that it did not read the request.
	Sent bool
	// RetryAfter is the wait that the service asked for, zero if it did not ask.
	RetryAfter time.Duration
	// RetryAfterFrom is where RetryAfter was read: the name of a header in lower case, such
	// as "retry-after" or "x-ratelimit-reset-tokens", or a field of the body, such as
	// "body: retryDelay". It is "Config.Classify" if that returned the wait, "RetryAfter of
	// the error" for a policy, and empty if RetryAfter is zero.
	RetryAfterFrom string
	// Queued is how long the attempt waited for a permit of the bulkhead before Start. It is
	// no part of Took.
	Queued time.Duration
	// Wait is the wait that followed, and MaxWait the longest wait that the jitter
	// allowed. Both are zero after the last attempt.
	Wait, MaxWait time.Duration
}

// Error returns one line with the call, the kind, the number of attempts, the time and
// the cause. It has no credential and no query value.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("holdfast: ")
	if subject := e.subject(); subject != "" {
		b.WriteString(subject + ": ")
	}
	b.WriteString(e.summary())
	if cause := e.cause(); cause != "" {
		b.WriteString(": " + cause)
	}
	if e.note != "" {
		b.WriteString(" (" + e.note + ")")
	}
	if before := e.before(); before != "" {
		b.WriteString(" (before that: " + before + ")")
	}
	return b.String()
}

// before is the text of the last failure before Err, empty if it says no more than that
// the time was over.
func (e *Error) before() string {
	if e.last == nil || e.last == context.Canceled || e.last == context.DeadlineExceeded || isOver(e.last) {
		return ""
	}
	return text(e.last)
}

// isOver reports whether an attempt's error only tells that the operation's time was over.
func isOver(err error) bool {
	limit, ok := errors.AsType[*TimeoutError](err)
	return ok && (limit.Phase == "deadline" || limit.Phase == "total")
}

// subject is what was called: method and path, or the policy's name.
func (e *Error) subject() string {
	if e.Method == "" {
		return e.Name
	}
	if u, err := url.Parse(e.URL); err == nil && u.Path != "" {
		return e.Method + " " + u.EscapedPath()
	}
	return e.request()
}

// request is "GET https://api.example.com/x", for example.
func (e *Error) request() string { return strings.TrimSpace(e.Method + " " + e.URL) }

// summary is "rate limited after 3 attempts in 4.1s", for example.
func (e *Error) summary() string {
	kind := "failed"
	if s, ok := e.kind.(*sentinel); ok {
		kind = s.text
	}
	if len(e.Attempts) == 0 {
		return kind
	}
	return fmt.Sprintf("%s after %s in %v", kind, plural(len(e.Attempts), "attempt"), rounded(e.Took))
}

// plural is "1 attempt" or "2 attempts", for example.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// cause is the text of Err, empty if it only repeats the kind.
func (e *Error) cause() string {
	if _, rejected := e.Err.(*RejectedError); rejected || e.Err == nil || e.Err == e.kind {
		return ""
	}
	return text(e.Err)
}

// text is an error's text without the URL of net/http's errors: its query may have a
// secret.
func text(err error) string { return wire.WithoutURL(err).Error() }

// Unwrap returns the kind, Err, and the last attempt's error if Err is another error.
func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.kind, e.Err, e.last}, func(err error) bool { return err == nil })
}

// Code returns the error's kind as a gRPC code. It is CodeUnknown for a policy's error
// that was not classified, and CodePermissionDenied for a 403.
func (e *Error) Code() Code {
	kind, ok := e.kind.(*sentinel)
	if !ok {
		return CodeUnknown
	}
	var declined *StatusError
	if kind.code == CodeUnauthenticated && errors.As(e.Err, &declined) && declined.Status == http.StatusForbidden {
		return CodePermissionDenied
	}
	return kind.code
}

// Timeout reports whether a limit on this side ended the operation. With Temporary it
// makes an *Error a net.Error.
func (e *Error) Timeout() bool { return errors.Is(e.kind, ErrTimeout) }

// Temporary reports whether the failure may pass. It is for net.Error; programs call
// errors.Is(err, ErrConnection).
func (e *Error) Temporary() bool { return errors.Is(e.kind, ErrConnection) }

// StatusError is an answer that declines the request: a 4xx, a 5xx, a redirect that was not
// followed, or an answer of any status that Config.Classify finds to be a failure.
type StatusError struct {
	Status int
	Header http.Header
	// Body is the beginning of the answer's body. An Error keeps at most 64 KiB of all its
	// answers, headers included: of the latest first.
	Body []byte
	// Truncated means that the answer's body is longer than Body.
	Truncated bool
	// Problem is the body if it is application/problem+json, and empty otherwise.
	Problem Problem
	// Text is the service's reason, as Config.Classify has found it. It is empty without
	// Classify.
	Text string

	askedFrom string // Attempt.RetryAfterFrom
}

// Problem is the service's own description of a problem (RFC 9457). Each field is the
// text that was sent, at most 4 KiB of it: do not trust it.
type Problem struct {
	Type     string // a URI that names the kind of problem
	Title    string // its kind in a few words
	Detail   string // this occurrence
	Instance string // a URI that names this occurrence
}

// Error returns the status with its name and Text, and not the body, which may repeat the
// request.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("status %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text = fmt.Sprintf("%d %s", e.Status, name)
	}
	switch {
	case e.Text != "":
		return text + ": " + e.Text
	case e.Status < 300:
		return text + ", but its content is a failure"
	}
	return text
}

// size is the number of bytes that the error keeps of the answer.
func (e *StatusError) size() int {
	n := len(e.Body) + len(e.Text) + len(e.Problem.Type) + len(e.Problem.Title) + len(e.Problem.Detail) + len(e.Problem.Instance)
	for name, values := range e.Header {
		n += sizeOf(name, values)
	}
	return n
}

func sizeOf(name string, values []string) int {
	n := len(name)
	for _, value := range values {
		n += len(value)
	}
	return n
}

// cut returns a copy that keeps at most n bytes: the headers that fit, and then the
// beginning of the body.
func (e *StatusError) cut(n int) *StatusError {
	own := &StatusError{Status: e.Status, Header: make(http.Header, len(e.Header))}
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		if size := sizeOf(name, e.Header[name]); size <= n {
			own.Header[name] = e.Header[name]
			n -= size
		}
	}
	own.Body = slices.Clone(e.Body[:min(n, len(e.Body))])
	own.Truncated = e.Truncated || len(own.Body) < len(e.Body)
	if n -= len(own.Body); len(e.Text) <= n {
		own.Text = e.Text
		n -= len(e.Text)
	}
	if e.size()-own.size() <= n {
		own.Problem = e.Problem
	}
	return own
}

// GoString is the text for %#v, also without header and body.
func (e *StatusError) GoString() string {
	return fmt.Sprintf("&holdfast.StatusError{Status:%d}", e.Status)
}

// kindErrors has the error for each kind of the judge.
var kindErrors = [...]error{
	judge.NoKind:         nil,
	judge.Connection:     ErrConnection,
	judge.Timeout:        ErrTimeout,
	judge.ServerTimeout:  ErrServerTimeout,
	judge.Server:         ErrServer,
	judge.Unavailable:    ErrUnavailable,
	judge.Status:         ErrStatus,
	judge.Authentication: ErrAuthentication,
	judge.NotFound:       ErrNotFound,
	judge.InvalidRequest: errInvalid,
	judge.RateLimited:    errThrottled,
	judge.PoolTimeout:    ErrPoolTimeout,
	judge.Canceled:       ErrCanceled,
	judge.Closed:         ErrClosed,
	judge.BodyTooLarge:   ErrBodyTooLarge,
	judge.Mistake:        ErrInvalidRequest,
	judge.Proxy:          ErrProxy,
	judge.Content:        ErrContent,
}

// ProxyError is a proxy that declined to connect to the service. It is in the chain of
// an error that is ErrProxy. Of a transport of WithTransport only net/http's text is known.
type ProxyError struct {
	// Proxy is the proxy's host and port.
	Proxy string
	// Host is the service's host and port.
	Host string
	// Status is the proxy's answer, 407 for missing credentials.
	Status int
	// RetryAfter is the wait that the proxy asked for, zero if it did not ask.
	RetryAfter time.Duration
}

// Error names the proxy, the service and the status.
func (e *ProxyError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the proxy %s declined to connect to %s: %d %s", e.Proxy, e.Host, e.Status, http.StatusText(e.Status)))
}

// TimeoutError is a limit on this side that was reached.
type TimeoutError struct {
	// Phase names the limit. "connect", "write", "read" and "attempt" are limits of one
	// attempt, and so are "first_event" and "event" of a stream. "total" is the limit of the
	// call, and "deadline" is the caller's own.
	// "acquire", below an ErrPoolTimeout, is the limit of the wait for a connection.
	Phase string
	// Limit is the value of the setting, zero for the caller's own deadline.
	Limit time.Duration
	// After is the time that had passed: Limit, and the delay of the timer. It is zero
	// if it was not measured, as for a Policy without limits.
	After time.Duration
}

// Error returns the phase and the limit.
func (e *TimeoutError) Error() string {
	if e.Limit <= 0 {
		return e.Phase + " passed"
	}
	return fmt.Sprintf("%s timeout of %v", e.Phase, rounded(e.Limit))
}

// Unwrap returns context.DeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// Timeout returns true. With Temporary it makes a *TimeoutError a net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary returns true; see Timeout.
func (e *TimeoutError) Temporary() bool { return true }

// RejectedError is a call that was not sent.
type RejectedError struct {
	// Name is the name of the breaker, or of the client or policy in a cooldown.
	Name string
	// RetryAt is the earliest time at which the next call can be sent. If all probes of
	// a half-open breaker are running, it is the time at which the breaker stops waiting
	// for them.
	RetryAt time.Time

	kind  error
	epoch uint64 // of the breaker's opening that this error was made for; zero for none
}

// Error returns the text of the kind.
func (e *RejectedError) Error() string { return e.kind.Error() }

// Unwrap returns ErrCircuitOpen for a breaker, and ErrCoolingDown for a cooldown.
func (e *RejectedError) Unwrap() error { return e.kind }

// limited is an attempt's error together with the limit that caused it.
type limited struct{ limit, err error }

func (l *limited) Error() string {
	if l.err == context.DeadlineExceeded {
		return l.limit.Error()
	}
	return l.limit.Error() + ": " + text(l.err)
}

func (l *limited) Unwrap() []error { return []error{l.limit, l.err} }
