package dialect

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest wait that is believed.
const maxWait = 365 * 24 * time.Hour

// tellsWait reports whether a header tells a wait. The client reads it.
func tellsWait(h http.Header) bool {
	for _, name := range [...]string{"Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms", "X-Amz-Retry-After", "X-Ratelimit-Retry-After"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// waitPhrases come before the wait in a message, in lower case.
var waitPhrases = [...]string{"try again in ", "retry in ", "retry after "}

// waitIn reads the wait of a message, such as "Please try again in 1m2.5s." or "Please retry
// after 26 seconds." It is zero if there is none.
func waitIn(message string) time.Duration {
	lower := strings.ToLower(message[:min(len(message), maxRead)])
	for _, phrase := range waitPhrases {
		_, rest, ok := strings.Cut(lower, phrase)
		if !ok {
			continue
		}
		fields := strings.Fields(rest[:min(len(rest), 60)])
		if len(fields) == 0 {
			continue
		}
		number := strings.TrimRight(fields[0], ".,;")
		if d := parseWait(number); d > 0 {
			return d
		}
		if len(fields) > 1 {
			if unit, ok := units[strings.TrimRight(fields[1], ".,;")]; ok {
				if d := scale(number, unit); d > 0 {
					return d
				}
			}
		}
	}
	return 0
}

var units = map[string]time.Duration{
	"ms": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"second": time.Second, "seconds": time.Second, "second(s)": time.Second, "sec": time.Second,
	"minute": time.Minute, "minutes": time.Minute, "hour": time.Hour, "hours": time.Hour,
}

// parseWait parses a duration such as 1m2.5s.
func parseWait(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0
	}
	return d
}

// scale parses a number of units.
func scale(text string, unit time.Duration) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n <= float64(maxWait/unit)) {
		return 0
	}
	return time.Duration(math.Round(n * float64(unit)))
}
