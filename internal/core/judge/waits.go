package judge

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxWaitText bounds the text that is parsed, and the name of a header that an error shows.
// An honest one is shorter.
const maxWaitText = 64

// dates are the three forms of an HTTP date (RFC 9110, 5.6.7).
var dates = [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 MST", "Mon Jan _2 15:04:05 2006"}

// Wait is the wait that an answer asks for.
type Wait struct {
	// For is zero if the answer asks for none.
	For time.Duration
	// From is where For was read: a header's name in lower case, such as retry-after, or
	// "body: " and a field's name. It is empty if For is zero.
	From string
	// Quota: a day's quota or the money is gone, so that no wait helps. Then For is zero.
	Quota bool
}

// milliseconds are the headers with a wait in milliseconds. They are finer than
// Retry-After and come before it.
var milliseconds = [...]struct{ name, from string }{
	{"Retry-After-Ms", "retry-after-ms"},
	{"X-Ms-Retry-After-Ms", "x-ms-retry-after-ms"},
	{"X-Amz-Retry-After", "x-amz-retry-after"},
}

// seconds are the headers with a Retry-After.
var seconds = [...]struct{ name, from string }{
	{"Retry-After", "retry-after"},
	{"X-Ratelimit-Retry-After", "x-ratelimit-retry-after"},
}

// ReadWait returns the wait that an answer asks for, in whatever form. The names in h
// are canonical, as in an http.Header. body is the beginning of the answer's body, or
// nil if it was not read.
//
// A wait that is stated wins over one that follows from the reset of a limit, and a
// header over the body. What cannot be parsed is as if it were not there. A reset counts
// only with a status that a service may send because of a limit. A redirect has no wait
// but that of a header, and a success has none.
func ReadWait(h map[string][]string, body []byte, status int, arrived time.Time) Wait {
	if status < 300 {
		return Wait{}
	}
	if w, ok := readStated(h, arrived); ok || status < 400 {
		return w
	}
	w, ok := readBody(body)
	if ok || !mayBeLimited(status) {
		return w
	}
	return readResets(h, status, arrived)
}

// mayBeLimited reports whether some service sends the status because of a limit. Beside a
// 503, a reset does not say that the service declined the request.
func mayBeLimited(status int) bool {
	return status == 429 || status == 403 || status == 401 || status == 400
}

// readStated reads Retry-After and the headers that come before it. ok means that one of
// them could be parsed.
func readStated(h map[string][]string, arrived time.Time) (w Wait, ok bool) {
	for i := range milliseconds {
		for _, v := range h[milliseconds[i].name] {
			if d, ok := scaled(v, time.Millisecond); ok {
				return waitFor(d, milliseconds[i].from), true
			}
		}
	}
	for i := range seconds {
		for _, v := range h[seconds[i].name] {
			if d, ok := parseRetryAfter(v, first(h["Date"]), arrived); ok {
				return waitFor(d, seconds[i].from), true
			}
		}
	}
	return Wait{}, false
}

func waitFor(d time.Duration, from string) Wait {
	if d == 0 {
		return Wait{}
	}
	return Wait{For: d, From: from}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// RetryAfter returns the wait that an answer asks for at now, by three headers:
// retry-after-ms, in milliseconds, or else Retry-After, in seconds, as a duration or as
// a time (RFC 9110, 10.2.3); and Date, which replaces now, since the service wrote both
// times by one clock.
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
	d, _ := parseRetryAfter(after, date, now)
	return d
}

// parseRetryAfter parses a Retry-After: the first good one of its values, which commas
// separate. A date has a comma of its own.
func parseRetryAfter(v, date string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if len(v) > maxWaitText {
		return 0, false
	}
	if d, ok := parseWait(v, date, now); ok {
		return d, true
	}
	for rest := v; strings.Contains(rest, ","); {
		one, after, _ := strings.Cut(rest, ",")
		two, _, _ := strings.Cut(after, ",")
		for _, value := range [...]string{one, rest[:len(one)+1+len(two)], after} {
			if d, ok := parseWait(value, date, now); ok {
				return d, true
			}
		}
		rest = after
	}
	return 0, false
}

// parseWait parses a number of seconds, a duration such as 1m30s, or a time, for which
// date replaces now.
func parseWait(v, date string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0, false
	}
	if d, ok := parseSeconds(v); ok {
		return d, true
	}
	at, ok := parseTime(v)
	if !ok {
		return 0, false
	}
	return until(at, date, now), true
}

// parseSeconds parses a number of seconds, or a duration such as 1m30s.
func parseSeconds(v string) (time.Duration, bool) {
	if v == "" || len(v) > maxWaitText {
		return 0, false
	}
	if d, ok := scaled(v, time.Second); ok {
		return d, true
	}
	d, err := time.ParseDuration(v)
	return d, err == nil && d >= 0
}

// until returns the time from now to at, or zero if at has passed. date, if it can be
// parsed, replaces now.
func until(at time.Time, date string, now time.Time) time.Duration {
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
	return times(n, unit), true
}

// times returns n units. Without rounding, 64.57 seconds would be a nanosecond shorter.
func times(n float64, unit time.Duration) time.Duration {
	return time.Duration(math.Round(n * float64(unit)))
}

// parseTime parses an HTTP date or a time as in RFC 3339.
func parseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	return parseDate(s)
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
