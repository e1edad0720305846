// Package conformance judges HTTP clients, whoever wrote them. A client is given
// a task that any of them can be set up for ([Terms]), and sent to a service that
// fails in one way at a time; a [Rule] for each of those ways says what its user
// would want, and on whose authority.
//
// Nothing here knows holdfast: it is judged as the others are.
package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Rule is what a user would want of a client that meets a fault.
type Rule struct {
	Fault fault.ID
	// Case tells the rule from others of the same fault; empty for the first.
	Case string
	// Plan is what the service does until the call has ended. Afterwards it is
	// healthy, and the client makes one call more, which has to be answered: a
	// fault must not outlive its call.
	Plan fault.Plan
	TLS  bool // the service speaks TLS, and the client knows its authority
	H2   bool // it speaks HTTP/2 and nothing else, over TLS

	// The call: Method (empty: GET), with so many bytes of Body, with an
	// Idempotency-Key of the caller's, with Expect: 100-continue.
	Method string
	Body   int
	Key    bool
	Expect bool
	// Calls is how many are made, one after the other or AtOnce; zero means 1. The
	// rule holds for each.
	Calls  int
	AtOnce bool
	// Lives: the rule makes sense only for a client that lives from one call to
	// the next and keeps its connections, not for a program that is run for each.
	Lives bool
	// Attempt is the limit of one attempt. Zero: that of the Terms.
	Attempt time.Duration

	Want Want
	// Status that a call which is Refused may show instead of an error.
	Status int
	// Least and Most requests that may reach the service, for all calls together; a
	// connection that ends before its first request counts as one. Most 0: as many
	// as the terms allow.
	Least, Most int
	// Apart is the least time between the first request and the second.
	Apart time.Duration
	// KeepsConnection: all requests, and the call after them, share one connection.
	KeepsConnection bool

	// Why is one sentence for the reader of the table, Sources what it rests on.
	Why     string
	Sources []string
}

// ID names the rule: the fault's, and the case.
func (r *Rule) ID() string {
	if r.Case == "" {
		return string(r.Fault)
	}
	return string(r.Fault) + "/" + r.Case
}

// Want is how a call has to end.
type Want string

const (
	// Answered: with the service's whole and healthy answer.
	Answered Want = "answered"
	// Refused: with an error, or with the Status that the rule names. Anything that
	// looks like success is wrong.
	Refused Want = "refused"
	// Honest: Answered or Refused, as the client likes. A part of an answer that is
	// passed off as the whole is wrong.
	Honest Want = "honest"
	// Undetectable: however it likes, since nothing on the wire shows that
	// something is missing.
	Undetectable Want = "undetectable"
)

// Terms are what every client is set up for, as near as it can be: what is
// usual, scaled down so that a table of some hundred meetings takes minutes.
type Terms struct {
	// Retries is how many attempts may follow the first.
	Retries int
	// Base is the backoff before the first of them; it doubles, up to Max.
	Base, Max time.Duration
	// Attempt is the longest that one attempt may take, the body included.
	Attempt time.Duration
	// RetryAfter is the longest pause that a service may ask for.
	RetryAfter time.Duration
	// Answer is the longest body that the caller can use, in bytes.
	Answer int
	// Deadline is the caller's own, for all attempts and waits of a call.
	Deadline time.Duration
}

// Usual are the terms of all rules, but for a rule's own Attempt. Base is as long
// as it is so that three waits of full jitter are hardly ever all but nothing.
var Usual = Terms{
	Retries:    3,
	Base:       50 * time.Millisecond,
	Max:        200 * time.Millisecond,
	Attempt:    500 * time.Millisecond,
	RetryAfter: 2 * time.Second,
	Answer:     1 << 20,
	Deadline:   4 * time.Second,
}

// Bound is the longest that a call may take: all its attempts up to their limit,
// and half as long again for its waits and for a busy machine. It lies below
// Deadline, so that a client which only the caller's patience ends is seen.
const Bound = 3 * time.Second

// Rules are all of them, in the order of the catalogs.
func Rules() []Rule {
	var all []Rule
	for _, some := range [][]Rule{answerRules, connectionRules, bodyRules, protocolRules, tlsRules, capacityRules, h2Rules} {
		all = append(all, some...)
	}
	return all
}

// once strikes the first request, always every one.
func once(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: f}}}
}

func always(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Fault: f}}}
}

// onceConnection strikes the first connection, everyConnection every one.
func onceConnection(f fault.ConnFault) fault.Plan {
	return fault.Plan{Connections: []fault.ConnRule{{Nth: "1", Fault: f}}}
}

func everyConnection(f fault.ConnFault) fault.Plan {
	return fault.Plan{Connections: []fault.ConnRule{{Fault: f}}}
}

// What the rules rest on.
const (
	mayRepeat    = "RFC 9110, 9.2.2: an idempotent request can be repeated automatically if communication fails before the client is able to read the response"
	mustNotTwice = "RFC 9110, 9.2.2: a client should not automatically retry a non-idempotent request unless it can know that the semantics are idempotent, or that the first was never applied"
	retryAfter   = "RFC 9110, 10.2.3: Retry-After says how long the user agent ought to wait before a follow-up request"
	readAll      = "RFC 9112, 9.3: a client must read the entire response if it intends to reuse the connection"
	incomplete   = "RFC 9112, 8: a response that breaks off, or has invalid framing or coding, is incomplete"
	transient    = "curl(1), --retry: transient is a timeout, and the status 408, 429, 500, 502, 503 and 504"
	maxTime      = "curl(1), --max-time: the most time that each transfer may take, which keeps jobs from hanging for hours"
	maxFilesize  = "curl(1), --max-filesize: a transfer that is larger than allowed is aborted"
	obeyCurl     = "curl(1), --retry: curl complies with Retry-After"
	obeySDK      = "openai-python, _base_client.py: waits as long as the API asks, up to 60 s, and otherwise uses its own backoff"
	closedEarly  = "RFC 9112, 9.3.1: a client may open a new connection and retransmit idempotent requests when a connection is closed prematurely"
	badCert      = "RFC 9110, 4.3.4: a certificate that does not fit ends the connection, unless the user says otherwise"
	notStarted   = "RFC 9113, 8.7: a request that has not been processed may be retried automatically, whatever its method"
	resetStream  = "RFC 9113, 8.7, and RFC 9110, 9.2.2: a stream that failed may be repeated if its method is idempotent"
)
