package mixedbread_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// The service fails twice and then answers; the caller does not notice.
func Example() {
	service, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Statuses: []int{503, 503, 200}}},
	}}, faultserver.Backend(faultserver.Embeddings))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()

	cfg := mixedbread.Config("a key")
	cfg.BaseURL = service.URL() + "/v1"        // only for this example
	cfg.Retry.BaseDelay = 5 * time.Millisecond // only for this example: the default is 1s
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	vectors, err := mixedbread.New(client, "").Embed(context.Background(), []string{"rye", "spelt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(vectors), "vectors after", len(service.Record()), "attempts")
	// Output:
	// 2 vectors after 3 attempts
}

// start makes a provider as in Example.
func start(faults ...fault.Rule) (p *mixedbread.Provider, stop func()) {
	service, err := faultserver.New(fault.Plan{Rules: faults}, faultserver.Backend(faultserver.Embeddings))
	if err != nil {
		panic(err)
	}
	cfg := mixedbread.Config("a key")
	cfg.BaseURL = service.URL() + "/v1"
	cfg.Retry.MaxRetries = holdfast.Off
	client, err := holdfast.New(cfg)
	if err != nil {
		panic(err)
	}
	return mixedbread.New(client, ""), func() { client.Close(); service.Close() }
}

// Most of a batch succeeds; the result names the rest.
func ExampleProvider_EmbedBatch() {
	provider, stop := start(fault.Rule{Nth: "2", Fault: fault.Fault{Status: 422}})
	defer stop()

	texts := []string{"rye", "spelt", "oat", "barley", "emmer"}
	result, err := provider.EmbedBatch(context.Background(), texts, holdfast.BatchOptions{ChunkSize: 2, Width: 1})
	fmt.Println("some are missing:", err != nil)
	for i, vector := range result.Out {
		fmt.Println(texts[i], len(vector))
	}
	for _, m := range result.Missing {
		fmt.Println("again:", texts[m.From:m.To], errors.Is(m.Err, holdfast.ErrInvalidRequest))
	}
	// Output:
	// some are missing: true
	// rye 8
	// spelt 8
	// oat 0
	// barley 0
	// emmer 8
	// again: [oat barley] true
}

func ExampleProvider_Healthy() {
	provider, stop := start(fault.Rule{Nth: "2", Fault: fault.Fault{Status: 503}})
	defer stop()

	fmt.Println(provider.Healthy(context.Background()))
	fmt.Println(errors.Is(provider.Healthy(context.Background()), holdfast.ErrUnavailable))
	// Output:
	// <nil>
	// true
}
