package judge

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxWaitText bounds the text that is parsed: an honest value is shorter.
const maxWaitText = 64

// dates are the forms of an HTTP date (RFC 9110, 5.6.7).
var dates = [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 MST", "Mon Jan _2 15:04:05 2006"}

// RetryAfter returns the wait that an answer's headers ask for at now: retry-after-ms
// in milliseconds, or else Retry-After in seconds or as a date (RFC 9110, 10.2.3).
// It is zero if they ask for none, for the past, or for what cannot be parsed.
//
// date is the header Date, which replaces now: the service wrote both by one clock.
// A number too large for a Duration is the largest, and never a negative wait.
func RetryAfter(ms, after, date string, now time.Time) time.Duration {
	if ms != "" {
		if d, ok := scaled(ms, time.Millisecond); ok {
			return d
		}
	}
	after = strings.TrimSpace(after)
	if d, ok := scaled(after, time.Second); ok || len(after) > maxWaitText {
		return d
	}
	at, ok := parseDate(after)
	if !ok {
		return 0
	}
	if sent, ok := parseDate(date); ok {
		now = sent
	}
	return max(0, at.Sub(now))
}

func parseDate(s string) (time.Time, bool) {
	for _, form := range dates {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// scaled parses a number of units that is not negative.
func scaled(v string, unit time.Duration) (time.Duration, bool) {
	if len(v) > maxWaitText {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	switch {
	case math.IsNaN(n), err != nil && !math.IsInf(n, 1), n < 0:
		return 0, false
	case n >= float64(math.MaxInt64/unit):
		return math.MaxInt64, true
	}
	return time.Duration(n * float64(unit)), true
}

// ParseAdvice reads the header x-should-retry, by which some services (OpenAI,
// Anthropic) overrule what a client concludes from the status.
func ParseAdvice(value string) Advice {
	switch strings.ToLower(value) {
	case "true":
		return RetryIt
	case "false":
		return DoNotRetry
	}
	return NoAdvice
}
