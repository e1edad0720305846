package wire

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfterText bounds what is parsed: no honest value is longer.
const maxRetryAfterText = 64

// RetryAfter is how long an answer that arrived at now asks to be left alone,
// zero if it does not ask, or asks for what is past or not to be understood. It
// knows seconds and dates (RFC 9110, 10.2.3) and the milliseconds of
// retry-after-ms, which go before them.
//
// A number too large for a Duration is the largest: it must not become a
// negative wait by overflow.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms := h.Get("Retry-After-Ms"); ms != "" {
		if d, ok := scaled(ms, time.Millisecond); ok {
			return d
		}
	}
	v := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := scaled(v, time.Second); ok || len(v) > maxRetryAfterText {
		return d
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	// Its own Date is the clock that the service read, so that a clock which is
	// wrong on this side does no harm.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now))
}

// scaled parses a number of units that is not negative.
func scaled(v string, unit time.Duration) (time.Duration, bool) {
	if len(v) > maxRetryAfterText {
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

// ShouldRetry is what the header x-should-retry says, by which some services
// (OpenAI, Anthropic) overrule what a client would conclude from the status; said
// is false if they do not.
func ShouldRetry(h http.Header) (retry, said bool) {
	switch strings.ToLower(h.Get("X-Should-Retry")) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}
