package judge

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxWaitText bounds the text that is parsed. An honest value is shorter.
const maxWaitText = 64

// dates are the three forms of an HTTP date (RFC 9110, 5.6.7).
var dates = [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 MST", "Mon Jan _2 15:04:05 2006"}

// RetryAfter returns the wait that an answer asks for at now. Its arguments are the
// values of three headers: retry-after-ms, in milliseconds, or else Retry-After, in
// seconds or as a date (RFC 9110, 10.2.3); and Date, which replaces now, since the
// service wrote both dates by one clock.
//
// The wait is zero if the headers ask for none, for a time that has passed, or for
// what cannot be parsed. A number too large for a Duration is the largest Duration,
// since an overflow would be a negative wait.
func RetryAfter(ms, after, date string, now time.Time) time.Duration {
	if ms != "" {
		if d, ok := scaled(ms, time.Millisecond); ok {
			return d
		}
	}
	after = strings.TrimSpace(after)
	if after == "" || len(after) > maxWaitText {
		return 0
	}
	if d, ok := scaled(after, time.Second); ok {
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

func parseDate(s string) (time.Time, bool) {
	for _, form := range dates {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// ParseAdvice reads the header x-should-retry. Some services (OpenAI, Anthropic)
// send it where the status alone would mislead a client.
func ParseAdvice(value string) Advice {
	switch strings.ToLower(value) {
	case "true":
		return RetryIt
	case "false":
		return DoNotRetry
	}
	return NoAdvice
}
