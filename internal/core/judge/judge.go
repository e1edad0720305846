// Package judge decides what the end of an attempt means: its outcome, the kind
// of its error, whether the attempt may be repeated, and the wait that the service
// asks for. It is pure: facts and rules in, a meaning out.
//
// The caller gathers facts in the order in which they become known, and may judge
// again with more of them: at the headers of an answer, and when the round trip
// has ended. A later meaning replaces an earlier one.
package judge

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Ending is the way in which an attempt ended.
type Ending uint8

const (
	// Answered: the service answered with Facts.Status.
	Answered Ending = iota
	// NoAnswer: no answer arrived, or it broke off.
	NoAnswer
	// NotMade: the caller's own code, such as Authorize, returned an error before the
	// request was sent.
	NotMade
	// SourceFailed: reading the request's own body failed.
	SourceFailed
	// Misled: the answer was a redirect that must not be followed.
	Misled
	// TooLong: the answer was longer than the client reads.
	TooLong
	// Returned: a policy's function returned an error.
	Returned
	// Mistaken: the request cannot be sent as it is. Its headers, its method or its URL
	// are invalid, or its body does not have the length that it announces.
	Mistaken
	// ProxyDeclined: a proxy declined to connect to the service with Facts.Status.
	ProxyDeclined
)

// Failure is the class of the transport's error. It counts for NoAnswer only, and
// is Lost for an answer that broke off: the connection was made by then.
type Failure uint8

const (
	// Lost: the connection was refused, reset, closed or garbled.
	Lost Failure = iota
	// ConnectTimeout: the dial or the TLS handshake reached its own limit.
	ConnectTimeout
	// FailsAgain: the same attempt fails again. There is no such host, the
	// certificate is not valid, or the protocols do not match.
	FailsAgain
	// TimedOut: a limit that is not the client's was reached: of the system, of a
	// dialler, or of another RoundTripper.
	TimedOut
	// Unread: the service has said that it did not read the request, without asking for
	// fewer (RFC 9113, 8.7): a GOAWAY before a restart, for example.
	Unread
)

// Limit is the client's or the caller's limit that ended an attempt.
type Limit uint8

const (
	// NoLimit: no limit ended the attempt.
	NoLimit Limit = iota
	// AcquireLimit bounds the wait for a connection.
	AcquireLimit
	// PhaseLimit bounds connecting, writing or reading.
	PhaseLimit
	// AttemptLimit bounds the attempt.
	AttemptLimit
	// OperationLimit bounds the operation: Timeouts.Total or the caller's deadline.
	OperationLimit
)

// Cancel is the party that canceled the operation.
type Cancel uint8

const (
	// NotCanceled: the operation was not canceled. A deadline that passed is a
	// Limit and no cancellation.
	NotCanceled Cancel = iota
	// ByCaller: the caller canceled its context.
	ByCaller
	// ByClose: the client was closed.
	ByClose
)

// Body is the state of the request's body: whether it can be sent again.
type Body uint8

const (
	// Repeatable: there is no body, each attempt gets one of its own, or all of a
	// shared one is kept.
	Repeatable Body = iota
	// Shared: the attempts share one body, and this attempt may still read it. It
	// can be sent again once the round trip has ended.
	Shared
	// Gone: the body's beginning is lost.
	Gone
)

// Advice is the value of the header x-should-retry.
type Advice uint8

const (
	// NoAdvice: the header is absent, or neither true nor false.
	NoAdvice Advice = iota
	// RetryIt: the header is true. The request is worth repeating, whatever its status, and
	// was not done.
	RetryIt
	// DoNotRetry: the header is false.
	DoNotRetry
)

// Facts are what is known of an attempt.
type Facts struct {
	Ending   Ending
	Failure  Failure
	Limit    Limit
	Canceled Cancel
	Body     Body
	Advice   Advice

	Sent        bool // the request may have reached the service; an answer implies it
	Reused      bool // its connection was from the pool: others had used it before
	Silent      bool // no byte of an answer arrived
	Ended       bool // the round trip has ended, so that no part of it reads the body
	Upgrade     bool // the caller asked for another protocol
	Transport   bool // the request came through the SDK transport
	Keyed       bool // its caller gave it a key, by which the service recognizes a repeat
	Redirected  bool // the attempt followed a redirect
	CrossOrigin bool // a redirect led to another origin
	Begun       bool // the caller has received a part of the answer's body

	Told      bool // the answer tells a wait, also one of zero
	KeyInUse  bool // an earlier attempt with the same key may have been read
	Misplaced bool // an earlier attempt was answered with 421 or 425
	Quota     bool // the answer says that money or a day's quota is gone
	NewToken  bool // Authorize has another credential than the one that was declined

	Verdict Class // of Config.Classify on an answer; ClassNone leaves it to the status

	Method     string        // of the caller's request, before any redirect
	Status     int           // of the answer; zero if there was none
	RetryAfter time.Duration // the wait that the answer or a policy's error asks for; zero if it asks for none
}

// Repeat selects the requests that may be sent again after they may have reached
// the service.
type Repeat uint8

const (
	// RepeatKeyed repeats every method.
	RepeatKeyed Repeat = iota
	// RepeatSafe repeats idempotent methods (RFC 9110, 9.2.2).
	RepeatSafe
	// RepeatNever repeats no request that may have reached the service.
	RepeatNever
)

// Rules are the settings that a meaning depends on.
type Rules struct {
	Repeat        Repeat
	MaxRetryAfter time.Duration // zero: the waits that services ask for are ignored, and start no cooldown
}

// Meaning is what an attempt's end means.
type Meaning struct {
	Outcome outcome.Outcome
	Kind    Kind // of the error
	Why     Why  // the attempt must not be repeated; May if it may be
	// AskUser: Retry.On or Classify has a say, since the status decides alone. See Filtered
	// and Classified.
	AskUser bool
	// Cooldown: RetryAfter applies to the other operations, too.
	Cooldown bool
	// Stands: the attempt says nothing about the service, so the verdict of the
	// attempt before it stands.
	Stands bool
	// AtOnce: the request is sent again without a wait, once: the connection from the pool
	// had ended, or was about to. Of the first the service knows nothing, and it Stands.
	AtOnce bool
	// Retire: what is pooled and as old may have ended too.
	Retire     bool
	RetryAfter time.Duration // the wait that the service asks for; zero if it asks for none
}

// Judge returns the meaning of f under r.
func Judge(f Facts, r Rules) Meaning {
	switch f.Ending {
	case Answered:
		return answered(&f, &r)
	case NoAnswer:
		return noAnswer(&f, &r)
	case Misled:
		return Meaning{Outcome: outcome.Permanent, Kind: Status, Why: MustNot}
	case TooLong:
		return Meaning{Outcome: outcome.Permanent, Kind: BodyTooLarge, Why: MustNot}
	case Returned:
		return returned(&f)
	case Mistaken:
		return Meaning{Outcome: outcome.Unknown, Kind: Mistake, Why: MustNot}
	case ProxyDeclined:
		return proxyDeclined(&f, &r)
	default: // NotMade, SourceFailed: the caller's own failure, not the service's
		return Meaning{Outcome: outcome.Unknown, Why: MustNot}
	}
}

// answered judges an answer by its status. Limits and cancellations do not count:
// the answer arrived before them.
func answered(f *Facts, r *Rules) Meaning {
	switch {
	case f.Status == 101 && !f.Upgrade: // reading its body would wait beyond every limit
		return noAnswer(f, r)
	case f.Verdict != ClassNone:
		return answeredAs(f, r)
	case f.Status < 300, f.Status == 304:
		return Meaning{Outcome: outcome.Success}
	}
	m := Meaning{Outcome: outcome.Permanent, Kind: KindOf(f.Status), RetryAfter: f.RetryAfter, AskUser: true}
	declined := false // the service did not do what the request asks for
	switch {
	case f.Quota && f.Status < 500:
		return Meaning{Outcome: outcome.Throttled, Kind: RateLimited, Why: WouldFailAgain, AskUser: true}
	case f.Status == 429, f.RetryAfter > 0 && (f.Status == 400 || f.Status == 401 || f.Status == 403): // a rate limit in other words
		m.Outcome, m.Kind, declined = outcome.Throttled, RateLimited, true
		m.Cooldown = coolsDown(f, r)
	case f.Status == 401 && f.NewToken, (f.Status == 421 || f.Status == 425) && !f.Misplaced:
		m.Outcome, m.AskUser, m.AtOnce, m.Stands, declined = outcome.Transient, false, true, true, true
	case f.Status == 409 && f.KeyInUse: // by the operation itself
		m.Outcome, m.AskUser, m.Stands, declined = outcome.Transient, false, true, true
	case f.Status == 501, f.Status == 505: // the same request fails again
		m.AskUser = false
	case f.Status == 408, f.Status >= 500:
		m.Outcome = outcome.Transient
		if f.Status == 503 || f.Status == 529 {
			declined, m.Cooldown = f.Told || f.RetryAfter > 0, coolsDown(f, r)
		}
	}
	return m.advised(f, r, declined)
}

// answeredAs judges an answer of which Config.Classify says what failure it is.
func answeredAs(f *Facts, r *Rules) Meaning {
	m := Meaning{Outcome: outcome.Transient, RetryAfter: f.RetryAfter, AskUser: true}
	declined := false // the service did not do what the request asks for
	switch f.Verdict {
	case ClassOverloaded:
		m.Kind, declined, m.Cooldown = Unavailable, f.Told || f.RetryAfter > 0, coolsDown(f, r)
	case ClassServer:
		m.Kind = Server
	case ClassLost:
		m.Kind = Connection
	case ClassTimeout:
		m.Kind = ServerTimeout
	case ClassThrottled:
		m.Outcome, m.Kind, declined, m.Cooldown = outcome.Throttled, RateLimited, true, coolsDown(f, r)
	case ClassQuota:
		return Meaning{Outcome: outcome.Throttled, Kind: RateLimited, Why: WouldFailAgain, AskUser: true}
	case ClassInProgress:
		m.Kind, m.AskUser, m.Stands, declined = Status, false, true, true
	case ClassTooEarly:
		m.Kind = Status
		if m.Outcome = outcome.Permanent; !f.Misplaced {
			m.Outcome, m.AskUser, m.AtOnce, m.Stands, declined = outcome.Transient, false, true, true, true
		}
	case ClassCredential:
		m.Kind = Authentication
		if m.Outcome = outcome.Permanent; f.NewToken {
			m.Outcome, m.AskUser, m.AtOnce, m.Stands, declined = outcome.Transient, false, true, true, true
		}
	case ClassRequest:
		m.Outcome, m.Kind = outcome.Permanent, InvalidRequest
	default: // ClassContent: of the service it says nothing
		return Meaning{Outcome: outcome.Unknown, Kind: Content, Why: MustNot}
	}
	return m.advised(f, r, declined)
}

// advised returns m, the meaning of an answer, after x-should-retry, and with the reason
// why the request must not be repeated. declined: the service did not do what it asks for.
func (m Meaning) advised(f *Facts, r *Rules, declined bool) Meaning {
	if f.Advice == RetryIt && m.Outcome == outcome.Permanent && f.Status >= 400 { // the service knows better than its status
		m.Outcome, m.AskUser, m.Stands, declined = outcome.Transient, false, true, true
	}
	// A redirect may come from a service that did its part.
	m.Why = mayRepeat(f, r, !declined || f.Redirected)
	if m.Why == May && f.Advice == DoNotRetry {
		m.Why = ServiceForbids
	}
	return m
}

// coolsDown reports whether the wait that an answer asks for concerns other operations.
// Another origin's does not.
func coolsDown(f *Facts, r *Rules) bool {
	return f.RetryAfter > 0 && r.MaxRetryAfter > 0 && !f.CrossOrigin
}

// noAnswer judges a cancellation, a limit or a failure of the connection, in this
// order: each hides those after it.
func noAnswer(f *Facts, r *Rules) Meaning {
	m := Meaning{Outcome: outcome.Transient, Kind: Connection, AskUser: true}
	switch {
	case f.Canceled == ByCaller:
		return Meaning{Outcome: outcome.Canceled, Kind: Canceled, Why: MustNot}
	case f.Canceled == ByClose:
		return Meaning{Outcome: outcome.Canceled, Kind: Closed, Why: MustNot}
	case f.Limit == AcquireLimit: // the client is saturated, of which the service knows nothing
		return Meaning{Outcome: outcome.Unknown, Kind: PoolTimeout, Why: NoConnection, Stands: true}
	case f.Limit == OperationLimit && f.Begun: // the service answers: only the caller's time is over
		return Meaning{Outcome: outcome.Unknown, Kind: Timeout, Why: MustNot}
	case f.Limit != NoLimit, f.Failure == ConnectTimeout, f.Failure == TimedOut:
		m.Kind, m.Retire = Timeout, f.Reused && f.Silent
	case f.Failure == FailsAgain:
		m.Why = WouldFailAgain
		return m
	case f.Reused && f.Silent: // of the service this says nothing
		m.AtOnce, m.Retire, m.Stands = true, true, true
	case f.Failure == Unread:
		m.AtOnce = true
	}
	m.Why = mayRepeat(f, r, f.Sent || f.Redirected)
	return m
}

// proxyDeclined judges the answer of a proxy that does not connect. It says nothing about the service.
func proxyDeclined(f *Facts, r *Rules) Meaning {
	m := Meaning{Outcome: outcome.Transient, Kind: Proxy, Why: WouldFailAgain, RetryAfter: f.RetryAfter, Stands: true, AskUser: true}
	if f.Status == 429 || f.Status >= 500 {
		m.Why = mayRepeat(f, r, false)
	}
	return m
}

// returned judges the error of a policy's function. A limit that was reached is
// Transient even if the user disagrees, or a service that hangs goes unnoticed.
func returned(f *Facts) Meaning {
	m := Meaning{Outcome: outcome.Transient, RetryAfter: f.RetryAfter, AskUser: true}
	switch {
	case f.Canceled != NotCanceled:
		m.Outcome, m.Kind, m.Why, m.AskUser = outcome.Canceled, Canceled, MustNot, false
	case f.Limit != NoLimit:
		m.Kind = Timeout
	}
	return m
}

// mayRepeat returns the reason why the request must not be sent again, or May.
// mayBeDone: the service may have done what the request asks for.
func mayRepeat(f *Facts, r *Rules, mayBeDone bool) Why {
	switch {
	case f.Body == Gone, f.Body == Shared && !f.Ended:
		return BodyOnce
	case !mayBeDone, r.Repeat == RepeatKeyed:
		return May
	case r.Repeat == RepeatNever:
		return MustNot
	case Idempotent(f.Method):
		return May
	case f.Transport && !f.Keyed:
		return NoKey
	}
	return MustNot
}

// Filtered returns m after a client's Retry.On, with its answer worth: whether the
// error is worth repeating. It changes nothing unless m.AskUser.
func (m Meaning) Filtered(worth bool) Meaning {
	switch {
	case !m.AskUser:
	case !worth && m.Why == May:
		m.Why = UserForbids
	case worth && m.Outcome == outcome.Permanent:
		m.Outcome = outcome.Transient
	}
	return m
}

// Classified returns m after a policy's Classify, whose answer is o, or Retry.On,
// for which o is Transient or Permanent. It changes nothing unless m.AskUser.
//
// A policy has one service, whose cooldown begins with an error that is Throttled
// and asks for a wait, as with a client's 429.
//
// The kind stays. After Classify, but not after Retry.On, the kind of an error that
// is no Timeout is KindOfOutcome(o).
func (m Meaning) Classified(o outcome.Outcome, r Rules) Meaning {
	switch {
	case !m.AskUser:
	case m.Kind != Timeout:
		m.Outcome = o
		m.Cooldown = o == outcome.Throttled && m.RetryAfter > 0 && r.MaxRetryAfter > 0
	case o != outcome.Transient && o != outcome.Throttled:
		m.Why = UserForbids
	}
	return m
}

// Idempotent reports whether sending a request of this method twice has the effect
// of sending it once (RFC 9110, 9.2.2). No method means GET.
func Idempotent(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
