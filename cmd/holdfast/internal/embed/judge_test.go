package embed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// answering is a service that answers with these vectors, each a JSON list, for each text.
func answering(t *testing.T, vectors func(text string) string) *faultserver.Server {
	t.Helper()
	return faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		var data []string
		for i, text := range inputOf(r) {
			if v := vectors(text); v != "" {
				data = append(data, fmt.Sprintf(`{"index": %d, "embedding": %s}`, i, v))
			}
		}
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"data": [` + strings.Join(data, ", ") + "]}")}
	}))
}

// Vectors of two lengths, and answers with too few vectors, are not output.
func TestUnusableAnswers(t *testing.T) {
	odd := func(vector string) func(string) string {
		return func(text string) string {
			if strings.HasPrefix(text, "t7 ") {
				return vector
			}
			return "[1, 2, 3]"
		}
	}
	for _, tt := range []struct {
		name    string
		vectors func(string) string
		args    []string
		done    int
		says    []string
	}{
		{"two lengths in one answer", odd("[1, 2]"), []string{"--chunk", "20"}, 0,
			[]string{"lines 1 to 20: content: vectors of 3 and of 2 numbers came back in one answer", "done 0 · unusable 20 · failed 0 ", "the answers for 20 texts cannot be used"}},
		{"two lengths in two answers", odd("[1, 2]"), []string{"--chunk", "1", "--width", "1"}, 19,
			[]string{`line 8 "t7 rye": content: a vector of 2 numbers came back: must be 3, as the others are`, "done 19 · unusable 1 · failed 0 "}},
		{"one text of another length", odd("[1, 2]"), []string{"--chunk", "5", "--width", "1"}, 19,
			[]string{`line 8 "t7 rye": content: a vector of 2 numbers came back: must be 3`, "done 19 · unusable 1 · failed 0 ", "the answers for 1 text cannot be used; to ask for it again"}},
		{"a vector too few", odd(""), []string{"--chunk", "5", "--width", "1"}, 19, []string{`line 8 "t7 rye": `, "1 texts were sent, 0 embeddings came back", "done 19 · unusable 1 "}},
		{"no vectors at all", func(string) string { return "" }, []string{"--chunk", "5"}, 0, []string{"lines 1 to 5: ", "done 0 · unusable 20 "}},
		{"an undecodable vector", odd(`"AAAA"`), []string{"--chunk", "5", "--width", "1"}, 19, []string{`line 8 "t7 rye": `, "could not be decoded", "done 19 · unusable 1 "}},
	} {
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		status, _, stderr := runEmbed(t, answering(t, tt.vectors), "", append(tt.args, "--file", input(t, 20, func(int) bool { return false }), "--out", file)...)
		vectors := readVectors(t, file)
		if status != exit.Failure || len(vectors) != tt.done {
			t.Errorf("%s: exit status %d, %d embeddings, stderr %s; want %d", tt.name, status, len(vectors), stderr, tt.done)
		}
		for _, v := range vectors {
			if len(v.Embedding) != 3 {
				t.Errorf("%s: %+v is output", tt.name, v)
			}
		}
		for _, say := range tt.says {
			if !strings.Contains(stderr, say) {
				t.Errorf("%s: stderr %s does not say %q", tt.name, stderr, say)
			}
		}
	}
}

// Whatever the provider checks: a batch writes no vector that is not of a text.
func TestCountsVectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 3} {
			b, out, messages := newBatch(nil)
			b.embed = func(context.Context, []string, ...holdfast.CallOption) ([][]float32, error) {
				return slices.Repeat([][]float32{{1, 2}}, n), nil
			}
			if err := b.run(t.Context(), textsOf("a", "b"), 2, &previousRun{}); exit.StatusOf(err) != exit.Failure || out.Len() > 0 || !strings.Contains(messages.String(), "content: 2 texts were sent, ") {
				t.Errorf("%d vectors: %v, output %q, messages %q", n, err, out, messages)
			}
		}
	})
}

// A run does not append vectors of another length to a file, and asks only once for each
// concurrent call.
func TestResumesWithAnotherLength(t *testing.T) {
	lines := input(t, 100, func(int) bool { return false })
	file := filepath.Join(t.TempDir(), "vectors.ndjson")
	three := answering(t, func(text string) string {
		if strings.HasPrefix(text, "t5") {
			return "[1, 2]"
		}
		return "[1, 2, 3]"
	})
	if status, _, stderr := runEmbed(t, three, "", "--file", lines, "--chunk", "1", "--width", "1", "--out", file); status != exit.Failure {
		t.Fatalf("exit status %d, stderr %s", status, stderr)
	}
	before := len(readVectors(t, file))
	two := answering(t, func(string) string { return "[1, 2]" })
	status, _, stderr := runEmbed(t, two, "", "--file", lines, "--chunk", "1", "--width", "1", "--resume", file)
	const says = "content: the service answers with vectors of 2 numbers, but those of the file have 3: must be the same model and service as before"
	if after := len(readVectors(t, file)); status != exit.Failure || after != before || !strings.Contains(stderr, says) || len(two.Record()) != 1 {
		t.Errorf("exit status %d, %d and %d embeddings, %d requests, stderr %s; want %q after 1", status, before, after, len(two.Record()), stderr, says)
	}
	mixed := cmdtest.File(t, "vectors.ndjson", `{"index":0,"hash":"0000000000000001","model":"mxbai-embed-large-v1","embedding":[1,2,3]}
{"index":1,"hash":"0000000000000001","model":"mxbai-embed-large-v1","embedding":[1,2]}
`)
	if status, _, stderr := runEmbed(t, two, "", "--file", lines, "--resume", mixed); status != exit.Config || !strings.Contains(stderr, "line 2 has a vector of 2 numbers: must be 3, as in the lines before") {
		t.Errorf("a file with two lengths: exit status %d, stderr %s", status, stderr)
	}
}

// The reason is found wherever services put it, within bounds, and without credentials.
func TestReason(t *testing.T) {
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/json", `{"error": {"message": "too long", "type": "x"}}`, "too long"},
		{"application/json", `{"error": "too long"}`, "too long"},
		{"application/json", `{"detail": "too\n long"}`, "too long"},
		{"application/json", `{"detail": [{"loc": ["body", "input", 3], "msg": "too long"}]}`, "too long"},
		{"application/json", `{"errors": [{"detail": "too long"}], "status": 400}`, "too long"},
		{"application/json", `{"message": "too long"}`, "too long"},
		{"application/json", `{"title": "too long"}`, "too long"},
		{"application/json", `[{"error": {"code": 400, "message": "too long"}}]`, "too long"},
		{"text/plain; charset=utf-8", "too long\n", "too long"},
		{"text/plain", "Bad Request", ""},
		{"text/html", "<h1>too long</h1>", ""},
		{"application/json", `"too long"`, ""},
		{"application/json", `{"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}`, ""},
		{"application/json", `{"error": {}}`, ""},
		{"application/json", `{"error": `, ""},
	} {
		err := &holdfast.StatusError{Status: 400, Header: http.Header{"Content-Type": {tt.contentType}}, Body: []byte(tt.body)}
		if got := said(err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.body, got, tt.want)
		}
	}
	j := judge{hide: hideCredentials(holdfast.Config{Header: http.Header{"Authorization": {"Bearer " + cmdtest.Secret}}})}
	err := &holdfast.StatusError{Status: 422, Body: []byte(`{"error": "no key ` + cmdtest.Secret + " \x1b[2J" + strings.Repeat("x", 1000) + `"}`)}
	err.Body = []byte(strings.ReplaceAll(string(err.Body), "\x1b", `\u001b`))
	if got := j.reason(err); !strings.HasPrefix(got, "422 Unprocessable Entity: no key [hidden] �[2Jxxx") || len([]rune(got)) != maxReason {
		t.Errorf("reason %q", got)
	}
}

func TestClockTime(t *testing.T) {
	now := time.Date(2026, 5, 4, 13, 5, 20, 0, time.UTC)
	for after, want := range map[time.Duration]string{
		58 * time.Minute: "14:03 (58 min)", time.Hour: "14:05 (1 h)", 125 * time.Minute: "15:10 (2 h 5 min)",
		45 * time.Second: "13:06:05 (45 s)", 100 * time.Second: "13:07:00 (2 min)", 12 * time.Hour: "5 May 01:05 (12 h)",
	} {
		if got := clockTime(now.Add(after), now); got != want {
			t.Errorf("%v: %q, want %q", after, got, want)
		}
	}
}
