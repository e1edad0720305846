package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// answerRules are about answers that are well-formed but late or negative, and
// about work with a lost answer.
var answerRules = []Rule{
	{
		Fault: fault.IDStatus, Plan: always(fault.Fault{Statuses: []int{503, 503, 200}}),
		Want: Answered, Least: 3, Most: 3, KeepsConnection: true,
		Why:     "the client retries after each of two 503 answers, on the same connection",
		Sources: []string{transient, "RFC 9110, 15.6.4: a 503 will likely be alleviated after some delay", readAll},
	},
	{
		Fault: fault.IDStatus, Case: "404", Plan: always(fault.Fault{Status: 404}),
		Want: Refused, Status: 404, Least: 1, Most: 1, KeepsConnection: true,
		Why:     "a 404 is returned to the caller and not retried, because a retry gives the same answer",
		Sources: []string{"RFC 9110, 15.5: the client seems to have erred", transient, readAll},
	},
	{
		Fault: fault.IDRetryAfter, Plan: once(fault.Fault{Status: 503, RetryAfter: time.Second}),
		Want: Answered, Least: 2, Most: 2, Apart: time.Second, KeepsConnection: true,
		Why:     "the service asks for a wait of one second: the client retries after it, and not before",
		Sources: []string{retryAfter, obeyCurl},
	},
	{
		Fault: "http.retry_after_date", Plan: once(fault.Fault{Status: 503, RetryAfter: time.Second, RetryAfterAs: fault.RetryDate}),
		Want: Answered, Least: 2, Most: 2, Apart: time.Second, KeepsConnection: true,
		Why:     "the client also understands Retry-After as a date",
		Sources: []string{retryAfter + "; its value is a number of seconds or a date", obeySDK},
	},
	{
		Fault: "http.retry_after_ms", Plan: once(fault.Fault{Status: 503, RetryAfter: 400 * time.Millisecond, RetryAfterAs: fault.RetryMillis}),
		Want: Answered, Least: 2, Most: 2, Apart: 400 * time.Millisecond, KeepsConnection: true,
		Why:     "the client also follows a wait in milliseconds",
		Sources: []string{"openai-python, _base_client.py: retry-after-ms is looked for first"},
	},
	{
		Fault: "http.retry_after_past", Plan: once(fault.Fault{Status: 503, RetryAfterAs: fault.RetryPast}),
		Want: Answered, Least: 2, Most: 2, KeepsConnection: true,
		Why:     "a date in the past does not end the retries",
		Sources: []string{retryAfter, obeySDK},
	},
	{
		Fault: "http.retry_after_huge", Plan: always(fault.Fault{Status: 503, RetryAfterAs: fault.RetryHuge}),
		Want: Refused, Status: 503, Least: 1,
		Why:     "the client does not wait for a year: it stops, or uses its own limit",
		Sources: []string{obeySDK, "curl(1), --retry-max-time: limits the time in which is retried"},
	},
	{
		Fault: "http.retry_after_overflow", Plan: always(fault.Fault{Status: 503, RetryAfterAs: fault.RetryOverflow}),
		Want: Refused, Status: 503, Least: 1,
		Why:     "a wait too large for any clock is neither followed nor treated as no wait",
		Sources: []string{obeySDK, "RFC 9110, 10.2.3: delay-seconds is a non-negative integer, of any size"},
	},
	{
		Fault: "http.retry_after_garbage", Plan: once(fault.Fault{Status: 503, RetryAfterAs: fault.RetryGarbage}),
		Want: Answered, Least: 2, Most: 2, KeepsConnection: true,
		Why:     "a wait that cannot be parsed is ignored",
		Sources: []string{transient, obeySDK},
	},
	{
		Fault: fault.IDQuota, Plan: always(fault.Fault{Quota: &fault.Quota{Limit: 1, Per: time.Second}}),
		Calls: 2, Want: Answered, Least: 3, Most: 3, KeepsConnection: true,
		Why:     "the client waits for a quota as asked: the service gets one request over the quota, and not more",
		Sources: []string{"RFC 6585, 4: a 429 may include a Retry-After", retryAfter, transient},
	},
	{
		Fault: "http.redirect_loop", Plan: always(fault.Fault{Redirect: fault.RedirectLoop}),
		Want: Refused, Status: 307, Least: 1, Most: 21,
		Why:     "the client detects a redirect loop and does not retry it",
		Sources: []string{"RFC 9110, 15.4: a client should detect and intervene in cyclical redirections", "Fetch, 4.4: a network error after 20 redirects"},
	},
	{
		Fault: "http.redirect_elsewhere", Plan: once(fault.Fault{Redirect: fault.RedirectElsewhere}),
		Want: Honest, Status: 307, Least: 1, Most: 2,
		Why:     "the client may follow a redirect to another origin, and sends no credential there",
		Sources: []string{"RFC 9110, 15.4: header fields with security implications, not only Authorization, are considered for removal on a redirect"},
	},
	{
		Fault: fault.IDHang, Plan: once(fault.Fault{Hang: fault.BeforeAnswer}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "an attempt without an answer ends at its limit and is retried",
		Sources: []string{transient, mayRepeat},
	},
	{
		Fault: fault.IDHang, Case: "always", Plan: always(fault.Fault{Hang: fault.BeforeAnswer}),
		Want: Refused, Least: 1,
		Why:     "a service that never answers takes no more time than the limits of all attempts",
		Sources: []string{maxTime},
	},
	{
		Fault: fault.IDLatency, Plan: always(fault.Fault{Latency: &fault.Latency{Fixed: 150 * time.Millisecond}}),
		Want: Answered, Least: 1, Most: 1, KeepsConnection: true,
		Why:     "a slow answer within the limit is not requested twice",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDLatency, Case: "post", Plan: once(fault.Fault{Latency: &fault.Latency{Fixed: 800 * time.Millisecond}}),
		Method: "POST", Body: 200, Want: Honest, Least: 1,
		Why:     "the service may still work on a POST that reached its limit: a second request must be recognizable as the same",
		Sources: []string{mustNotTwice},
	},
	{
		Fault: fault.IDCommitThenDrop, Plan: once(fault.Fault{Close: fault.BeforeAnswer, Commit: true}),
		Method: "POST", Body: 200, Want: Honest, Least: 1,
		Why:     "if the answer to a POST is lost, the work may be done: it is not done twice",
		Sources: []string{mustNotTwice},
	},
	{
		Fault: fault.IDCommitThenDrop, Case: "key", Plan: once(fault.Fault{Close: fault.BeforeAnswer, Commit: true}),
		Method: "POST", Body: 200, Key: true, Want: Answered, Least: 2, Most: 2,
		Why:     "with a key from the caller, the POST can be retried, and the client retries it",
		Sources: []string{"draft-ietf-httpapi-idempotency-key-header, abstract: the key makes a POST fault-tolerant", "stripe-go: POST carries a key and is retried after a lost connection"},
	},
}

// capacityRules are about a service that has too much to do.
var capacityRules = []Rule{
	{
		Fault: fault.IDCapacityQueue, Plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, Queue: 8, ServiceTime: 50 * time.Millisecond}},
		Calls: 3, AtOnce: true, Want: Answered, Least: 3, Most: 3,
		Why:     "a request that waits in the service's queue is not sent again",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDCapacityLoad, Plan: fault.Plan{Capacity: &fault.Capacity{Latency: fault.LoadLatency{PerInFlight: 50 * time.Millisecond}}},
		Calls: 3, AtOnce: true, Want: Answered, Least: 3, Most: 3,
		Why:     "a service that becomes slow does not get more requests",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDCapacityRefuse, Plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, ServiceTime: 15 * time.Millisecond}},
		Calls: 2, AtOnce: true, Want: Answered, Least: 3, Most: 5,
		Why:     "a request that an overloaded service declines is retried a little later",
		Sources: []string{transient, "RFC 9110, 15.6.4: a 503 will likely be alleviated after some delay"},
	},
}
