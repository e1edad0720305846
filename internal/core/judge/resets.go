package judge

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// maxReset bounds the wait for the reset of a limit. A month is the longest period
	// that services count by, and a reset that is further away is none.
	maxReset = 32 * 24 * time.Hour
	// maxLimitsText bounds the text of a RateLimit header, which lists several limits.
	maxLimitsText = 512
	// minEpoch is the least number that is seconds of the Unix time, in 1973, and no
	// number of seconds from now, which would be three years.
	minEpoch = 1e8
	// minEpochMillis is the least number that is milliseconds of the Unix time, in 1973,
	// and no seconds of it, which would be in the year 5138.
	minEpochMillis = 1e11
	// maxEpochMillis is the same year in milliseconds.
	maxEpochMillis = 1e14
)

// readResets reads when the limits reset that are exhausted: the longest wait of them.
func readResets(h map[string][]string, status int, arrived time.Time) (w Wait) {
	for name, values := range h {
		var d time.Duration
		switch {
		case name == "Ratelimit":
			d = longestLimit(values)
		case isReset(name) && len(name) <= maxWaitText && isExhausted(h, name, status):
			d = firstReset(values, first(h["Date"]), arrived)
		}
		// A map has no order: of equal waits the first name counts.
		if d > 0 && d <= maxReset && (d > w.For || d == w.For && name < w.From) {
			w = Wait{For: d, From: name}
		}
	}
	w.From = strings.ToLower(w.From)
	return w
}

// isReset reports whether a header says when a limit resets: X-Ratelimit-Reset-Tokens
// or Anthropic-Ratelimit-Tokens-Reset, for example.
func isReset(name string) bool {
	return strings.Contains(name, "Reset") && (strings.Contains(name, "Ratelimit-") || strings.Contains(name, "Rate-Limit-"))
}

// isExhausted reports whether nothing remains of the limit that the header resets. What
// remains is told by a header with the same name, but for one word. Where the only limit
// has no such header, a 429 says it.
func isExhausted(h map[string][]string, reset string, status int) bool {
	only := false
	switch reset {
	case "X-Ratelimit-Reset-After", "Ratelimit-Resettime":
		reset, only = strings.TrimSuffix(strings.TrimSuffix(reset, "-After"), "time"), true
	case "X-Ratelimit-Reset", "X-Rate-Limit-Reset", "Ratelimit-Reset":
		only = true
	}
	remaining, ok := h[strings.Replace(reset, "Reset", "Remaining", 1)]
	if !ok {
		return only && status == 429
	}
	n, ok := number(first(remaining))
	return ok && n == 0
}

// firstReset returns the wait of the first value that can be parsed.
func firstReset(values []string, date string, now time.Time) time.Duration {
	for _, v := range values {
		if len(v) > maxWaitText {
			continue
		}
		n, ok := number(v)
		if !ok {
			if d, ok := parseWait(v, date, now); ok {
				return d
			}
			continue
		}
		switch {
		case n < minEpoch:
			return times(n, time.Second)
		case n < minEpochMillis:
			return until(time.UnixMicro(int64(math.Round(n*1e6))), date, now)
		case n < maxEpochMillis:
			return until(time.UnixMicro(int64(math.Round(n*1e3))), date, now)
		}
	}
	return 0
}

// number parses digits, with a fraction or without. A sign makes it none: -1 stands
// for what the service does not know.
func number(v string) (float64, bool) {
	v = strings.TrimSpace(v)
	if len(v) > maxWaitText || strings.Trim(v, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(v, 64)
	return n, err == nil
}

// A limit is a member of the RateLimit header.
type limit struct {
	remaining, reset float64 // -1 if the member does not say
}

func (l *limit) set(name, value string) {
	n, ok := number(value)
	if !ok {
		return
	}
	switch name {
	case "r", "remaining":
		l.remaining = n
	case "t", "reset":
		l.reset = n
	}
}

func (l *limit) wait() time.Duration {
	if l.remaining != 0 || l.reset < 0 || l.reset >= minEpoch {
		return 0
	}
	return times(l.reset, time.Second)
}

// longestLimit returns the longest wait of a RateLimit header: a list of limits such as
// "name";r=0;t=30 (draft-ietf-httpapi-ratelimit-headers-10), or one limit as in draft 7:
// limit=10, remaining=0, reset=30.
func longestLimit(values []string) (longest time.Duration) {
	for _, v := range values {
		if len(v) > maxLimitsText {
			continue
		}
		whole := limit{-1, -1}
		for v != "" {
			var member, param string
			member, v = cutOutsideQuotes(v, ',')
			if name, value, ok := strings.Cut(strings.TrimSpace(member), "="); ok {
				whole.set(name, value)
			}
			one := limit{-1, -1}
			for member != "" {
				param, member = cutOutsideQuotes(member, ';')
				name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
				one.set(name, value)
			}
			longest = max(longest, one.wait())
		}
		longest = max(longest, whole.wait())
	}
	return longest
}

// cutOutsideQuotes cuts s at the first sep that is in no quotation marks. after is empty
// if there is none.
func cutOutsideQuotes(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++ // the next byte is no quotation mark
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
