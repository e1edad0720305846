package judge

import (
	"math"
	"strings"
	"testing"
	"time"
)

const longest = time.Duration(math.MaxInt64)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		rule            string
		ms, after, date string
		want            time.Duration
	}{
		{rule: "nothing is asked for"},
		{rule: "seconds", after: "120", want: 2 * time.Minute},
		{rule: "and parts of them, with space around", after: " 1.5 ", want: 1500 * time.Millisecond},
		{rule: "none of them", after: "0"},
		{rule: "nor less than none", after: "-0"},
		{rule: "a negative number is no wait", after: "-5"},
		{rule: "nor is a word", after: "soon"},
		{rule: "or space", after: "  "},
		{rule: "or what is no number", after: "NaN"},

		{rule: "what just fits is the largest", after: "9223372036", want: longest},
		{rule: "what is a second below is not, but is rounded", after: "9223372035", want: 9223372035*time.Second + 512},
		{rule: "what overflows is the largest", after: "9223372037", want: longest},
		{rule: "by far", after: "1e300", want: longest},
		{rule: "for a float64, too", after: "1e999", want: longest},
		{rule: "infinity by its name", after: "Inf", want: longest},
		{rule: "negative infinity", after: "-Inf"},
		{rule: "below what a float64 can have", after: "-1e999"},

		{rule: "64 bytes are parsed", after: strings.Repeat("0", 63) + "1", want: time.Second},
		{rule: "after the space", after: strings.Repeat(" ", 9) + strings.Repeat("0", 63) + "1", want: time.Second},
		{rule: "65 are not", after: strings.Repeat("0", 64) + "1"},

		{rule: "a date", after: "Sun, 22 Nov 2026 10:00:30 GMT", want: 30 * time.Second},
		{rule: "in the form of RFC 850", after: "Sunday, 22-Nov-26 10:00:30 GMT", want: 30 * time.Second},
		{rule: "and in that of C", after: "Sun Nov 22 10:00:30 2026", want: 30 * time.Second},
		{rule: "with one digit", after: "Thu Nov 26 10:00:00 2026", want: 96 * time.Hour},
		{rule: "a date without GMT is none", after: "Sun, 22 Nov 2026 10:00:30"},
		{rule: "a date that has passed", after: "Sun, 22 Nov 2026 09:00:00 GMT"},
		{rule: "64 bytes of a date", after: "Sun, " + strings.Repeat(" ", 35) + "22 Nov 2026 10:00:30 GMT", want: 30 * time.Second},
		{rule: "and 65", after: "Sun, " + strings.Repeat(" ", 36) + "22 Nov 2026 10:00:30 GMT"},
		{rule: "a date that no Duration reaches", after: "Sun, 22 Nov 9999 10:00:30 GMT", want: longest},

		{rule: "a clock that is an hour fast does no harm",
			after: "Sun, 22 Nov 2026 11:00:30 GMT", date: "Sun, 22 Nov 2026 11:00:00 GMT", want: 30 * time.Second},
		{rule: "nor one that is slow",
			after: "Sun, 22 Nov 2026 09:00:30 GMT", date: "Sunday, 22-Nov-26 09:00:00 GMT", want: 30 * time.Second},
		{rule: "nor one that cannot be read", after: "Sun, 22 Nov 2026 10:00:30 GMT", date: "noon", want: 30 * time.Second},
		{rule: "seconds need no clock", after: "7", date: "Sun, 22 Nov 2026 11:00:00 GMT", want: 7 * time.Second},

		{rule: "milliseconds come first", ms: "250", after: "7", want: 250 * time.Millisecond},
		{rule: "with space around", ms: " 250 ", after: "7", want: 250 * time.Millisecond},
		{rule: "and alone", ms: "250", want: 250 * time.Millisecond},
		{rule: "none of them", ms: "0", after: "7"},
		{rule: "what just fits is the largest", ms: "9223372036854", want: longest},
		{rule: "what is one below is not, but is rounded", ms: "9223372036853", want: 9223372036853*time.Millisecond + 192},
		{rule: "what is no number does not count", ms: "x", after: "7", want: 7 * time.Second},
		{rule: "nor what is negative", ms: "-1", after: "7", want: 7 * time.Second},
		{rule: "nor a date", ms: "Sun, 22 Nov 2026 10:00:30 GMT", after: "7", want: 7 * time.Second},
		{rule: "nor what is too long", ms: strings.Repeat("0", 64) + "1", after: "7", want: 7 * time.Second},
		{rule: "64 bytes do", ms: strings.Repeat("0", 63) + "1", after: "7", want: time.Millisecond},
	} {
		if got := RetryAfter(c.ms, c.after, c.date, now); got != c.want {
			t.Errorf("%s: ms %q, after %q, date %q ask for %v, want %v", c.rule, c.ms, c.after, c.date, got, c.want)
		}
	}
}

// Most unsendable ask for nothing, and those that do ask for seconds.
func TestRetryAfterAllocations(t *testing.T) {
	var now time.Time
	for _, c := range [][2]string{{"", ""}, {"250", ""}, {"", "30"}} {
		if n := testing.AllocsPerRun(100, func() { RetryAfter(c[0], c[1], "", now) }); n != 0 {
			t.Errorf("%q: %v allocations", c, n)
		}
	}
	advice := NoAdvice
	if n := testing.AllocsPerRun(100, func() { advice = ParseAdvice("false") }); n != 0 || advice != DoNotRetry {
		t.Errorf("advice: %v allocations", n)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{
		"", "1", "-1", "9223372037", "1e400", "-1e400", "Inf", "NaN", "0x10", "0x1p9999", "1_0", " 2 ",
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
	} {
		f.Add(v, v, v, int64(784111777))
	}
	f.Fuzz(func(t *testing.T, ms, after, date string, unix int64) {
		if d := RetryAfter(ms, after, date, time.Unix(unix, 0)); d < 0 {
			t.Errorf("%q, %q, %q at %d ask for %v", ms, after, date, unix, d)
		}
	})
}

func TestParseAdvice(t *testing.T) {
	for value, want := range map[string]Advice{
		"true": RetryIt, "True": RetryIt, "false": DoNotRetry, "FALSE": DoNotRetry, "": NoAdvice, "maybe": NoAdvice, "1": NoAdvice,
		" true": NoAdvice,
	} {
		if got := ParseAdvice(value); got != want {
			t.Errorf("%q is %d, want %d", value, got, want)
		}
	}
}
