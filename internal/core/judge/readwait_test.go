package judge

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var arrival = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func (w Wait) text() string {
	switch {
	case w.Quota && w == (Wait{Quota: true}):
		return "quota"
	case w == Wait{}:
		return "none"
	}
	return fmt.Sprint(w.For, " ", w.From)
}

// TestWaitsOfServices reads the answers of testdata/waits.txt.
func TestWaitsOfServices(t *testing.T) {
	text, err := os.ReadFile("testdata/waits.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(text), "\n== ")[1:]
	if len(cases) < 40 {
		t.Fatalf("%d cases, want 40 or more", len(cases))
	}
	for _, c := range cases {
		lines := strings.Split(strings.TrimSpace(c), "\n")
		title, source, _ := strings.Cut(lines[0], " # ")
		t.Run(title, func(t *testing.T) {
			if !strings.HasPrefix(source, "https://") {
				t.Error("no source")
			}
			status, err := strconv.Atoi(lines[1])
			if err != nil {
				t.Fatal(err)
			}
			h, body, want := http.Header{}, "", ""
			for _, line := range lines[2:] {
				name, value, header := strings.Cut(line, ": ")
				switch {
				case strings.HasPrefix(line, "-> "):
					want = line[len("-> "):]
				case header && !strings.ContainsAny(name, `{ "`):
					h.Add(name, value)
				default:
					body = line
				}
			}
			if got := ReadWait(h, []byte(body), status, arrival).text(); got != want {
				t.Errorf("the wait is %s, want %s", got, want)
			}
		})
	}
}

func TestReadWait(t *testing.T) {
	long := strings.Repeat("0", 64) + "1"
	for _, c := range []struct {
		rule   string
		status int    // 429 if zero
		header string // "name: value", separated by |
		body   string
		want   string
	}{
		{rule: "a success has no wait", status: 299, header: "Retry-After: 5", want: "none"},
		{rule: "a redirect has that of a header", status: 300, header: "Retry-After: 5", want: "5s retry-after"},
		{rule: "but not that of a body", status: 399, body: `{"retry_after":5}`, want: "none"},
		{rule: "nor that of a reset", status: 399, header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "none"},
		{rule: "a reset counts with 400", status: 400, header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "5s x-ratelimit-reset"},
		{rule: "and with 401", status: 401, header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "5s x-ratelimit-reset"},
		{rule: "not with 404", status: 404, header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "none"},
		{rule: "nor with 503: the service may have done what was asked for", status: 503, header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "none"},
		{rule: "a body counts with 500", status: 500, body: `{"retry_after":5}`, want: "5s body: retry_after"},

		{rule: "the first good value counts", header: "Retry-After: soon|Retry-After: 7|Retry-After: 5", want: "7s retry-after"},
		{rule: "also within a value", header: "Retry-After: soon, 7, 5", want: "7s retry-after"},
		{rule: "also at its end", header: "Retry-After: soon, -1, 7", want: "7s retry-after"},
		{rule: "also a date, which has a comma", header: "Retry-After: x, Sun, 22 Nov 2026 10:00:30 GMT, 5", want: "30s retry-after"},
		{rule: "also a date at the end", header: "Retry-After: x, Sun, 22 Nov 2026 10:00:30 GMT", want: "30s retry-after"},
		{rule: "commas alone are no value", header: "Retry-After: ,,,", want: "none"},
		{rule: "a duration", header: "Retry-After: 1m30s", want: "1m30s retry-after"},
		{rule: "none that is negative", header: "Retry-After: -1m30s", want: "none"},
		{rule: "nor one that overflows", header: "Retry-After: 9999999h", want: "none"},
		{rule: "a time with an offset", header: "Retry-After: 2026-11-22T12:00:30+02:00", want: "30s retry-after"},
		{rule: "relative to Date", header: "Retry-After: 2026-11-22T10:00:30Z|Date: Sun, 22 Nov 2026 10:00:10 GMT", want: "20s retry-after"},
		{rule: "the milliseconds of Azure", header: "Retry-After: 1|X-Ms-Retry-After-Ms: 1250", want: "1.25s x-ms-retry-after-ms"},
		{rule: "what is no number of them does not count", header: "Retry-After: 1|X-Amz-Retry-After: x", want: "1s retry-after"},
		{rule: "a second value of them", header: "Retry-After: 1|Retry-After-Ms: x|Retry-After-Ms: 12", want: "12ms retry-after-ms"},
		{rule: "no wait is told, so none follows from a reset", header: "Retry-After: 0|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "none"},
		{rule: "nor is the body read", header: "Retry-After: 0", body: `{"retry_after":5}`, want: "none"},
		{rule: "garbage leaves it to the others", header: "Retry-After: x|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 5", want: "5s x-ratelimit-reset"},
		{rule: "a body wins over a reset", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 50", body: `{"retry_after":5}`, want: "5s body: retry_after"},
		{rule: "also if it asks for no wait", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 50", body: `{"retry_after":0}`, want: "none"},

		{rule: "what remains is unknown", header: "X-RateLimit-Remaining-Tokens: -1|X-RateLimit-Reset-Tokens: 5", want: "none"},
		{rule: "or is a word", header: "X-RateLimit-Remaining: none|X-RateLimit-Reset: 5", want: "none"},
		{rule: "or nothing", header: "X-RateLimit-Remaining: |X-RateLimit-Reset: 5", want: "none"},
		{rule: "or a dot", header: "X-RateLimit-Remaining: .|X-RateLimit-Reset: 5", want: "none"},
		{rule: "or too long", header: "X-RateLimit-Remaining: " + strings.Repeat("0", 65) + "|X-RateLimit-Reset: 5", want: "none"},
		{rule: "a fraction of nothing", header: "X-RateLimit-Remaining: 0.0|X-RateLimit-Reset: 5", want: "5s x-ratelimit-reset"},
		{rule: "a fraction is something", header: "X-RateLimit-Remaining: 0.5|X-RateLimit-Reset: 5", want: "none"},
		{rule: "a 429 without what remains", header: "RateLimit-Reset: 3", want: "3s ratelimit-reset"},
		{rule: "another status without it", status: 403, header: "RateLimit-Reset: 3", want: "none"},
		{rule: "one of several limits without it", header: "X-RateLimit-Reset-Requests: 3|Anthropic-RateLimit-Unified-5h-Reset: 1795341700", want: "none"},

		{rule: "of several the longest", header: "X-RateLimit-Remaining-A: 0|X-RateLimit-Reset-A: 5|X-RateLimit-Remaining-B: 0|X-RateLimit-Reset-B: 1m|X-RateLimit-Remaining-C: 1|X-RateLimit-Reset-C: 1h", want: "1m0s x-ratelimit-reset-b"},
		{rule: "a name that is too long", header: "X-RateLimit-Remaining-" + strings.Repeat("A", maxWaitText) + ": 0|X-RateLimit-Reset-" + strings.Repeat("A", maxWaitText) + ": 5", want: "none"},
		{rule: "of equal ones the first by its name", header: "X-RateLimit-Remaining-A: 0|X-RateLimit-Reset-A: 5|X-RateLimit-Remaining-B: 0|X-RateLimit-Reset-B: 5", want: "5s x-ratelimit-reset-a"},
		{rule: "the first good value of a reset", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: soon|X-RateLimit-Reset: 5|X-RateLimit-Reset: 7", want: "5s x-ratelimit-reset"},
		{rule: "none that is too long", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: " + long, want: "none"},
		{rule: "none that is negative", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: -5", want: "none"},
		{rule: "seconds of the Unix time", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1795341600.25", want: "250ms x-ratelimit-reset"},
		{rule: "relative to Date", header: "Date: Sun, 22 Nov 2026 09:59:00 GMT|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1795341600", want: "1m0s x-ratelimit-reset"},
		{rule: "which have passed", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1795341599", want: "none"},
		{rule: "the least of them", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 100000000", want: "none"},
		{rule: "milliseconds", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1795341600250", want: "250ms x-ratelimit-reset"},
		{rule: "what is larger is no time", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1795341600250000", want: "none"},
		{rule: "32 days", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 2764800", want: "768h0m0s x-ratelimit-reset"},
		{rule: "no longer", header: "X-RateLimit-Remaining: 0|X-RateLimit-Reset: 2764801", want: "none"},

		{rule: "a quoted name may have commas, semicolons and quotes", header: `RateLimit: "a,\";r=0;t=9";r=1;t=5, "b";r=0;t=7`, want: "7s ratelimit"},
		{rule: "without a time", header: `RateLimit: "a";r=0`, want: "none"},
		{rule: "without what remains", header: `RateLimit: "a";t=5`, want: "none"},
		{rule: "with a negative time", header: `RateLimit: "a";r=0;t=-5`, want: "none"},
		{rule: "with a point in time", header: `RateLimit: "a";r=0;t=1795341630`, want: "none"},
		{rule: "a name without quotes", header: `RateLimit: a;r=0;t=5`, want: "5s ratelimit"},
		{rule: "an open quote", header: `RateLimit: "a;r=0;t=5`, want: "none"},
		{rule: "512 bytes", header: `RateLimit: "` + strings.Repeat("a", 502) + `";r=0;t=5`, want: "5s ratelimit"},
		{rule: "not more", header: `RateLimit: "` + strings.Repeat("a", 503) + `";r=0;t=5`, want: "none"},

		{rule: "text is no JSON", body: `retry_after: 5`, want: "none"},
		{rule: "nor is space", body: "  \n", want: "none"},
		{rule: "nor is what breaks off", body: `{"retry_after":5`, want: "none"},
		{rule: "space around", body: " {\"retry_after\":5}\n", want: "5s body: retry_after"},
		{rule: "a string", body: `{"retry_after":"5"}`, want: "5s body: retry_after"},
		{rule: "a duration", body: `{"error":{"retry_after":"1m30s"}}`, want: "1m30s body: retry_after"},
		{rule: "null", body: `{"retry_after":null}`, want: "none"},
		{rule: "a negative number", body: `{"retry_after":-5}`, want: "none"},
		{rule: "a huge number is the longest", body: `{"retry_after":1e999}`, want: "2562047h47m16.854775807s body: retry_after"},
		{rule: "a long one is none", body: `{"retry_after":` + strings.Repeat("1", 65) + `}`, want: "none"},
		{rule: "an object is none", body: `{"retry_after":{}}`, want: "none"},
		{rule: "another type of a field leaves the others", body: `{"details":7,"message":[],"error":"x","parameters":"y","retry_after":5}`, want: "5s body: retry_after"},
		{rule: "an empty list", body: `[]`, want: "none"},
		{rule: "a list of others", body: `[1,{"retry_after":5}]`, want: "none"},
		{rule: "RetryInfo without a delay", body: `{"error":{"details":[{"@type":"google.rpc.RetryInfo"}],"retry_after":5}}`, want: "5s body: retry_after"},
		{rule: "a delay of something else", body: `{"error":{"details":[{"@type":"google.rpc.Help","retryDelay":"5s"}]}}`, want: "none"},
		{rule: "the error's own wait comes first", body: `{"retry_after":5,"error":{"retry_after":7}}`, want: "7s body: retry_after"},
		{rule: "a quota by its code", body: `{"code":"insufficient_quota"}`, want: "quota"},
		{rule: "a quota of another service", body: `{"error":{"type":"exceeded_current_quota_error"}}`, want: "quota"},
		{rule: "64 KiB of a body", body: `{"retry_after":5}` + strings.Repeat(" ", maxBody), want: "5s body: retry_after"},
		{rule: "not more", body: strings.Repeat(" ", maxBody) + `{"retry_after":5}`, want: "none"},
		{rule: "a deep body", body: `{"retry_after":5,"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}", want: "none"},
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(c.header, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				h.Add(name, value)
			}
		}
		if c.status == 0 {
			c.status = 429
		}
		if got := ReadWait(h, []byte(c.body), c.status, arrival).text(); got != c.want {
			t.Errorf("%s: the wait is %s, want %s\n%d %q %.80q", c.rule, got, c.want, c.status, c.header, c.body)
		}
	}
}

// plainAnswer has the headers of an answer that asks for no wait.
var plainAnswer = http.Header{
	"Content-Type": {"text/html"}, "Content-Length": {"512"}, "Date": {"Sun, 22 Nov 2026 10:00:00 GMT"}, "Server": {"nginx"},
	"Connection": {"keep-alive"}, "Vary": {"Origin"}, "X-Request-Id": {"1"}, "Strict-Transport-Security": {"max-age=1"},
	"Cf-Ray": {"1"}, "Cf-Cache-Status": {"DYNAMIC"}, "Via": {"1.1 x"}, "Alt-Svc": {"h3"},
}

var (
	unavailable = []byte("<html>unavailable</html>")
	limited     = []byte(`{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`)
)

func TestReadWaitAllocations(t *testing.T) {
	told := maps.Clone(plainAnswer)
	told["Retry-After"] = []string{"30"}
	for name, c := range map[string]struct {
		h      http.Header
		status int
	}{"success": {plainAnswer, 200}, "redirect": {plainAnswer, 302}, "500": {plainAnswer, 500}, "429": {plainAnswer, 429}, "Retry-After": {told, 429}} {
		for _, body := range [][]byte{nil, unavailable, limited} {
			if n := testing.AllocsPerRun(100, func() { ReadWait(c.h, body, c.status, arrival) }); n != 0 {
				t.Errorf("%s: %v allocations for the body %s", name, n, body)
			}
		}
	}
}

func BenchmarkReadWait(b *testing.B) {
	exhausted := maps.Clone(plainAnswer)
	for _, limit := range []string{"Requests", "Tokens"} {
		exhausted["X-Ratelimit-Remaining-"+limit], exhausted["X-Ratelimit-Reset-"+limit] = []string{"0"}, []string{"6m0s"}
	}
	told := []byte(`{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38s"}]}}`)
	for _, c := range []struct {
		name   string
		h      http.Header
		body   []byte
		status int
	}{{"200", plainAnswer, nil, 200}, {"500", plainAnswer, unavailable, 500}, {"429", plainAnswer, limited, 429},
		{"reset", exhausted, unavailable, 429}, {"body", plainAnswer, told, 429}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ReadWait(c.h, c.body, c.status, arrival)
			}
		})
	}
}

// FuzzWait reads headers from lines of "name: value". An http.Header has another order
// each time, on which the wait must not depend.
func FuzzWait(f *testing.F) {
	text, err := os.ReadFile("testdata/waits.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(text), "\n== ")[1:] {
		f.Add(c, c[max(0, strings.Index(c, "\n{")):], 429, arrival.Unix())
	}
	f.Add("Date: x\nRetry-After: Inf", `{"retry_after":1e400}`, 503, int64(0))
	f.Fuzz(func(t *testing.T, header, body string, status int, unix int64) {
		h := http.Header{}
		for line := range strings.SplitSeq(header, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			h.Add(name, value)
		}
		now := time.Unix(unix, 0)
		w := ReadWait(h, []byte(body), status, now)
		told := strings.HasPrefix(w.From, "body: ") || slices.Contains([]string{"retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after", "retry-after", "x-ratelimit-retry-after"}, w.From)
		switch {
		case w.For < 0, (w.For == 0) != (w.From == ""), w.Quota && w.For > 0, status < 300 && w != Wait{}:
			t.Errorf("the wait is %+v", w)
		case !told && w.For > maxReset:
			t.Errorf("the wait for a reset is %+v", w)
		}
		for range 3 {
			if again := ReadWait(h, []byte(body), status, now); again != w {
				t.Errorf("in another order %+v is %+v", w, again)
			}
		}
	})
}
