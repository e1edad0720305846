package ollama_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/ollama"
	"github.com/holdfast-go/holdfast/settings"
)

// The server resets a connection and then answers; the caller does not notice.
func Example() {
	server, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Nth: "1", Fault: fault.Fault{Reset: fault.BeforeAnswer}},
	}}, faultserver.Backend(faultserver.Ollama))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	cfg := ollama.Config()
	cfg.BaseURL = server.URL()                 // only for this example
	cfg.Retry.BaseDelay = 5 * time.Millisecond // only for this example: the default is 1s
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	reply, err := ollama.New(client, ollama.Timeouts{}).Generate(context.Background(), ollama.GenerateRequest{
		Model:   "llama3.2",
		Prompt:  "how is bread made?",
		Options: map[string]any{"num_predict": 4},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Text, "after", len(server.Record()), "attempts")
	// Output:
	// fold starter crust shape after 2 attempts
}

// start makes a provider as in Example.
func start(faults ...fault.Rule) (p *ollama.Provider, stop func()) {
	server, err := faultserver.New(fault.Plan{Rules: faults}, faultserver.Backend(faultserver.Ollama))
	if err != nil {
		panic(err)
	}
	cfg := ollama.Config()
	cfg.BaseURL = server.URL()
	cfg.Retry.MaxRetries = holdfast.Off
	client, err := holdfast.New(cfg)
	if err != nil {
		panic(err)
	}
	return ollama.New(client, ollama.Timeouts{}), func() { client.Close(); server.Close() }
}

// Settings from the environment, and one client for the whole program.
func ExampleNew() {
	s, err := settings.Load("", os.LookupEnv) // or with the path of a file
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := holdfast.DefaultRegistry.Open("ollama", s.Ollama.Embedding())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	provider := ollama.New(client, ollama.Timeouts{LLM: s.Ollama.LLMTimeout, HealthCheck: s.Ollama.HealthCheckTimeout})
	fmt.Println(provider != nil, holdfast.DefaultRegistry.Names())
	// Output: true [ollama]
}

func ExampleProvider_Embed() {
	provider, stop := start()
	defer stop()

	vectors, err := provider.Embed(context.Background(), "nomic-embed-text", []string{"rye", "spelt"})
	fmt.Println(len(vectors), err)
	// Output: 2 <nil>
}

func ExampleProvider_Chat() {
	provider, stop := start()
	defer stop()

	reply, err := provider.Chat(context.Background(), ollama.ChatRequest{
		Model: "llama3.2",
		Messages: []ollama.Message{
			{Role: "system", Content: "be brief"},
			{Role: "user", Content: "how is bread made?"},
		},
		Options: map[string]any{"num_predict": 3},
	})
	fmt.Println(reply.Text, reply.Reason, err)
	// Output: crumb water rest stop <nil>
}

// The words as they arrive.
func ExampleProvider_ChatStream() {
	provider, stop := start()
	defer stop()

	question := ollama.ChatRequest{
		Model:    "llama3.2",
		Messages: []ollama.Message{{Role: "user", Content: "how is bread made?"}},
		Options:  map[string]any{"num_predict": 3},
	}
	for piece, err := range provider.ChatStream(context.Background(), question) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(piece.Text)
		if piece.Done {
			fmt.Println(":", piece.Tokens, "tokens, then", piece.Reason)
		}
	}
	// Output: rest score crumb: 3 tokens, then stop
}

// An answer that breaks off: the error has the text so far.
func ExampleIncompleteError() {
	provider, stop := start(fault.Rule{Fault: fault.Fault{Cut: &fault.Cut{After: 2, Of: fault.Chunks}}})
	defer stop()

	question := ollama.GenerateRequest{Model: "llama3.2", Prompt: "how is bread made?"}
	for _, err := range provider.GenerateStream(context.Background(), question) {
		var incomplete *ollama.IncompleteError
		if errors.As(err, &incomplete) {
			fmt.Printf("%q, and then %v\n", incomplete.Text, errors.Is(err, holdfast.ErrConnection))
		}
	}
	// Output: "fold starter", and then true
}

func ExampleProvider_Healthy() {
	provider, stop := start(fault.Rule{Fault: fault.Fault{Status: 503}})
	defer stop()

	fmt.Println(provider.Healthy(context.Background()) == nil)
	// Output: false
}
