package embed

import (
	"bytes"
	"context"
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

// Some failures end a batch, others do not.
func TestStops(t *testing.T) {
	on := func(nth string, status int) fault.Rule {
		return fault.Rule{Nth: nth, Fault: fault.Fault{Status: status}}
	}
	for _, tt := range []struct {
		name string
		rule fault.Rule
		want int
		says []string
		done int
	}{
		{"a wrong key", on("", 401), exit.Failure, []string{"not authorized after 1 attempt", "401 Unauthorized; to continue", "done 0 · failed 1 · left 59 · attempts 1 "}, 0},
		{"no such model", on("3-", 404), exit.Failure, []string{"not found", "done 2 · failed 1 · left 57"}, 2},
		{"a text refused", on("2", 422), exit.Failure, []string{"holdfast: line 2 \"rye\": 422 Unprocessable Entity\n", "the service declined 1 text; to ask for it again", "done 59 · declined 1 · failed 0 · attempts 60"}, 59},
		{"a text too long", on("2", 413), exit.Failure, []string{"the service declined 1 text", "done 59 · declined 1"}, 59},
		{"all refused", on("", 422), exit.Failure, []string{"holdfast: line 1 \"rye\": 422 Unprocessable Entity\n", "the service declined 20 chunks in a row; to continue", "done 0 · declined 20 · failed 0 · left 40 · attempts 20"}, 0},
		{"a bad moment", on("2-5", 500), exit.TryAgain, []string{"holdfast: line 2: POST /v1/embeddings: server error after 4 attempts", "some texts failed", "done 59 · failed 1 · attempts 63"}, 59},
		{"an outage", on("6-", 500), exit.TryAgain, []string{"the service is down (circuit breaker open until ", "done 5 · failed 10 · left 45 · attempts 45"}, 5},
		{"throttled for good", fault.Rule{Nth: "6-", Fault: fault.Fault{Status: 429}}, exit.TryAgain, []string{"20 chunks in a row failed", "done 5 · failed 20 · left 35"}, 5},
	} {
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		input := cmdtest.File(t, "in.txt", strings.Repeat("rye\n", 60))
		status, _, stderr := runEmbed(t, embeddings(t, tt.rule), "", "--file", input, "--chunk", "1", "--width", "1", "--out", file)
		if status != tt.want || len(readVectors(t, file)) != tt.done {
			t.Errorf("%s: exit status %d, stderr %q; want %d", tt.name, status, stderr, tt.want)
		}
		for _, say := range append(tt.says, " --resume "+file+"\n") {
			if !strings.Contains(stderr, say) {
				t.Errorf("%s: stderr %q does not say %q", tt.name, stderr, say)
			}
		}
		if n := strings.Count(stderr, "\n"); n > maxFailures+5 {
			t.Errorf("%s: %d lines on stderr", tt.name, n)
		}
	}
}

func TestCannotWrite(t *testing.T) {
	server := embeddings(t)
	var stderr bytes.Buffer
	args := []string{"embed", "--provider", "mixedbread", "--base-url", server.URL(), "rye"}
	if status := program.Run(t.Context(), args, cmdtest.FullDisk{}, &stderr); status != exit.WriteError || !strings.Contains(stderr.String(), "writing the embeddings: ") {
		t.Errorf("exit status %d, stderr %q; want %d", status, &stderr, exit.WriteError)
	}
}

// As a process: after the first Ctrl-C it waits for the calls in flight, after the second
// it does not.
func TestInterruptedTwice(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{Hang: fault.BeforeAnswer}}}},
		faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
			asked <- struct{}{}
			return faultserver.Embeddings(r)
		}))
	cmd := program.Command(t, "embed", "--provider", "mixedbread", "--base-url", server.URL(), "rye")
	said := cmdtest.Await("Ctrl-C again ends at once")
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatalf("no request: %s", said)
	}
	for range 2 {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case <-said.Seen:
		case <-time.After(20 * time.Second):
			t.Fatalf("messages %q", said)
		}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("it ended with %v, messages %q; want it interrupted", err, said)
	}
}

// lossy is a service that throttles once, and loses every ninth answer after the work was
// done.
func lossy() fault.Plan {
	rules := []fault.Rule{{Nth: "20-25", Fault: fault.Fault{Status: 429, RetryAfter: 150 * time.Millisecond, RetryAfterAs: fault.RetryMillis}}}
	for n := 9; n < 300; n += 9 {
		rules = append(rules, fault.Rule{Nth: strconv.Itoa(n), Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}})
	}
	return fault.Plan{Pace: []fault.Pace{{Latency: fault.Latency{Fixed: 5 * time.Millisecond}}}, Rules: rules}
}

// dying is a service that fails after 25 requests, and still does half of the work.
var dying = fault.Plan{Rules: []fault.Rule{{Nth: "26-", Fault: fault.Fault{Mix: []fault.Choice{
	{Weight: 1, Fault: fault.Fault{Reset: fault.BeforeAnswer}},
	{Weight: 1, Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}},
}}}}}

// 10,000 texts in three runs: the first is interrupted, the second ends in an outage, and
// the third completes. Each run has the command that the one before has printed. With
// go test -v the test prints the figures.
func TestTenThousand(t *testing.T) {
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
		"retry": {"max_retries": 6, "base_delay": "5ms", "max_delay": "40ms", "throttled_max_retries": 6, "throttled_base_delay": "5ms", "throttled_max_delay": "40ms"}, "breaker": {"failure_threshold": 4}}}}`, server.URL()))
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
	// The server identifies the work of a chunk by its texts.
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

// repeatedChunks is the number of chunks that were requested more than once.
func repeatedChunks(server *faultserver.Server) int {
	times, repeated := map[string]int{}, 0
	for _, a := range server.Record() {
		if times[a.RequestID]++; times[a.RequestID] == 2 {
			repeated++
		}
	}
	return repeated
}

// textOf begins with a unique word, by which the fault server identifies the work.
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
