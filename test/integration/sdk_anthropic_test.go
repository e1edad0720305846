package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/holdfast-go/holdfast/faultserver"
)

var anthropicSDK = &sdk{
	name: "anthropic-sdk-go", service: anthropicService, retries: 2, dial: anthropicCaller,
	request: faultserver.Request{Method: "POST", Path: "/v1/messages", Body: []byte(`{"stream":true}`)},
	busy:    func(int) string { return `{"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}` },
}

// anthropicService answers POST /v1/messages.
func anthropicService(r faultserver.Request) faultserver.Answer {
	var in struct {
		Stream bool `json:"stream"`
	}
	if r.Method != http.MethodPost || r.Path != "/v1/messages" || json.Unmarshal(r.Body, &in) != nil {
		return faultserver.Answer{Status: 404}
	}
	const message = `{"id":"1","type":"message","role":"assistant","model":"` + model + `","usage":{"input_tokens":1,"output_tokens":1},`
	if !in.Stream {
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: fmt.Appendf(nil,
			message+`"stop_reason":"end_turn","content":[{"type":"text","text":%q}]}`, words)}
	}
	event := func(name, fields string) string {
		return fmt.Sprintf("event: %s\ndata: {\"type\":%q%s}\n\n", name, name, fields)
	}
	var chunks []string
	for i, piece := range pieces() {
		chunk := event("content_block_delta", fmt.Sprintf(`,"index":0,"delta":{"type":"text_delta","text":%q}`, piece))
		if i == 0 {
			chunk = event("message_start", `,"message":`+message+`"content":[]}`) +
				event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`) + chunk
		}
		chunks = append(chunks, chunk)
	}
	return streamed("text/event-stream", append(chunks, event("content_block_stop", `,"index":0`)+event("message_stop", "")))
}

func anthropicCaller(base string, hc *http.Client, retries bool) caller {
	opts := []option.RequestOption{option.WithBaseURL(base), option.WithAPIKey("sk-test"), option.WithHTTPClient(hc)}
	if !retries {
		opts = append(opts, option.WithMaxRetries(0))
	}
	client := anthropic.NewClient(opts...)
	in := anthropic.MessageNewParams{
		Model: model, MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hold fast"))},
	}
	return caller{
		ask: func(ctx context.Context) (string, error) {
			out, err := client.Messages.New(ctx, in)
			if err != nil {
				return "", err
			}
			return out.Content[0].Text, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			stream := client.Messages.NewStreaming(ctx, in)
			defer stream.Close()
			for stream.Next() {
				if text := stream.Current().Delta.Text; text != "" {
					piece(text)
				}
			}
			return stream.Err()
		},
		status: func(err error) (int, string) {
			var e *anthropic.Error
			if !errors.As(err, &e) {
				return 0, ""
			}
			var body struct{ Error struct{ Message string } }
			_ = json.Unmarshal([]byte(e.RawJSON()), &body)
			return e.StatusCode, body.Error.Message
		},
	}
}
