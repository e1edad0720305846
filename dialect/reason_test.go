package dialect

import (
	"strings"
	"testing"
	"time"
)

func TestReason(t *testing.T) {
	long := strings.Repeat("ä", 150)
	for in, want := range map[string]string{
		"":                    "",
		" two\n\tlines\x00 ":  "two lines",
		"a\x1b[31mred\u202ex": "a [31mred x",
		"not \xff valid":      "not valid",
		long:                  strings.Repeat("ä", 98) + "…",
		"Incorrect API key provided: sk-proj-abc. See https://x/keys.":     "Incorrect API key provided: [hidden]. See https://x/keys.",
		"Incorrect API key provided: hunter2.":                             "Incorrect API key provided: [hidden].",
		"Incorrect API key provided: sk-ab***yz.":                          "Incorrect API key provided: [hidden].",
		"key AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY is not valid":         "key [hidden] is not valid",
		"Authorization: Bearer abc was declined":                           "Authorization: [hidden] [hidden] was declined",
		"GET https://x/y?api_key=abc&b=1 failed":                           "GET [hidden] failed",
		`{"token":"abc"} is wrong`:                                         "[hidden] is wrong",
		"the key sk-ab***yz, ab•••yz":                                      "the key [hidden], [hidden]",
		"token: abc":                                                       "token: [hidden]",
		"ghp_0123456789 and (github_pat_1234) and 'AKIAIOSFODNN7EXAMPLE'":  "[hidden] and [hidden] and [hidden]",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x":                           "[hidden]",
		"of 0123456789abcdef0123456789abcdef, it":                          "of [hidden], it",
		"The model gpt-4o-mini-2024-07-18 does not exist":                  "The model gpt-4o-mini-2024-07-18 does not exist",
		"model: anthropic.claude-3-5-sonnet-20241022-v2:0":                 "model: anthropic.claude-3-5-sonnet-20241022-v2:0",
		"request req_1, 30,000 tokens (TPM): Limit 30000, Requested 1600.": "request req_1, 30,000 tokens (TPM): Limit 30000, Requested 1600.",
		"id 123e4567-e89b-12d3-a456-426614174000":                          "id 123e4567-e89b-12d3-a456-426614174000",
		"Quota exceeded for generate_content_free_tier_requests, limit: 0": "Quota exceeded for generate_content_free_tier_requests, limit: 0",
		strings.Repeat("a ", 498) + "sk-12345678":                          strings.Repeat("a ", 98) + "a…",
	} {
		if got := reason(in); got != want {
			t.Errorf("%q is\n%q, want\n%q", in, got, want)
		}
	}
}

// A key at the place where the text is cut shows no part of itself.
func TestReasonCutsNoKey(t *testing.T) {
	const key = "sk-proj-Zy9876543210ZyXwVu"
	for n := range maxRead + 20 {
		got := reason(strings.Repeat("x", n%90) + " " + strings.Repeat("lorem ipsum ", n/12) + " " + key + " end")
		if strings.Contains(got, "sk-") || len(got) > maxReason {
			t.Fatalf("%d: %q", n, got)
		}
	}
	if got := reason(strings.Repeat("0a", maxRead/2-4) + " abcdefg-" + key); got != hidden+"…" {
		t.Errorf("%q", got)
	}
}

func TestWaitIn(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"Please try again in 1.2s. Visit":       1200 * time.Millisecond,
		"Please try again in 6ms.":              6 * time.Millisecond,
		"Please try again in 7m12s.":            7*time.Minute + 12*time.Second,
		"Please try again in 1h2m3.5s,":         time.Hour + 2*time.Minute + 3500*time.Millisecond,
		"Please retry after 26 seconds. Please": 26 * time.Second,
		"Please retry in 20.04466179s.":         20044661790,
		"please RETRY AFTER 1 minute":           time.Minute,
		"retry after 2 hours.":                  2 * time.Hour,
		"retry after 250 ms":                    250 * time.Millisecond,
		"retry after 5 second(s)":               5 * time.Second,
		"Try again in a few minutes":            0,
		"try again in -5s":                      0,
		"try again in 0s":                       0,
		"try again in 99999999999999h":          0,
		"try again in 9000h":                    0,
		"retry after 1e300 seconds":             0,
		"retry after NaN seconds":               0,
		"retry after Inf seconds":               0,
		"retry after -3 seconds":                0,
		"retry after 5 m":                       0,
		"retry after ":                          0,
		"retry after 5":                         0,
		"":                                      0,
		"try again in a while, retry after 4 s": 0,
		"try again in a while. retry in 4s":     4 * time.Second,
	} {
		if got := waitIn(in); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
}

func TestMember(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"error":1}`, "1"},
		{` { "a" : [1,{"error":2}] , "error" : {"b":"}"} , "c":3}`, `{"b":"}"}`},
		{`{"a":"\"error\":1","error":"\\"}`, `"\\"`},
		{`{"a":"\\","error":true}`, "true"},
		{`{"error":[[]],"cut":{`, "[[]]"},
		{`{"a":{"error":1}}`, ""},
		{`{"a":"error"}`, ""},
		{`["error"]`, ""},
		{`[{"error":1}]`, ""},
		{`{"error":{"a":`, ""},
		{`{"error":"cut`, ""},
		{`{"error"`, ""},
		{`{"error":`, ""},
		{`{"a" 1,"error":2}`, ""},
		{`{a:1,"error":2}`, ""},
		{`{"a":1;"error":2}`, ""},
		{`{`, ""}, {``, ""}, {`{}`, ""}, {`{"`, ""}, {`{"\`, ""},
	} {
		if got := string(member([]byte(tt.text), "error")); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestElements(t *testing.T) {
	for text, want := range map[string]string{
		`[1, "a,]" ,{"b":[2]},[]]`: `1|"a,]"|{"b":[2]}|[]`,
		`[]`:                       "", ` [ 1 ] `: "1", `[1,{"cut"`: "1", `{}`: "", ``: "", `[`: "", `[1 2]`: "1",
	} {
		var all []string
		for e := range elements([]byte(text)) {
			all = append(all, string(e))
		}
		if got := strings.Join(all, "|"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
