package integration

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/ollama"
	"github.com/ollama/ollama/api"
)

// ollamas returns Ollama's official client and our provider, both of the same
// server.
func ollamas(t *testing.T, rules ...fault.Rule) (*api.Client, *ollama.Provider) {
	t.Helper()
	s := faultserver.Start(t, fault.Plan{Rules: rules}, faultserver.Backend(faultserver.Ollama))
	base, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	cfg := ollama.Config()
	cfg.BaseURL = s.URL()
	cfg.Retry.MaxRetries = holdfast.Off
	client, err := holdfast.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return api.NewClient(base, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}), ollama.New(client, ollama.Timeouts{})
}

func TestOllamaEmbed(t *testing.T) {
	official, ours := ollamas(t)
	texts := []string{"rye bread", "spelt", "oat"}
	want, err := official.Embed(t.Context(), &api.EmbedRequest{Model: "nomic-embed-text", Input: texts})
	if err != nil || len(want.Embeddings) != 3 {
		t.Fatalf("Ollama's official client: %+v, %v", want, err)
	}
	got, err := ours.Embed(t.Context(), "nomic-embed-text", texts)
	if err != nil || !reflect.DeepEqual(got, want.Embeddings) {
		t.Errorf("ours: %v, %v; Ollama's official client: %v", got, err, want.Embeddings)
	}
}

var (
	options  = map[string]any{"num_predict": 7}
	messages = []ollama.Message{{Role: "system", Content: "be brief"}, {Role: "user", Content: "why rye?"}}
)

// officialChat joins the pieces of Ollama's official client.
func officialChat(ctx context.Context, c *api.Client, model string, streamed bool) (pieces []ollama.Reply, err error) {
	in := &api.ChatRequest{Model: model, Options: options, Stream: &streamed}
	for _, m := range messages {
		in.Messages = append(in.Messages, api.Message{Role: m.Role, Content: m.Content})
	}
	err = c.Chat(ctx, in, func(r api.ChatResponse) error {
		pieces = append(pieces, reply(r.Model, r.Message.Content, r.Done, r.DoneReason, r.Metrics))
		return nil
	})
	return pieces, err
}

func officialGenerate(ctx context.Context, c *api.Client, model string, streamed bool) (pieces []ollama.Reply, err error) {
	in := &api.GenerateRequest{Model: model, Prompt: "why rye?", System: "be brief", Options: options, Stream: &streamed}
	err = c.Generate(ctx, in, func(r api.GenerateResponse) error {
		pieces = append(pieces, reply(r.Model, r.Response, r.Done, r.DoneReason, r.Metrics))
		return nil
	})
	return pieces, err
}

func reply(model, text string, done bool, reason string, m api.Metrics) ollama.Reply {
	return ollama.Reply{
		Model: model, Text: text, Done: done, Reason: reason,
		PromptTokens: m.PromptEvalCount, Tokens: m.EvalCount, Took: m.TotalDuration,
	}
}

func TestOllamaChat(t *testing.T) {
	official, ours := ollamas(t)
	want, err := officialChat(t.Context(), official, "llama3.2", false)
	if err != nil || len(want) != 1 || len(strings.Fields(want[0].Text)) != 7 || want[0].Took == 0 {
		t.Fatalf("Ollama's official client: %+v, %v", want, err)
	}
	got, err := ours.Chat(t.Context(), ollama.ChatRequest{Model: "llama3.2", Messages: messages, Options: options})
	if err != nil || got != want[0] {
		t.Errorf("ours: %+v, %v; Ollama's official client: %+v", got, err, want[0])
	}
}

func TestOllamaGenerate(t *testing.T) {
	official, ours := ollamas(t)
	want, err := officialGenerate(t.Context(), official, "llama3.2", false)
	if err != nil || len(want) != 1 || len(strings.Fields(want[0].Text)) != 7 || want[0].PromptTokens == 0 {
		t.Fatalf("Ollama's official client: %+v, %v", want, err)
	}
	got, err := ours.Generate(t.Context(), ollama.GenerateRequest{Model: "llama3.2", Prompt: "why rye?", System: "be brief", Options: options})
	if err != nil || got != want[0] {
		t.Errorf("ours: %+v, %v; Ollama's official client: %+v", got, err, want[0])
	}
}

// The same pieces and the same end.
func TestOllamaStreams(t *testing.T) {
	official, ours := ollamas(t)
	collected := func(stream iter.Seq2[ollama.Reply, error]) (pieces []ollama.Reply, err error) {
		for piece, err := range stream {
			if err != nil {
				return pieces, err
			}
			pieces = append(pieces, piece)
		}
		return pieces, nil
	}
	want, err := officialChat(t.Context(), official, "llama3.2", true)
	if err != nil || len(want) != 8 {
		t.Fatalf("Ollama's official client: %+v, %v", want, err)
	}
	got, err := collected(ours.ChatStream(t.Context(), ollama.ChatRequest{Model: "llama3.2", Messages: messages, Options: options}))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ours: %+v, %v; Ollama's official client: %+v", got, err, want)
	}

	want, err = officialGenerate(t.Context(), official, "llama3.2", true)
	if err != nil || len(want) != 8 {
		t.Fatalf("Ollama's official client: %+v, %v", want, err)
	}
	got, err = collected(ours.GenerateStream(t.Context(), ollama.GenerateRequest{Model: "llama3.2", Prompt: "why rye?", System: "be brief", Options: options}))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ours: %+v, %v; Ollama's official client: %+v", got, err, want)
	}
}

// An error that the server sends within an answer is an error of both clients.
func TestOllamaFailsInTheMiddle(t *testing.T) {
	official, ours := ollamas(t, fault.Rule{Fault: fault.Fault{
		Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/x-ndjson"},
		Body: `{"model":"m","response":"rye"}` + "\n" + `{"error":"the model runner has stopped"}` + "\n",
	}})
	pieces, err := officialGenerate(t.Context(), official, "m", true)
	if len(pieces) != 1 || err == nil || err.Error() != "the model runner has stopped" {
		t.Errorf("Ollama's official client: %+v, %v", pieces, err)
	}
	var last error
	for _, last = range ours.GenerateStream(t.Context(), ollama.GenerateRequest{Model: "m", Prompt: "why rye?"}) {
	}
	var incomplete *ollama.IncompleteError
	if !errors.As(last, &incomplete) || incomplete.Text != "rye" || !strings.Contains(last.Error(), "the model runner has stopped") {
		t.Errorf("ours: %v", last)
	}
}

// An error answer, as Ollama's official client reads it.
func TestOllamaRefuses(t *testing.T) {
	official, ours := ollamas(t)
	_, err := officialGenerate(t.Context(), official, "", false)
	var said api.StatusError
	if !errors.As(err, &said) || said.StatusCode != http.StatusBadRequest || said.ErrorMessage != "model is required" {
		t.Errorf("Ollama's official client: %v", err)
	}
	_, err = ours.Generate(t.Context(), ollama.GenerateRequest{Prompt: "why rye?"})
	var refused *holdfast.StatusError
	if !errors.Is(err, holdfast.ErrInvalidRequest) || !errors.As(err, &refused) || !strings.Contains(string(refused.Body), said.ErrorMessage) {
		t.Errorf("ours: %v", err)
	}
}

func TestOllamaHealth(t *testing.T) {
	official, ours := ollamas(t, fault.Rule{Nth: "4-", Fault: fault.Fault{Status: 503}})
	if err := official.Heartbeat(t.Context()); err != nil {
		t.Errorf("Ollama's official client: %v", err)
	}
	if version, err := official.Version(t.Context()); err != nil || version == "" {
		t.Errorf("Ollama's official client: version %q, %v", version, err)
	}
	if err := ours.Healthy(t.Context()); err != nil {
		t.Errorf("ours: %v", err)
	}
	if err := official.Heartbeat(t.Context()); err == nil {
		t.Error("Ollama's official client treats a 503 as healthy")
	}
	if err := ours.Healthy(t.Context()); !errors.Is(err, holdfast.ErrUnavailable) {
		t.Errorf("ours: %v; want ErrUnavailable", err)
	}
}
