package integration

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/ollama"
)

// The snippets of docs/fallback.md. OpenAI's quota is gone, and an Ollama server answers.

// twoProviders returns OpenAI's SDK with a server that fails, and a provider that does not.
func twoProviders(failing fault.Fault) (sdk openai.Client, local *ollama.Provider, stop func()) {
	openaiServer, err := faultserver.New(fault.Plan{Rules: []fault.Rule{{Fault: failing}}}, faultserver.Backend(openaiService))
	if err != nil {
		panic(err)
	}
	ollamaServer, err := faultserver.New(fault.Plan{}, faultserver.Backend(faultserver.Ollama))
	if err != nil {
		panic(err)
	}
	first, second := held(openaiServer.URL()), held(ollamaServer.URL())
	sdk = openai.NewClient(
		option.WithBaseURL(openaiServer.URL()+"/v1"), option.WithAPIKey("sk-test"),
		option.WithHTTPClient(first.HTTPClient(holdfast.RepeatPOST())), option.WithMaxRetries(0),
	)
	return sdk, ollama.New(second, ollama.Timeouts{LLM: time.Minute}), func() {
		first.Close()
		second.Close()
		openaiServer.Close()
		ollamaServer.Close()
	}
}

var (
	noQuota = fault.Fault{
		Status: 429, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota","param":""}}`,
	}
	question = openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("bread")},
	}
)

func Example_fallback() {
	sdk, local, stop := twoProviders(noQuota)
	defer stop()
	ctx, messages := context.Background(), []ollama.Message{{Role: "user", Content: "bread"}}

	answer, err := holdfast.Fallback(ctx,
		func(ctx context.Context) (string, error) {
			out, err := sdk.Chat.Completions.New(ctx, question)
			if err != nil {
				return "", err // an *openai.Error for a status, without holdfast's
			}
			return out.Choices[0].Message.Content, nil
		},
		func(ctx context.Context) (string, error) {
			out, err := local.Chat(ctx, ollama.ChatRequest{Model: "llama3.2", Messages: messages})
			return out.Text, err
		},
	)
	fmt.Println(answer != "", err)
	// Output: true <nil>
}

func Example_fallbackStream() {
	sdk, local, stop := twoProviders(noQuota)
	defer stop()
	ctx, messages := context.Background(), []ollama.Message{{Role: "user", Content: "bread"}}

	stream := holdfast.FallbackStream(ctx,
		func(ctx context.Context) (iter.Seq2[string, error], error) {
			return texts(sdk.Chat.Completions.NewStreaming(ctx, question)), nil
		},
		func(ctx context.Context) (iter.Seq2[string, error], error) {
			return textsOf(local.ChatStream(ctx, ollama.ChatRequest{Model: "llama3.2", Messages: messages})), nil
		},
	)
	for text, err := range stream {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(text)
	}
	fmt.Println()
	// Output: rest score crumb water starter fold shape crust flour yeast water crumb score rest crust shape
}

// texts yields the texts of a stream of the SDK.
func texts(s *ssestream.Stream[openai.ChatCompletionChunk]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		defer s.Close()
		for s.Next() {
			for _, c := range s.Current().Choices {
				if c.Delta.Content != "" && !yield(c.Delta.Content, nil) {
					return
				}
			}
		}
		if err := s.Err(); err != nil {
			yield("", err)
		}
	}
}

// textsOf yields the texts of a stream of the provider.
func textsOf(s iter.Seq2[ollama.Reply, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for piece, err := range s {
			if !yield(piece.Text, err) {
				return
			}
		}
	}
}
