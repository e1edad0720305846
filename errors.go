package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// The kinds of an *Error, for errors.Is. Each failed call returns an *Error of one
// kind. A kind may include others: ErrUnavailable is also ErrServer, and ErrServer
// is also ErrConnection.
var (
	// ErrConnection is a failure that may pass: a timeout, a lost connection, 408 or
	// 5xx. It includes the four kinds below.
	ErrConnection error = &sentinel{text: "connection failed", code: CodeUnavailable}
	// ErrTimeout is a limit of this side that was reached: a *TimeoutError names it.
	// It is also context.DeadlineExceeded.
	ErrTimeout error = &sentinel{text: "timed out", code: CodeDeadlineExceeded, is: []error{ErrConnection, context.DeadlineExceeded}}
	// ErrServerTimeout is a 408.
	ErrServerTimeout error = &sentinel{text: "server timed out", code: CodeDeadlineExceeded, is: []error{ErrConnection}}
	// ErrServer is any 5xx.
	ErrServer error = &sentinel{text: "server error", code: CodeInternal, is: []error{ErrConnection}}
	// ErrUnavailable is a 502, 503 or 504.
	ErrUnavailable error = &sentinel{text: "service unavailable", code: CodeUnavailable, is: []error{ErrServer}}

	// ErrStatus is an answer that declines the request: a 4xx other than 408, or a
	// redirect that was not followed. A *StatusError in the chain has the answer.
	ErrStatus error = &sentinel{text: "refused by the service", code: CodeFailedPrecondition}
	// ErrAuthentication is a 401 or 403.
	ErrAuthentication error = &sentinel{text: "not authorized", code: CodeUnauthenticated, is: []error{ErrStatus}}
	// ErrNotFound is a 404.
	ErrNotFound error = &sentinel{text: "not found", code: CodeNotFound, is: []error{ErrStatus}}
	// ErrInvalidRequest is a 400 or 422, which is also ErrStatus, or a request that
	// cannot be made: nothing was sent, and it is no ErrStatus.
	ErrInvalidRequest error = &sentinel{text: "invalid request", code: CodeInvalidArgument}
	// ErrRateLimited is a 429, which is also ErrStatus and has a *StatusError, or a
	// call that was not sent because of a cooldown, which is no ErrStatus and has a
	// *RejectedError.
	ErrRateLimited error = &sentinel{text: "rate limited", code: CodeResourceExhausted}

	// ErrCircuitOpen is a call that the breaker rejected: nothing was sent. A
	// *RejectedError has the time at which to call again.
	ErrCircuitOpen error = &sentinel{text: "circuit breaker open: rejecting request", code: CodeUnavailable}
	// ErrPoolTimeout means that this client is saturated: no permit of the bulkhead
	// and no connection came free in time, or its queue is full.
	ErrPoolTimeout error = &sentinel{text: "no permit came free in time", code: CodeResourceExhausted}
	// ErrCanceled is the caller's own cancellation. It is also context.Canceled.
	ErrCanceled error = &sentinel{text: "canceled by the caller", code: CodeCanceled, is: []error{context.Canceled}}
	// ErrClosed is a call of a client that was closed.
	ErrClosed error = &sentinel{text: "client closed", code: CodeUnavailable}
	// ErrBodyTooLarge is an answer longer than Config.MaxResponseBytes, or a line or
	// event of one longer than Config.MaxEventBytes.
	ErrBodyTooLarge error = &sentinel{text: "response body too large", code: CodeOutOfRange}
	// ErrDecode is an answer that cannot be decoded into the type that the caller
	// asked for.
	ErrDecode error = &sentinel{text: "response could not be decoded", code: CodeInternal}

	// errThrottled and errInvalid are ErrRateLimited and ErrInvalidRequest of an
	// answer.
	errThrottled error = &sentinel{text: "rate limited", code: CodeResourceExhausted, is: []error{ErrRateLimited, ErrStatus}}
	errInvalid   error = &sentinel{text: "invalid request", code: CodeInvalidArgument, is: []error{ErrInvalidRequest, ErrStatus}}
)

// Code is an error in the canonical words of gRPC, lower case, with which an
// adapter needs no table of its own. It is never empty.
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

// sentinel is a kind of error that includes others.
type sentinel struct {
	text string
	code Code
	is   []error
}

func (s *sentinel) Error() string   { return "holdfast: " + s.text }
func (s *sentinel) Unwrap() []error { return s.is }

// Error is the failure of one operation: every failed call returns one. It knows
// each attempt and why there was no further one; Explain tells it to a person.
//
// Use errors.Is with ErrTimeout and the others for its kind, errors.As for the
// *StatusError, *TimeoutError, *RejectedError or error of the standard library
// that it was caused by.
type Error struct {
	// Name is the client's or the policy's.
	Name string
	// Method and URL are those of the request, empty for a policy. The URL has
	// neither userinfo nor query values.
	Method, URL string
	// RequestID is the operation's, the same on all its attempts.
	RequestID string
	// Attempts are those that were made, in order; empty if nothing was sent.
	Attempts []Attempt
	// Stopped says why there was no further attempt.
	Stopped string
	// Took is how long the operation lasted, its waits included.
	Took time.Duration
	// Allowed is how long it might have taken, zero if it had no limit.
	Allowed time.Duration
	// Err is the cause: what the last attempt came to, or what kept it from
	// being made.
	Err error

	kind error // the sentinel; nil for a policy's error that nothing classified
	last error // the last attempt's failure, where Err is something that came after it
}

// Attempt is one attempt of an operation that failed.
type Attempt struct {
	Number int       // from 1
	Start  time.Time // when it started
	// Took is how long it was until its answer, or what stood for one, was known.
	// The first attempt of a Policy without AttemptTimeout, Total, observer and a
	// logger at DEBUG is not timed, since reading the clock costs more than all else
	// that is done for a call that succeeds: Took is zero, and Start is when it ended.
	Took    time.Duration
	Outcome Outcome
	Err     error // what went wrong
	Status  int   // of the answer; zero if there was none
	Reused  bool  // it went over a connection that others had used before
	Probe   bool  // it was a half-open breaker's probe
	// Sent means that a client's request may have reached the service. It is false
	// only where that is ruled out: there was no connection, nothing was written to
	// it, or the service said that it did not read the request.
	Sent bool
	// RetryAfter is what the service asked for, zero if it did not ask.
	RetryAfter time.Duration
	// Wait is the wait that followed, MaxWait the most that chance might have
	// made of it. Both are zero after the last attempt.
	Wait, MaxWait time.Duration
}

// Error is one line: what failed, how often and how long, and the cause. It has
// no credential and no query value.
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
	return b.String()
}

// subject is what was called: method and path, or the policy's name.
func (e *Error) subject() string {
	if e.Method == "" {
		return e.Name
	}
	if u, err := url.Parse(e.URL); err == nil && u.Path != "" {
		return e.Method + " " + u.EscapedPath()
	}
	return e.Method + " " + e.URL
}

// summary says what it came to: "rate limited after 3 attempts in 4.1s".
func (e *Error) summary() string {
	what := "failed"
	if s, ok := e.kind.(*sentinel); ok {
		what = s.text
	}
	switch n := len(e.Attempts); n {
	case 0:
		return what
	case 1:
		return fmt.Sprintf("%s after 1 attempt in %v", what, rounded(e.Took))
	default:
		return fmt.Sprintf("%s after %d attempts in %v", what, n, rounded(e.Took))
	}
}

// cause is the text of Err where it says more than the kind does.
func (e *Error) cause() string {
	switch err := e.Err.(type) {
	case nil, *RejectedError:
		return ""
	default:
		if err == e.kind {
			return ""
		}
		return text(err)
	}
}

// text is an error's text without the URL that net/http's own errors carry,
// whose query may hold a secret.
func text(err error) string { return wire.WithoutURL(err).Error() }

// Unwrap gives the kind, the cause, and the last attempt's failure where
// something else ended the operation after it.
func (e *Error) Unwrap() []error {
	chain := make([]error, 0, 3)
	for _, err := range []error{e.kind, e.Err, e.last} {
		if err != nil {
			chain = append(chain, err)
		}
	}
	return chain
}

// Code is the error's kind in canonical words: CodeUnknown for a policy's error
// that was not classified, CodePermissionDenied for a 403.
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

// Timeout reports whether the operation ended by a limit on this side. With
// Temporary it makes an Error a net.Error.
func (e *Error) Timeout() bool { return errors.Is(e.kind, ErrTimeout) }

// Temporary reports whether the failure is one that may pass. It is there for
// net.Error; ask errors.Is(err, ErrConnection) instead.
func (e *Error) Temporary() bool { return errors.Is(e.kind, ErrConnection) }

// StatusError is an answer that was a refusal or a failure: any 4xx and 5xx, and
// a redirect that was not followed.
type StatusError struct {
	Status int
	Header http.Header
	// Body is the beginning of the answer's body, at most 64 KiB of it.
	Body []byte
	// Problem is what the service says of it as application/problem+json, empty
	// if it does not.
	Problem Problem
}

// Problem is a refusal explained by the service (RFC 9457). Each field is as it
// was sent, at most 4 KiB of it: treat it as a stranger's text.
type Problem struct {
	Type     string // a URI that names the kind of problem
	Title    string // its kind in a few words
	Detail   string // this occurrence
	Instance string // a URI that names this occurrence
}

// Error gives the status and its name. The body stays out of it: it may repeat
// what was sent.
func (e *StatusError) Error() string {
	if name := http.StatusText(e.Status); name != "" {
		return fmt.Sprintf("%d %s", e.Status, name)
	}
	return fmt.Sprintf("status %d", e.Status)
}

// GoString, which %#v prints, leaves header and body out as well.
func (e *StatusError) GoString() string {
	return fmt.Sprintf("&holdfast.StatusError{Status:%d}", e.Status)
}

// kindErrors are the errors of the judge's kinds.
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
}

// TimeoutError is a limit on this side that was reached.
type TimeoutError struct {
	// Phase names the limit. "connect", "write", "read" and "attempt" are limits of
	// one attempt, "total" is the call's, "deadline" the caller's own. "acquire",
	// below an ErrPoolTimeout, means that the attempt got no connection.
	Phase string
	// Limit is what it was set to, zero for the caller's own.
	Limit time.Duration
	// After is how long what it limits had taken: the limit, and what the timer
	// was late. Zero where nobody timed it, as for a Policy without limits.
	After time.Duration
}

// Error names the phase and the limit.
func (e *TimeoutError) Error() string {
	if e.Limit <= 0 {
		return e.Phase + " passed"
	}
	return fmt.Sprintf("%s timeout of %v", e.Phase, rounded(e.Limit))
}

// Unwrap makes every TimeoutError a context.DeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// Timeout is true: with Temporary it makes a TimeoutError a net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is true; see Timeout.
func (e *TimeoutError) Temporary() bool { return true }

// RejectedError is a call that was not let through: nothing was sent.
type RejectedError struct {
	// Name is the breaker's, or the client's that is holding back.
	Name string
	// RetryAt is when asking again makes sense. A half-open breaker whose probes
	// are all out names the instant at which it will not wait for them any longer.
	RetryAt time.Time

	kind  error
	epoch uint64 // of the opening that this refusal was prepared for; zero for none
}

// Error is the text of what refused.
func (e *RejectedError) Error() string { return e.kind.Error() }

// Unwrap gives ErrCircuitOpen for a breaker, ErrRateLimited for a silence that
// the service had asked for.
func (e *RejectedError) Unwrap() error { return e.kind }
