package wire

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, 0},
		{http.Header{"Retry-After": {"120"}}, 2 * time.Minute},
		{http.Header{"Retry-After": {" 1.5 "}}, 1500 * time.Millisecond},
		{http.Header{"Retry-After": {"0"}}, 0},
		{http.Header{"Retry-After": {"-5"}}, 0},
		{http.Header{"Retry-After": {"soon"}}, 0},
		{http.Header{"Retry-After": {"NaN"}}, 0},
		{http.Header{"Retry-After": {"9223372037"}}, 1<<63 - 1}, // overflows a Duration
		{http.Header{"Retry-After": {"1e300"}}, 1<<63 - 1},
		{http.Header{"Retry-After": {"1e999"}}, 1<<63 - 1},
		{http.Header{"Retry-After": {strings.Repeat("0", 63) + "1"}}, time.Second}, // just short enough
		{http.Header{"Retry-After": {strings.Repeat("1", 65)}}, 0},                 // no honest value
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 10:00:30 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 09:00:00 GMT"}}, 0}, // past
		{http.Header{"Retry-After": {"Sun, " + strings.Repeat(" ", 35) + "22 Nov 2026 10:00:30 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"Sun, " + strings.Repeat(" ", 36) + "22 Nov 2026 10:00:30 GMT"}}, 0}, // too long
		// A clock that is wrong by an hour on either side does no harm.
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 11:00:30 GMT"}, "Date": {"Sun, 22 Nov 2026 11:00:00 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"250"}}, 250 * time.Millisecond},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"0"}}, 0},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"x"}}, 7 * time.Second},
	} {
		if got := RetryAfter(c.header, now); got != c.want {
			t.Errorf("%v asks for %v, want %v", c.header, got, c.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"1", "-1", "9223372037", "1e400", "Sun, 06 Nov 1994 08:49:37 GMT", "NaN", "0x10"} {
		f.Add(v, v)
	}
	f.Fuzz(func(t *testing.T, seconds, ms string) {
		if d := RetryAfter(http.Header{"Retry-After": {seconds}, "Retry-After-Ms": {ms}}, time.Now()); d < 0 {
			t.Errorf("%q, %q ask for %v", seconds, ms, d)
		}
	})
}

func TestShouldRetry(t *testing.T) {
	for v, want := range map[string][2]bool{"true": {true, true}, "FALSE": {false, true}, "": {false, false}, "maybe": {false, false}} {
		again, said := ShouldRetry(http.Header{"X-Should-Retry": {v}})
		if [2]bool{again, said} != want {
			t.Errorf("%q says %v, %v", v, again, said)
		}
	}
}
