package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/holdfast-go/holdfast/faultserver"
)

var openaiSDK = &sdk{
	name: "openai-go", service: openaiService, retries: 2, dial: openaiCaller,
	request: faultserver.Request{Method: "POST", Path: "/v1/chat/completions", Body: []byte(`{"stream":true}`)},
	busy: func(int) string {
		return `{"error":{"message":"overloaded","type":"server_error","code":"busy","param":""}}`
	},
}

// openaiService answers POST /v1/chat/completions.
func openaiService(r faultserver.Request) faultserver.Answer {
	var in struct {
		Stream bool `json:"stream"`
	}
	if r.Method != http.MethodPost || r.Path != "/v1/chat/completions" || json.Unmarshal(r.Body, &in) != nil {
		return faultserver.Answer{Status: 404}
	}
	const head = `{"id":"1","created":1,"model":"` + model + `",`
	if !in.Stream {
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: fmt.Appendf(nil,
			head+`"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%q}}]}`, words)}
	}
	var chunks []string
	for _, piece := range pieces() {
		chunks = append(chunks, fmt.Sprintf("data: "+head+`"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":%q}}]}`+"\n\n", piece))
	}
	return streamed("text/event-stream", append(chunks, "data: [DONE]\n\n"))
}

func openaiCaller(base string, hc *http.Client, retries bool) caller {
	opts := []option.RequestOption{option.WithBaseURL(base + "/v1"), option.WithAPIKey("sk-test"), option.WithHTTPClient(hc)}
	if !retries {
		opts = append(opts, option.WithMaxRetries(0))
	}
	client := openai.NewClient(opts...)
	in := openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hold fast")}}
	return caller{
		ask: func(ctx context.Context) (string, error) {
			out, err := client.Chat.Completions.New(ctx, in)
			if err != nil {
				return "", err
			}
			return out.Choices[0].Message.Content, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			stream := client.Chat.Completions.NewStreaming(ctx, in)
			defer stream.Close()
			for stream.Next() {
				piece(stream.Current().Choices[0].Delta.Content)
			}
			return stream.Err()
		},
		status: func(err error) (int, string) {
			var e *openai.Error
			if !errors.As(err, &e) {
				return 0, ""
			}
			return e.StatusCode, e.Message
		},
	}
}
