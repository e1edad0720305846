package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// lossy is a bad day: the service asks for patience once, and every ninth answer is
// lost after the work was done.
func lossy() fault.Plan {
	rules := []fault.Rule{{Nth: "20-25", Fault: fault.Fault{Status: 429, RetryAfter: 150 * time.Millisecond, RetryAfterAs: fault.RetryMillis}}}
	for n := 9; n < 300; n += 9 {
		rules = append(rules, fault.Rule{Nth: strconv.Itoa(n), Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}})
	}
	return fault.Plan{Pace: []fault.Pace{{Latency: fault.Latency{Fixed: 5 * time.Millisecond}}}, Rules: rules}
}

// dying is well for 25 requests and then gone; half of what it takes it still does.
var dying = fault.Plan{Rules: []fault.Rule{{Nth: "26-", Fault: fault.Fault{Mix: []fault.Choice{
	{Weight: 1, Fault: fault.Fault{Reset: fault.BeforeAnswer}},
	{Weight: 1, Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}},
}}}}}

// 10,000 texts in three runs: the first is interrupted, the second meets an outage,
// the third comes to the end, and each goes on with the command that the one before
// has printed. With go test -v it prints the figures.
func TestEmbedTenThousand(t *testing.T) {
	const texts, size = 10_000, 100
	ctx, ctrlC := context.WithCancel(t.Context())
	defer ctrlC()
	var asked atomic.Int64
	server := faultserver.Start(t, lossy(), faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		if asked.Add(1) == 35 {
			ctrlC()
		}
		return faultserver.Embeddings(r)
	}))
	t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
	settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"mixedbread": {"base_url": "%s/v1",
		"retry": {"max_retries": 6, "base_delay": "5ms", "max_delay": "40ms"}, "breaker": {"failure_threshold": 4}}}}`, server.URL()))
	folder := t.TempDir()
	input, vectors := filepath.Join(folder, "texts.ndjson"), filepath.Join(folder, "vectors.ndjson")
	writeTexts(t, input, texts)

	var figures strings.Builder
	before := 0
	embed := func(ctx context.Context, what string, want int, args []string) (again []string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		began := time.Now()
		status := program.Run(ctx, args, &stdout, &stderr)
		if status != want || stdout.Len() > 0 || strings.Contains(stderr.String(), cmdtest.Secret) {
			t.Fatalf("%s: exit status %d, stdout %q, stderr %q; want %d", what, status, &stdout, &stderr, want)
		}
		now, effects := len(readVectors(t, vectors)), server.Effects()
		fmt.Fprintf(&figures, "\n  %-12s exit %3d  %6s embedded, %6s in all   requests %4d   work done %3d, twice %d   in %s",
			what, status, format.Number(now-before), format.Number(now), len(server.Record()), effects.Done, effects.Duplicates, format.Duration(time.Since(began)))
		if want != 0 && (now == before || now == texts) {
			t.Errorf("%s: %d embeddings more, %d in all: it was to be stopped on its way", what, now-before, now)
		}
		before = now
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return strings.Fields(lines[len(lines)-1])[1:]
	}
	again := embed(ctx, "interrupted", exit.Interrupted, []string{"embed", "--config", settings, "--file", input, "--chunk", strconv.Itoa(size), "--out", vectors})
	if err := server.SetPlan(dying); err != nil {
		t.Fatal(err)
	}
	again = embed(t.Context(), "outage", exit.TryAgain, again)
	if err := server.SetPlan(lossy()); err != nil {
		t.Fatal(err)
	}
	embed(t.Context(), "to the end", 0, again)

	got := readVectors(t, vectors)
	slices.SortFunc(got, func(a, b vector) int { return a.Index - b.Index })
	if len(got) != texts {
		t.Fatalf("%d embeddings; want %d", len(got), texts)
	}
	for i, v := range got {
		if v.Index != i || string(v.ID) != fmt.Sprintf(`"doc-%d"`, i) || !slices.Equal(v.Embedding, vectorOf(t, textOf(i))) {
			t.Fatalf("embedding %d is %+v; want that of its text, once", i, v)
		}
	}
	// Every chunk is one piece of work, known by its texts.
	effects := server.Effects()
	if effects.Done != texts/size || effects.Duplicates != 0 || effects.Untracked != 0 {
		t.Errorf("effects %+v; want %d pieces of work, none twice", effects, texts/size)
	}
	if effects.Resent == 0 {
		t.Error("no chunk was sent again after its work was done: nothing was put to the test")
	}
	t.Logf("%s texts, %d chunks of %d:%s\n  %d chunks were sent again %s after their work was done, and none was done twice",
		format.Number(texts), texts/size, size, &figures, repeatedChunks(server), format.Plural(effects.Resent, "time"))
}

// repeatedChunks is how many were asked for more than once.
func repeatedChunks(server *faultserver.Server) int {
	times, repeated := map[string]int{}, 0
	for _, a := range server.Record() {
		if times[a.RequestID]++; times[a.RequestID] == 2 {
			repeated++
		}
	}
	return repeated
}

// textOf begins with a word of its own, by which the fault server knows the work.
func textOf(i int) string { return fmt.Sprintf("t%d how is bread number %d made?", i, i) }

func writeTexts(t *testing.T, path string, n int) {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, "{\"id\": \"doc-%d\", \"text\": %q}\n", i, textOf(i))
	}
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// vectorOf is what the service answers for one text.
func vectorOf(t *testing.T, text string) []float32 {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": "mxbai-embed-large-v1", "input": []string{text}})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Data []struct{ Embedding []float32 }
	}
	answer := faultserver.Embeddings(faultserver.Request{Method: "POST", Path: "/v1/embeddings", Body: body})
	if err := json.Unmarshal(answer.Body, &out); err != nil || len(out.Data) != 1 {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return out.Data[0].Embedding
}

// readVectors reads an output, whose lines must all be whole.
func readVectors(t *testing.T, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseVectors(t, string(data))
}

func parseVectors(t *testing.T, lines string) []vector {
	t.Helper()
	var all []vector
	for line := range strings.Lines(lines) {
		var v vector
		if err := json.Unmarshal([]byte(line), &v); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%v in line %q", err, line)
		}
		all = append(all, v)
	}
	return all
}
