package embed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// inputOf is the texts of a request.
func inputOf(r faultserver.Request) []string {
	var in struct{ Input []string }
	_ = json.Unmarshal(r.Body, &in)
	return in.Input
}

// picky is a service that answers a request with a text that contains "poison" with this
// status and body.
func picky(t *testing.T, status int, body string, asked func(texts []string)) *faultserver.Server {
	t.Helper()
	return faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		texts := inputOf(r)
		if asked != nil {
			asked(texts)
		}
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "poison") }) {
			return faultserver.Answer{Status: status, ContentType: "application/json", Body: []byte(body)}
		}
		return faultserver.Embeddings(r)
	}))
}

// input writes texts, of which those are poison, to a file.
func input(t *testing.T, n int, poison func(i int) bool) string {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		if poison(i) {
			fmt.Fprintf(&lines, "t%d poison\n", i)
		} else {
			fmt.Fprintf(&lines, "t%d rye\n", i)
		}
	}
	return cmdtest.File(t, "in.txt", lines.String())
}

// Each of 30 chunks has a text that the service declines, at every place in turn. All others
// are embedded, and each is named, with at most 16 requests for a chunk.
func TestNamesDeclinedTexts(t *testing.T) {
	for _, status := range []int{400, 413, 422} {
		requests := make([]atomic.Int64, 30)
		server := picky(t, status, `{"error": {"message": "the text is not\nallowed", "type": "invalid_request_error"}}`, func(texts []string) {
			var n int
			fmt.Sscanf(texts[0], "t%d", &n)
			requests[n/100].Add(1)
		})
		poison := func(i int) bool { return i%100 == i/100*3%100 }
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		got, _, stderr := runEmbed(t, server, "", "--file", input(t, 3000, poison), "--out", file)
		vectors := readVectors(t, file)
		if got != exit.Failure || len(vectors) != 2970 || !strings.Contains(stderr, "\nholdfast: done 2,970 · declined 30 · failed 0 · attempts ") ||
			!strings.Contains(stderr, "\nholdfast: the service declined 30 texts; to ask for them again:\n") {
			t.Errorf("%d: exit status %d, %d embeddings, stderr %s; want 1 and 2970", status, got, len(vectors), stderr)
		}
		for _, v := range vectors {
			if poison(v.Index) {
				t.Errorf("%d: text %d has an embedding", status, v.Index)
			}
		}
		for i := range 3000 {
			name := fmt.Sprintf("holdfast: line %d \"t%d poison\": %d %s: the text is not allowed\n", i+1, i, status, http.StatusText(status))
			if named := strings.Contains(stderr, name); named != poison(i) {
				t.Errorf("%d: text %d: named %v, want %v", status, i, named, poison(i))
			}
		}
		for n := range requests {
			if made := requests[n].Load(); made > 16 {
				t.Errorf("%d: %d requests for chunk %d; want at most 16", status, made, n)
			}
		}
	}
}

// What every call would fail with is not halved.
func TestDoesNotHalve(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault.Fault
		want  int
		says  []string
		most  int // requests
	}{
		{"a wrong key", fault.Fault{Status: 401}, exit.Failure, []string{"not authorized", "left 1,"}, 4},
		{"no such model", fault.Fault{Status: 404, Body: `{"detail": "no such model"}`}, exit.Failure, []string{"not found", "no such model"}, 4},
		{"no money", fault.Fault{Status: 402}, exit.Failure, []string{"the quota of the service is used up: 402 Payment Required"}, 4},
		{"no quota", fault.Fault{Status: 429, Body: `{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}`}, exit.Failure,
			[]string{"the quota of the service is used up: 429 Too Many Requests: You exceeded your current quota; to continue"}, 4},
		{"no quota today", fault.Fault{Status: 429, Body: `{"error": {"message": "wait", "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDay"}]}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]}}`}, exit.Failure,
			[]string{"the quota of the service is used up: 429 Too Many Requests: wait"}, 4},
		{"a cooldown", fault.Fault{Status: 429, RetryAfter: time.Hour}, exit.TryAgain, []string{"the service asked to wait until ", " (1 h); to continue then"}, 4},
		{"an overload with a wait", fault.Fault{Status: 503, RetryAfter: 20 * time.Minute}, exit.TryAgain, []string{" (20 min); to continue then"}, 4},
		{"down", fault.Fault{Status: 500}, exit.TryAgain, []string{"the service is down (circuit breaker open"}, 4 * 14},
		{"down, and never up", fault.Fault{Reset: fault.BeforeAnswer}, exit.TryAgain, []string{"the service is down (circuit breaker open"}, 4 * 14},
		{"everything declined", fault.Fault{Status: 422, Body: `{"detail": [{"loc": ["body"], "msg": "dimensions: unknown"}]}`}, exit.Failure, []string{"lines ", "dimensions: unknown"}, 4*15 + 20},
	} {
		server := embeddings(t, fault.Rule{Fault: tt.fault})
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		status, _, stderr := runEmbed(t, server, "", "--file", input(t, 2000, func(int) bool { return false }), "--out", file)
		if status != tt.want || len(readVectors(t, file)) != 0 {
			t.Errorf("%s: exit status %d, stderr %s; want %d", tt.name, status, stderr, tt.want)
		}
		for _, say := range tt.says {
			if !strings.Contains(stderr, say) {
				t.Errorf("%s: stderr %s does not say %q", tt.name, stderr, say)
			}
		}
		if made := len(server.Record()); made > tt.most {
			t.Errorf("%s: %d requests; want at most %d", tt.name, made, tt.most)
		}
	}
}

// A text with which the service fails is found while others succeed, whatever the width is,
// and also in the last chunk. It is then at fault: a later run would fail again.
func TestNamesTextsThatFailAlone(t *testing.T) {
	for _, width := range []string{"1", "4"} {
		for _, at := range []int{0, 250, 599} {
			server := picky(t, 500, `{"error": "tokenizer crashed"}`, nil)
			poison := func(i int) bool { return i == at }
			file := filepath.Join(t.TempDir(), "vectors.ndjson")
			status, _, stderr := runEmbed(t, server, "", "--file", input(t, 600, poison), "--width", width, "--out", file)
			name := fmt.Sprintf("holdfast: line %d \"t%d poison\": 500 Internal Server Error: tokenizer crashed\n", at+1, at)
			if got := len(readVectors(t, file)); status != exit.Failure || got != 599 || !strings.Contains(stderr, name) || !strings.Contains(stderr, "done 599 · declined 1 · failed 0 ") {
				t.Errorf("text %d, width %s: exit status %d, %d embeddings, stderr %s; want 1, 599 and %q", at, width, status, got, stderr, name)
			}
			if entries, err := filepath.Glob(file + "?*"); len(entries) > 0 || err != nil {
				t.Errorf("text %d, width %s: %q is left", at, width, entries)
			}
		}
	}
}
