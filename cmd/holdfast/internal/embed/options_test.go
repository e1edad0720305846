package embed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// Without --provider it is the only provider that the settings configure.
func TestDefaultProvider(t *testing.T) {
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Status: 503}}}}, faultserver.Backend(faultserver.Ollama))
	settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"ollama": {"base_url": %q, "retry": {"base_delay": "1ms"}}}}`, server.URL()))
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"embed", "--config", settings, "--model", "nomic-embed-text", "rye", "oat"}, &stdout, &stderr)
	got := parseVectors(t, stdout.String())
	if status != 0 || len(got) != 2 || got[1].Model != "nomic-embed-text" || len(got[1].Embedding) == 0 || !strings.Contains(stderr.String(), "done 2 · failed 0 · attempts 2 · took ") {
		t.Errorf("exit status %d, stdout %q, stderr %q; want 2 embeddings after 2 attempts", status, &stdout, &stderr)
	}
}

// A service of the settings is called by its name, with its address, key and model. Its
// embeddings come in any order, or without an index.
func TestProviderOfTheSettings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(data []any) []any
	}{
		{"reversed", func(data []any) []any { slices.Reverse(data); return data }},
		{"without an index", func(data []any) []any {
			for _, d := range data {
				delete(d.(map[string]any), "index")
			}
			return data
		}},
	} {
		var seen faultserver.Request
		server := faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
			seen = r
			a := faultserver.Embeddings(r)
			var out map[string]any
			if err := json.Unmarshal(a.Body, &out); err != nil {
				t.Error(err)
			}
			out["data"] = tt.answer(out["data"].([]any))
			a.Body, _ = json.Marshal(out)
			return a
		}))
		settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"search": {"base_url": "http://a.test"}, "ollama": {"base_url": "http://b.test"},
			"mine": {"kind": "openai", "base_url": "%s/openai/v1", "api_key": %q, "model": "mxbai-embed-large-v1"}}}`, server.URL(), cmdtest.Secret))
		var stdout, stderr bytes.Buffer
		status := program.Run(t.Context(), []string{"embed", "--config", settings, "--provider", "mine", "rye", "spelt", "oat"}, &stdout, &stderr)
		got := parseVectors(t, stdout.String())
		if status != 0 || len(got) != 3 || seen.Path != "/openai/v1/embeddings" || seen.Header.Get("Authorization") != "Bearer "+cmdtest.Secret || seen.Header.Get("Idempotency-Key") == "" {
			t.Fatalf("%s: exit status %d, stdout %q, stderr %q, request %+v", tt.name, status, &stdout, &stderr, seen)
		}
		for i, text := range []string{"rye", "spelt", "oat"} {
			if got[i].Index != i || !slices.Equal(got[i].Embedding, vectorOf(t, text)) {
				t.Errorf("%s: line %d is %+v; want the vector of %s", tt.name, i+1, got[i], text)
			}
		}
		for provider, says := range map[string]string{
			"search": `--provider search: the settings do not tell its API: must have the kind "openai" there, if its API is that of OpenAI`,
			"other":  `--provider "other": must be mine, mixedbread or ollama`,
			"ollama": "--model is missing: ollama has no default",
		} {
			stderr.Reset()
			if status := program.Run(t.Context(), []string{"embed", "--config", settings, "--provider", provider, "rye"}, io.Discard, &stderr); status != exit.Usage || !strings.Contains(stderr.String(), says) {
				t.Errorf("--provider %s: exit status %d, stderr %q; want %q", provider, status, &stderr, says)
			}
		}
	}
}

// A gateway answers 200, and its body has the error.
func TestErrorWithin200(t *testing.T) {
	for _, tt := range []struct {
		body string
		want int
		says []string
		done int
	}{
		{`{"error": {"code": 400, "message": "too long"}}`, exit.Failure, []string{`line 8 "t7 poison": 200 OK: too long`, "done 19 · declined 1 "}, 19},
		{`{"error": {"code": 402, "message": "no credits"}}`, exit.Failure, []string{"the quota of the service is used up: 200 OK: no credits; to continue"}, 5},
	} {
		server := picky(t, 200, tt.body, nil)
		settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"mine": {"kind": "openai", "base_url": "%s/v1", "model": "m"}}}`, server.URL()))
		lines := input(t, 20, func(i int) bool { return i == 7 })
		var stdout, stderr bytes.Buffer
		status := program.Run(t.Context(), []string{"embed", "--config", settings, "--file", lines, "--chunk", "5", "--width", "1"}, &stdout, &stderr)
		if got := len(parseVectors(t, stdout.String())); status != tt.want || got != tt.done {
			t.Errorf("%s: exit status %d, %d embeddings, stderr %s", tt.body, status, got, &stderr)
		}
		for _, say := range tt.says {
			if !strings.Contains(stderr.String(), say) {
				t.Errorf("%s: stderr %s does not say %q", tt.body, &stderr, say)
			}
		}
	}
}

func TestOpenAIAnswers(t *testing.T) {
	for body, says := range map[string]string{
		`{"data": [{"index": 0, "embedding": [1]}]}`:                                 "2 texts were sent, 1 embedding came back",
		`{"data": [{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]}`: "an embedding came back for text 3 of 2",
		`{"data": [{"index": 1, "embedding": [1]}, {"index": 1, "embedding": [1]}]}`: "two embeddings came back for text 2 of 2",
		`{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": []}]}`:  "an embedding without numbers came back for text 2 of 2",
	} {
		var a openAIAnswer
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
		if _, err := a.inOrder(2); err == nil || err.Error() != "content: "+says {
			t.Errorf("%s: %v, want %q", body, err, says)
		}
	}
}

// A limit per minute that is told without a wait is outlasted.
func TestOutlastsALimitPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{When: fault.Window{Until: time.Minute}, Fault: fault.Fault{Status: 429}}}},
			faultserver.InMemory(), faultserver.Backend(faultserver.Embeddings))
		o := options{provider: "mixedbread", baseURL: server.URL(), width: 4}
		cfg, err := o.configure(io.Discard, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		client, err := holdfast.New(cfg, holdfast.WithDialContext(server.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			client.Close()
			synctest.Wait()
			time.Sleep(time.Second) // of the bubble: net/http takes half a second to close a connection
		}()
		b, out, messages := newBatch(nil)
		b.embed, b.model, b.width = o.embedFunc(client), o.model, 4
		began := time.Now()
		if err := b.run(t.Context(), textsOf("a", "b", "c", "d", "e", "f"), 1, &previousRun{}); err != nil || len(indexesOf(t, out)) != 6 {
			t.Errorf("%v, %d embeddings, messages %q", err, len(indexesOf(t, out)), messages)
		}
		if took := time.Since(began); took < time.Minute || took > 4*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
