package faultserver

import (
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
)

func ollama(t *testing.T, path, body string) Answer {
	t.Helper()
	return Ollama(Request{Method: "POST", Path: path, Body: []byte(body)})
}

// object decodes a JSON object and removes random and time-dependent fields.
func object(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(line, &o); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return o
}

func keys(o map[string]any) string {
	var names []string
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

const ollamaEnd = "context created_at done done_reason eval_count eval_duration load_duration model prompt_eval_count prompt_eval_duration response total_duration"

func TestOllamaGenerate(t *testing.T) {
	a := ollama(t, "/api/generate", `{"model": "llama3.2", "prompt": "op-1 why", "stream": false, "options": {"num_predict": 5}}`)
	whole := object(t, a.Body)
	if a.Status != 200 || a.ContentType != "application/json" || a.Operation != provider.WorkOf("op-1 why") || keys(whole) != ollamaEnd {
		t.Errorf("%d %s %q: %s", a.Status, a.ContentType, a.Operation, keys(whole))
	}
	if whole["done"] != true || whole["done_reason"] != "stop" || whole["eval_count"] != 5. || whole["prompt_eval_count"] != 2. || whole["model"] != "llama3.2" {
		t.Errorf("%v", whole)
	}

	a = ollama(t, "/api/generate", `{"model": "llama3.2", "prompt": "op-1 why", "options": {"num_predict": 5}}`)
	pieces := a.pieces()
	if a.ContentType != "application/x-ndjson" || len(pieces) != 6 || len(a.Chunks) != 6 {
		t.Fatalf("%s in %d pieces", a.ContentType, len(pieces))
	}
	said := ""
	for i, piece := range pieces {
		line := object(t, piece)
		said += line["response"].(string)
		want := "created_at done model response"
		if i == 5 {
			want = ollamaEnd
		}
		if keys(line) != want || line["done"] != (i == 5) || piece[len(piece)-1] != '\n' {
			t.Errorf("line %d: %s", i, piece)
		}
	}
	if said != whole["response"] || len(strings.Fields(said)) != 5 {
		t.Errorf("streamed %q, whole %q", said, whole["response"])
	}
}

func TestOllamaChat(t *testing.T) {
	const messages = `"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "op-2 hello"}]`
	a := ollama(t, "/api/chat", `{"model": "m", `+messages+`, "stream": false}`)
	whole := object(t, a.Body)
	message := whole["message"].(map[string]any)
	if a.Operation != provider.WorkOf("system be brief\nuser op-2 hello\n") || message["role"] != "assistant" || whole["eval_count"] != 16. || whole["response"] != nil {
		t.Errorf("%q %s", a.Operation, a.Body)
	}
	a = ollama(t, "/api/chat", `{"model": "m", `+messages+`}`)
	said := ""
	for _, piece := range a.pieces() {
		said += object(t, piece)["message"].(map[string]any)["content"].(string)
	}
	if said != message["content"] || len(a.Chunks) != 17 {
		t.Errorf("streamed %q in %d pieces, whole %q", said, len(a.Chunks), message["content"])
	}
}

func TestOllamaEmbed(t *testing.T) {
	a := ollama(t, "/api/embed", `{"model": "m", "input": ["op-3 why", "grass"]}`)
	out := object(t, a.Body)
	vectors := out["embeddings"].([]any)
	if a.Operation != provider.WorkOf("op-3 why", "grass") || keys(out) != "embeddings load_duration model prompt_eval_count total_duration" || len(vectors) != 2 || len(vectors[0].([]any)) != 8 || out["prompt_eval_count"] != 3. {
		t.Errorf("%q %s", a.Operation, a.Body)
	}
	one := object(t, ollama(t, "/api/embed", `{"model": "m", "input": "grass"}`).Body)
	if !reflect.DeepEqual(one["embeddings"].([]any)[0], vectors[1]) {
		t.Error("one text and a list of it differ")
	}
	if got := string(ollama(t, "/api/embed", `{"model": "m", "input": []}`).Body); !strings.Contains(got, `"embeddings":[]`) {
		t.Errorf("no text: %s", got)
	}
	three := object(t, ollama(t, "/api/embed", `{"model": "m", "input": "grass", "dimensions": 3}`).Body)
	if len(three["embeddings"].([]any)[0].([]any)) != 3 {
		t.Errorf("%v", three)
	}
}

func TestOllamaOtherPaths(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/", "", 200, "Ollama is running"},
		{"HEAD", "/", "", 200, "Ollama is running"}, // net/http omits the body
		{"GET", "/api/version", "", 200, `{"version":"0.12.0"}`},
		{"GET", "/api/tags", "", 200, `{"models":[]}`},
		{"POST", "/api/version", "", 405, "405 method not allowed"},
		{"GET", "/api/chat", "", 405, "405 method not allowed"},
		{"POST", "/api/embeddingz", "{}", 404, "404 page not found"},
		{"POST", "/api/chat", "", 400, `{"error":"missing request body"}`},
		{"POST", "/api/embed", "{", 400, `{"error":"unexpected end of JSON input"}`},
		{"POST", "/api/generate", `{"prompt":"x"}`, 400, `{"error":"model is required"}`},
		{"POST", "/api/chat", `{"model":"m","messages":[{"role":"robot"}]}`, 400, `{"error":"invalid role: \"robot\", must be one of system, user, assistant, tool"}`},
		{"POST", "/api/embed", `{"model":"m","input":"x","dimensions":4097}`, 400, `{"error":"dimensions: 4097 must be 1 to 4096"}`},
		{"POST", "/api/generate", `{"model":"m"}`, 200, `{"model":"m","created_at":"2026-01-02T03:04:05.678901Z","response":"","done":true,"done_reason":"load"}`},
		{"POST", "/api/chat", `{"model":"m","messages":[]}`, 200, `{"model":"m","created_at":"2026-01-02T03:04:05.678901Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}`},
	} {
		a := Ollama(Request{Method: test.method, Path: test.path, Body: []byte(test.body)})
		if a.Status != test.status || string(a.Body) != test.answer || a.Operation != "" {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, a.Status, a.Body)
		}
	}
}

// TestAStreamThatStallsAndEnds: a stall after two words, the end after four.
func TestAStreamThatStallsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Rules: []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Stall: &fault.Stall{After: 2, Of: fault.Chunks, For: time.Minute}}},
			{Nth: "2", Fault: fault.Fault{Cut: &fault.Cut{After: 4, Of: fault.Chunks}}},
		}}, InMemory(), Backend(Ollama))
		c := client(t, s)
		ask := func() *json.Decoder {
			resp, err := c.Post(s.URL()+"/api/generate", "application/json", strings.NewReader(`{"model": "m", "prompt": "op-1"}`))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return json.NewDecoder(resp.Body)
		}
		next := func(d *json.Decoder) (reply struct{ Done bool }, err error) {
			err = d.Decode(&reply)
			return reply, err
		}
		stalled := ask()
		for i := range 17 {
			sent := time.Now()
			reply, err := next(stalled)
			if took := time.Since(sent); err != nil || (took == time.Minute) != (i == 2) || reply.Done != (i == 16) {
				t.Errorf("line %d: %+v, %v after %s", i, reply, err, took)
			}
		}
		cut := ask()
		for i := range 4 {
			if _, err := next(cut); err != nil {
				t.Errorf("line %d: %v", i, err)
			}
		}
		if _, err := next(cut); err != io.ErrUnexpectedEOF {
			t.Errorf("after 4 lines %v", err)
		}
	})
}
