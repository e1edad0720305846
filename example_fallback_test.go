package holdfast_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

func ExampleFallback() {
	service := serve(fault.Rule{Fault: fault.Fault{Status: 503}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	answer, err := holdfast.Fallback(ctx,
		func(ctx context.Context) (string, error) { return holdfast.Get[string](ctx, client, "/generate") },
		func(context.Context) (string, error) { return "from the small model", nil },
	)
	fmt.Println(answer, err)
	// Output: from the small model <nil>
}

// An SDK makes an error of its own of an answer. Fallback still knows how the call ended:
// a quota that is gone leads to the second provider, a wrong request does not.
func ExampleFallback_sdk() {
	service := serve(
		fault.Rule{Match: fault.Match{Path: "/gpt"}, Fault: fault.Fault{Status: 429, Body: `{"error":{"code":"insufficient_quota"}}`}},
		fault.Rule{Match: fault.Match{Path: "/typo"}, Fault: fault.Fault{Status: 404, Body: "no such model"}},
	)
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	sdk := client.HTTPClient(holdfast.RepeatPOST()) // what the SDK is given
	ask := func(ctx context.Context, model string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, service.URL()+"/"+model, nil)
		if err != nil {
			return "", err
		}
		resp, err := sdk.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("sdk: %d: %s", resp.StatusCode, body)
		}
		return string(body), err
	}
	for _, model := range []string{"gpt", "typo"} {
		answer, err := holdfast.Fallback(ctx,
			func(ctx context.Context) (string, error) { return ask(ctx, model) },
			func(context.Context) (string, error) { return "from the second provider", nil },
		)
		fmt.Println(answer, err)
	}
	// Output:
	// from the second provider <nil>
	//  sdk: 404: no such model
}

// The first service breaks off before its first event, and the second answers.
func ExampleFallbackStream() {
	down := serve(fault.Rule{Fault: fault.Fault{Cut: &fault.Cut{After: 5}}})
	defer down.Close()
	service := eventStream("data: {\"text\": \"salt\"}\n\ndata: {\"text\": \" and yeast\"}\n\ndata: [DONE]\n\n")
	defer service.Close()
	first, second := fastClient(down), fastClient(service)
	defer first.Close()
	defer second.Close()
	type delta struct{ Text string }
	question := ask

	stream := holdfast.FallbackStream(ctx,
		func(ctx context.Context) (iter.Seq2[delta, error], error) {
			s, err := first.Stream(ctx, http.MethodPost, "/v1/chat/completions", question)
			if err != nil {
				return nil, err
			}
			return holdfast.DecodeEvents[delta](s, "[DONE]"), nil
		},
		func(ctx context.Context) (iter.Seq2[delta, error], error) {
			s, err := second.Stream(ctx, http.MethodPost, "/v1/chat/completions", question)
			if err != nil {
				return nil, err
			}
			return holdfast.DecodeEvents[delta](s, "[DONE]"), nil
		},
	)
	for d, err := range stream {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(d.Text)
	}
	fmt.Println()
	// Output: salt and yeast
}
