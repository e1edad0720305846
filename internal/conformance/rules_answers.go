package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// answerRules are about answers that are well-formed, and late or unwelcome, and
// about work whose answer was lost.
var answerRules = []Rule{
	{
		Fault: fault.IDStatus, Plan: always(fault.Fault{Statuses: []int{503, 503, 200}}),
		Want: Answered, Least: 3, Most: 3, KeepsConnection: true,
		Why:     "two 503 are waited out, on the connection that was there",
		Sources: []string{transient, "RFC 9110, 15.6.4: a 503 will likely be alleviated after some delay", readAll},
	},
	{
		Fault: fault.IDStatus, Case: "404", Plan: always(fault.Fault{Status: 404}),
		Want: Refused, Status: 404, Least: 1, Most: 1, KeepsConnection: true,
		Why:     "a 404 is the caller's to know, and no better the second time",
		Sources: []string{"RFC 9110, 15.5: the client seems to have erred", transient, readAll},
	},
	{
		Fault: fault.IDRetryAfter, Plan: once(fault.Fault{Status: 503, RetryAfter: time.Second}),
		Want: Answered, Least: 2, Most: 2, Apart: time.Second, KeepsConnection: true,
		Why:     "asked to come back in a second, it does so, and not before",
		Sources: []string{retryAfter, obeyCurl},
	},
	{
		Fault: "http.retry_after_date", Plan: once(fault.Fault{Status: 503, RetryAfter: time.Second, RetryAfterAs: fault.RetryDate}),
		Want: Answered, Least: 2, Most: 2, Apart: time.Second, KeepsConnection: true,
		Why:     "a date is a way to say when, too",
		Sources: []string{retryAfter + "; its value is a number of seconds or a date", obeySDK},
	},
	{
		Fault: "http.retry_after_ms", Plan: once(fault.Fault{Status: 503, RetryAfter: 400 * time.Millisecond, RetryAfterAs: fault.RetryMillis}),
		Want: Answered, Least: 2, Most: 2, Apart: 400 * time.Millisecond, KeepsConnection: true,
		Why:     "an API that counts in milliseconds is obeyed as well",
		Sources: []string{"openai-python, _base_client.py: retry-after-ms is looked for first"},
	},
	{
		Fault: "http.retry_after_past", Plan: once(fault.Fault{Status: 503, RetryAfterAs: fault.RetryPast}),
		Want: Answered, Least: 2, Most: 2, KeepsConnection: true,
		Why:     "a date that has passed is no reason to give up",
		Sources: []string{retryAfter, obeySDK},
	},
	{
		Fault: "http.retry_after_huge", Plan: always(fault.Fault{Status: 503, RetryAfterAs: fault.RetryHuge}),
		Want: Refused, Status: 503, Least: 1,
		Why:     "nobody waits a year: it gives up, or goes by its own bound",
		Sources: []string{obeySDK, "curl(1), --retry-max-time: limits the time in which is retried"},
	},
	{
		Fault: "http.retry_after_overflow", Plan: always(fault.Fault{Status: 503, RetryAfterAs: fault.RetryOverflow}),
		Want: Refused, Status: 503, Least: 1,
		Why:     "a pause that no clock can hold is neither waited for nor taken for none",
		Sources: []string{obeySDK, "RFC 9110, 10.2.3: delay-seconds is a non-negative integer, of any size"},
	},
	{
		Fault: "http.retry_after_garbage", Plan: once(fault.Fault{Status: 503, RetryAfterAs: fault.RetryGarbage}),
		Want: Answered, Least: 2, Most: 2, KeepsConnection: true,
		Why:     "a pause that cannot be read is none that was asked for",
		Sources: []string{transient, obeySDK},
	},
	{
		Fault: fault.IDQuota, Plan: always(fault.Fault{Quota: &fault.Quota{Limit: 1, Per: time.Second}}),
		Calls: 2, Want: Answered, Least: 3, Most: 3, KeepsConnection: true,
		Why:     "a quota is waited for as told: one request too many, and not more",
		Sources: []string{"RFC 6585, 4: a 429 may include a Retry-After", retryAfter, transient},
	},
	{
		Fault: "http.redirect_loop", Plan: always(fault.Fault{Redirect: fault.RedirectLoop}),
		Want: Refused, Status: 307, Least: 1, Most: 21,
		Why:     "a circle is noticed, and not gone round again by a retry",
		Sources: []string{"RFC 9110, 15.4: a client should detect and intervene in cyclical redirections", "Fetch, 4.4: a network error after 20 redirects"},
	},
	{
		Fault: "http.redirect_elsewhere", Plan: once(fault.Fault{Redirect: fault.RedirectElsewhere}),
		Want: Honest, Status: 307, Least: 1, Most: 2,
		Why:     "another origin may be asked, and is told no credential",
		Sources: []string{"RFC 9110, 15.4: header fields with security implications, not only Authorization, are considered for removal on a redirect"},
	},
	{
		Fault: fault.IDHang, Plan: once(fault.Fault{Hang: fault.BeforeAnswer}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "an attempt that hangs is ended at its limit, and made again",
		Sources: []string{transient, mayRepeat},
	},
	{
		Fault: fault.IDHang, Case: "always", Plan: always(fault.Fault{Hang: fault.BeforeAnswer}),
		Want: Refused, Least: 1,
		Why:     "a service that never answers costs no more than its attempts",
		Sources: []string{maxTime},
	},
	{
		Fault: fault.IDLatency, Plan: always(fault.Fault{Latency: &fault.Latency{Fixed: 150 * time.Millisecond}}),
		Want: Answered, Least: 1, Most: 1, KeepsConnection: true,
		Why:     "slow, but within the limit, is not asked twice",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDLatency, Case: "post", Plan: once(fault.Fault{Latency: &fault.Latency{Fixed: 800 * time.Millisecond}}),
		Method: "POST", Body: 200, Want: Honest, Least: 1,
		Why:     "a POST beyond its limit is being worked on: a second one must be known as the same",
		Sources: []string{mustNotTwice},
	},
	{
		Fault: fault.IDCommitThenDrop, Plan: once(fault.Fault{Close: fault.BeforeAnswer, Commit: true}),
		Method: "POST", Body: 200, Want: Honest, Least: 1,
		Why:     "a POST whose answer was lost may have been done: it is not done twice",
		Sources: []string{mustNotTwice},
	},
	{
		Fault: fault.IDCommitThenDrop, Case: "key", Plan: once(fault.Fault{Close: fault.BeforeAnswer, Commit: true}),
		Method: "POST", Body: 200, Key: true, Want: Answered, Least: 2, Most: 2,
		Why:     "with a key of the caller's it can be asked for again, and is",
		Sources: []string{"draft-ietf-httpapi-idempotency-key-header, abstract: the key makes a POST fault-tolerant", "stripe-go: POST carries a key and is retried after a lost connection"},
	},
}

// capacityRules are about a service that has too much to do.
var capacityRules = []Rule{
	{
		Fault: fault.IDCapacityQueue, Plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, Queue: 8, ServiceTime: 50 * time.Millisecond}},
		Calls: 3, AtOnce: true, Want: Answered, Least: 3, Most: 3,
		Why:     "who has to queue is not asked for again meanwhile",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDCapacityLoad, Plan: fault.Plan{Capacity: &fault.Capacity{Latency: fault.LoadLatency{PerInFlight: 50 * time.Millisecond}}},
		Calls: 3, AtOnce: true, Want: Answered, Least: 3, Most: 3,
		Why:     "a service that slows down is not given more to do",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDCapacityRefuse, Plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, ServiceTime: 15 * time.Millisecond}},
		Calls: 2, AtOnce: true, Want: Answered, Least: 3, Most: 5,
		Why:     "who is shed comes back a little later",
		Sources: []string{transient, "RFC 9110, 15.6.4: a 503 will likely be alleviated after some delay"},
	},
}
