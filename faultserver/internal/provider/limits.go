package provider

import (
	"net/http"
	"strconv"
	"time"
)

// Limits are the limits of a client in the current period.
type Limits struct{ Requests, Tokens Bucket }

// Bucket is one limit.
type Bucket struct {
	Limit, Remaining int
	Reset            time.Duration // until the limit is full again
}

// full returns a bucket of limit per period that has just lost used.
func full(limit, used int, per time.Duration) Bucket {
	used = min(used, limit)
	return Bucket{limit, limit - used, time.Duration(float64(per) * float64(used) / float64(limit))}
}

// set sets a number.
func set(header http.Header, name string, n int) { header.Set(name, strconv.Itoa(n)) }

// openAILimits has the durations of OpenAI: 6ms, 1s, 6m0s, 2m59.56s.
func openAILimits(l Limits, _ time.Time) http.Header {
	header := http.Header{}
	for name, b := range map[string]Bucket{"requests": l.Requests, "tokens": l.Tokens} {
		set(header, "x-ratelimit-limit-"+name, b.Limit)
		set(header, "x-ratelimit-remaining-"+name, b.Remaining)
		header.Set("x-ratelimit-reset-"+name, shortly(b.Reset))
	}
	return header
}

// shortly rounds a duration up to milliseconds.
func shortly(d time.Duration) string {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond).String()
}

// anthropicLimits has instants in RFC 3339, rounded up to a second. The tokens
// remaining are rounded to thousands.
func anthropicLimits(l Limits, now time.Time) http.Header {
	header := http.Header{}
	l.Tokens.Remaining = (l.Tokens.Remaining + 500) / 1000 * 1000
	for name, b := range map[string]Bucket{"requests": l.Requests, "tokens": l.Tokens, "input-tokens": l.Tokens, "output-tokens": l.Tokens} {
		set(header, "anthropic-ratelimit-"+name+"-limit", b.Limit)
		set(header, "anthropic-ratelimit-"+name+"-remaining", b.Remaining)
		header.Set("anthropic-ratelimit-"+name+"-reset", secondAfter(now, b.Reset).UTC().Format(time.RFC3339))
	}
	return header
}

// gitHubLimits has the instant in Unix seconds, rounded up.
func gitHubLimits(l Limits, now time.Time) http.Header {
	header := http.Header{}
	set(header, "X-RateLimit-Limit", l.Requests.Limit)
	set(header, "X-RateLimit-Remaining", l.Requests.Remaining)
	set(header, "X-RateLimit-Used", l.Requests.Limit-l.Requests.Remaining)
	header.Set("X-RateLimit-Reset", strconv.FormatInt(secondAfter(now, l.Requests.Reset).Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
	return header
}

// secondAfter returns the instant after d, rounded up to a second.
func secondAfter(now time.Time, d time.Duration) time.Time {
	return now.Add(d + time.Second - 1).Truncate(time.Second)
}
