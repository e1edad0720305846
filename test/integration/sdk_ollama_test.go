package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/ollama/ollama/api"

	"github.com/holdfast-go/holdfast/faultserver"
)

// Ollama's SDK does not retry and does not check how a stream ends.
var ollamaSDK = &sdk{
	name: "ollama/api", service: ollamaService, dial: ollamaCaller, quiet: true, busy: func(int) string { return `{"error":"overloaded"}` },
	request: faultserver.Request{Method: "POST", Path: "/api/chat", Body: []byte(`{}`)},
}

// ollamaService answers POST /api/chat with fixed words.
func ollamaService(r faultserver.Request) faultserver.Answer {
	var in struct {
		Stream *bool `json:"stream"`
	}
	if r.Method != http.MethodPost || r.Path != "/api/chat" || json.Unmarshal(r.Body, &in) != nil {
		return faultserver.Answer{Status: 404}
	}
	line := func(text string, done bool) string {
		return fmt.Sprintf(`{"model":"`+model+`","created_at":"2026-01-02T03:04:05Z","message":{"role":"assistant","content":%q},"done":%v}`+"\n", text, done)
	}
	if in.Stream != nil && !*in.Stream {
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: []byte(line(words, true))}
	}
	var chunks []string
	for _, piece := range pieces() {
		chunks = append(chunks, line(piece, false))
	}
	return streamed("application/x-ndjson", append(chunks, line("", true)))
}

func ollamaCaller(base string, hc *http.Client, _ bool) caller {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	client := api.NewClient(u, hc)
	chat := func(ctx context.Context, stream bool, piece func(string)) error {
		in := &api.ChatRequest{Model: model, Stream: &stream, Messages: []api.Message{{Role: "user", Content: "hold fast"}}}
		return client.Chat(ctx, in, func(out api.ChatResponse) error {
			if out.Message.Content != "" {
				piece(out.Message.Content)
			}
			return nil
		})
	}
	return caller{
		ask: func(ctx context.Context) (text string, err error) {
			err = chat(ctx, false, func(all string) { text = all })
			return text, err
		},
		stream: func(ctx context.Context, piece func(string)) error { return chat(ctx, true, piece) },
		status: func(err error) (int, string) {
			var e api.StatusError
			if !errors.As(err, &e) {
				return 0, ""
			}
			return e.StatusCode, e.ErrorMessage
		},
	}
}
