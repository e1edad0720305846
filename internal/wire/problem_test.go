package wire

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseProblem(t *testing.T) {
	whole := Problem{"t", "T", "D", "i"}
	long := strings.Repeat("ä", 4000)
	for _, c := range []struct {
		media, body string
		want        Problem
	}{
		{"application/problem+json", `{"type":"t","title":"T","detail":"D","instance":"i"}`, whole},
		{"Application/Problem+JSON; charset=utf-8", `{"type":"t","title":"T","detail":"D","instance":"i","status":"x"}`, whole},
		{"application/problem+json; charset", `{"title":"T"}`, Problem{Title: "T"}},
		{"application/json", `{"type":"t"}`, Problem{}},
		{"", `{"type":"t"}`, Problem{}},
		{"application/problem+json", `{"type":1,"title":null,"detail":["x"],"instance":{}}`, Problem{}},
		{"application/problem+json", `{"type":"t","title":"T`, Problem{}}, // cut off
		{"application/problem+json", `["type"]`, Problem{}},
		{"application/problem+json", ``, Problem{}},
		{"application/problem+json", `{"detail":"` + long + `"}`, Problem{Detail: long[:maxProblemText]}},
		{"application/problem+json", `{"detail":"x` + long + `"}`, Problem{Detail: "x" + long[:maxProblemText-2]}}, // not half a character
	} {
		if got := ParseProblem(http.Header{"Content-Type": {c.media}}, []byte(c.body)); got != c.want {
			t.Errorf("%s %.60s: %+.60v", c.media, c.body, got)
		}
	}
}

func FuzzProblem(f *testing.F) {
	for _, s := range []string{`{"type":"t"}`, `{"title":"\ud800","detail":"\u0000"}`, `{"type":"a","type":"b"}`, `{"instance":"` + strings.Repeat("x", 5000) + `"}`, `[[[[`, `{"":`} {
		f.Add("application/problem+json", []byte(s))
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		p := ParseProblem(http.Header{"Content-Type": {media}}, body)
		for _, s := range []string{p.Type, p.Title, p.Detail, p.Instance} {
			if len(s) > maxProblemText || !utf8.ValidString(s) {
				t.Errorf("%q", s)
			}
		}
	})
}
