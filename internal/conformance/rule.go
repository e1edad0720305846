// Package conformance tests how HTTP clients handle faults. Each client gets
// the same configuration ([Terms]) and calls a service that fails in one way, or
// that it reaches through something that fails. A [Rule] for each fault defines the
// expected result, with sources.
//
// The package does not import holdfast: it tests it like any other client.
package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Rule is the expected result of a client for one fault.
type Rule struct {
	Fault fault.ID
	// Case distinguishes rules of the same fault. It is empty for the first.
	Case string
	// Plan is the service's plan until the end of the call. Then the service is
	// healthy, and the client makes one more call, which must be answered: a
	// fault must not affect later calls.
	Plan fault.Plan
	// Between fails on the client's way to the service. If it is nil, the plan has
	// the fault.
	Between obstacle
	TLS     bool // the service speaks TLS, and the client trusts its authority
	H2      bool // the service speaks HTTP/2 only, over TLS

	// Method of the call. Empty means GET.
	Method string
	Body   int  // bytes of the body
	Key    bool // sends an Idempotency-Key
	Expect bool // sends Expect: 100-continue
	// Calls is the number of calls, in sequence or AtOnce. Zero means 1. The
	// rule applies to each.
	Calls  int
	AtOnce bool
	// Every is the least time between the starts of two calls. Calls that are AtOnce
	// start so even if the one before has not ended.
	Every time.Duration
	// Lives limits the rule to clients that keep connections between calls,
	// unlike a program that runs once for each call.
	Lives bool
	// Attempt is the limit of one attempt. Zero means that of the Terms.
	Attempt time.Duration
	// Breaker and ConnAge are those of the Terms.
	Breaker int
	ConnAge time.Duration

	Want Want
	// Status is a status that a Refused call may return instead of an error.
	Status int
	// Least and Most limit the number of requests that reach the service, for
	// all calls together. A connection that ends before its first request
	// counts as one. If Most is 0, the terms set it.
	Least, Most int
	// Apart is the minimum time between the first and the second request.
	Apart time.Duration
	// KeepsConnection requires one connection for all requests and the call
	// after them.
	KeepsConnection bool

	// Why is the reason of the rule in one sentence.
	Why string
	// Sources support the rule.
	Sources []string
	// Losses are the reasons of known losses, by the contender's name. A reason is
	// something that the contender cannot do by its nature.
	Losses map[string]string
}

// ID returns the fault's ID and the case.
func (r *Rule) ID() string {
	if r.Case == "" {
		return string(r.Fault)
	}
	return string(r.Fault) + "/" + r.Case
}

// Want is the expected end of a call.
type Want string

const (
	// Answered: with the service's complete, healthy answer.
	Answered Want = "answered"
	// Refused: with an error or the rule's Status. Anything that looks like
	// success is wrong.
	Refused Want = "refused"
	// Honest: Answered or Refused. A part of an answer returned as the whole
	// answer is wrong.
	Honest Want = "honest"
	// Undetectable: any end, since the wire does not show that something is missing.
	Undetectable Want = "undetectable"
)

// Terms are the configuration of every client, as far as it supports them:
// usual values, scaled down so that some hundred meetings take minutes.
type Terms struct {
	// Retries is the number of attempts after the first.
	Retries int
	// Base is the backoff before the first retry. It doubles up to Max.
	Base, Max time.Duration
	// Attempt limits the duration of one attempt, including the body.
	Attempt time.Duration
	// RetryAfter is the longest wait that a service may ask for.
	RetryAfter time.Duration
	// Answer limits the body of an answer, in bytes.
	Answer int
	// Breaker is the number of consecutive failures that open the circuit breaker
	// for an hour. Zero means no breaker.
	Breaker int
	// ConnAge limits the age of a connection that is in use. Zero means the
	// client's default.
	ConnAge time.Duration
	// Deadline is the caller's limit of a call, including all attempts and waits.
	Deadline time.Duration
}

// Usual are the terms of all rules, except for what a rule sets itself. Base is long
// enough that three waits of full jitter are hardly ever almost zero.
var Usual = Terms{
	Retries:    3,
	Base:       50 * time.Millisecond,
	Max:        200 * time.Millisecond,
	Attempt:    500 * time.Millisecond,
	RetryAfter: 2 * time.Second,
	Answer:     1 << 20,
	Deadline:   4 * time.Second,
}

// Bound is the limit of a call: all attempts up to their limit, plus half as
// much for waits and a busy machine. It is below Deadline, so that a client
// that only the caller's deadline ends is detected.
const Bound = 3 * time.Second

// Rules returns all rules in the order of the catalogs.
func Rules() []Rule {
	var all []Rule
	for _, some := range [][]Rule{answerRules, connectionRules, bodyRules, protocolRules, tlsRules, capacityRules, h2Rules, betweenRules} {
		all = append(all, some...)
	}
	return all
}

// once strikes the first request.
func once(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: f}}}
}

// always strikes every request.
func always(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Fault: f}}}
}

// onceConnection strikes the first connection.
func onceConnection(f fault.ConnFault) fault.Plan {
	return fault.Plan{Connections: []fault.ConnRule{{Nth: "1", Fault: f}}}
}

// everyConnection strikes every connection.
func everyConnection(f fault.ConnFault) fault.Plan {
	return fault.Plan{Connections: []fault.ConnRule{{Fault: f}}}
}

// Sources of the rules.
const (
	mayRepeat    = "RFC 9110, 9.2.2: an idempotent request can be repeated automatically if communication fails before the client is able to read the response"
	mustNotTwice = "RFC 9110, 9.2.2: a client should not automatically retry a non-idempotent request unless it can know that the semantics are idempotent, or that the first was never applied"
	retryAfter   = "RFC 9110, 10.2.3: Retry-After indicates how long the user agent ought to wait before a follow-up request"
	readAll      = "RFC 9112, 9.3: a client must read the entire response if it intends to reuse the connection"
	surplusData  = "RFC 9112, 6.3: a client must not process, cache or forward such extra data as a separate response"
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
