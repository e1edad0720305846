package dialect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

var ctx = context.Background()

// ask is a request for the examples.
type ask struct {
	Model  string `json:"model"`
	Stream bool   `json:"stream"`
}

// reply is an answer for serve.
type reply struct {
	status      int
	media, body string
}

// serve is a service that gives one answer after the other, and the last one again.
func serve(replies ...reply) *httptest.Server {
	n := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r := replies[min(n, len(replies)-1)]
		n++
		w.Header().Set("Content-Type", r.media)
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.body)
	}))
}

const (
	jsonMedia  = "application/json"
	eventMedia = "text/event-stream"
	lineMedia  = "application/x-ndjson"
)

// open makes a client of a service for the examples.
func open(service *httptest.Server, d dialect.Dialect) *holdfast.Client {
	client, err := holdfast.New(d.Apply(holdfast.Config{
		BaseURL: service.URL, Name: "service", Retry: holdfast.Retry{BaseDelay: time.Millisecond},
	}))
	if err != nil {
		panic(err)
	}
	return client
}

// A dialect of your own: a service that answers 200 with a fault.
func ExampleDialect() {
	service := serve(
		reply{200, jsonMedia, `{"fault":"busy","text":"the till is closed"}`},
		reply{200, jsonMedia, `{"price":5}`},
		reply{200, jsonMedia, `{"fault":"no-such-item","text":"there is no rye"}`},
	)
	defer service.Close()

	shop := dialect.Dialect{
		Name: "shop",
		Classify: func(a *holdfast.Answer) holdfast.Verdict {
			var body struct{ Fault, Text string }
			if a.Stream || json.Unmarshal(a.Body, &body) != nil {
				return holdfast.Verdict{} // the status decides
			}
			switch body.Fault {
			case "busy":
				return holdfast.Verdict{Class: holdfast.ClassOverloaded, RetryAfter: time.Millisecond, Text: body.Text}
			case "no-such-item":
				return holdfast.Verdict{Class: holdfast.ClassRequest, Text: body.Text}
			}
			return dialect.Standard.Classify(a)
		},
		Scope: holdfast.ScopePath,
	}
	client, err := holdfast.New(shop.Apply(holdfast.Config{BaseURL: service.URL}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	resp, err := client.Get(ctx, "/bread")
	fmt.Println(string(resp.Body), err)
	_, err = client.Get(ctx, "/rye")
	var declined *holdfast.StatusError
	fmt.Println(errors.As(err, &declined), declined)
	// Output:
	// {"price":5} <nil>
	// true 200 OK: there is no rye
}

// Apply leaves what is set.
func ExampleDialect_Apply() {
	config := dialect.GitHub.Apply(holdfast.Config{Scope: holdfast.ScopePath})
	req, _ := http.NewRequest(http.MethodGet, "https://api.github.com/search/issues", nil)
	fmt.Println(config.Classify != nil, config.Scope(req))
	// Output: true GET /search/issues
}

// A stream that ends without [DONE] is an error, and not an answer that is short.
func ExampleOpenAI() {
	service := serve(reply{200, eventMedia, `data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"rye"}}]}` + "\n\n"})
	defer service.Close()
	client := open(service, dialect.OpenAI)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/chat/completions", ask{"gpt", true})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.EndsWith(dialect.OpenAI.Ends)
	for event, err := range stream.Events() {
		if err != nil {
			fmt.Println("the answer is not complete:", errors.Is(err, holdfast.ErrConnection))
			return
		}
		fmt.Println(string(event.Data))
	}
	// Output:
	// {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"rye"}}]}
	// the answer is not complete: true
}

// A rate limit within a 200 is waited for.
func ExampleOpenAIGateway() {
	service := serve(
		reply{200, jsonMedia, `{"error":{"code":429,"message":"Rate limit exceeded. Try again in 5ms."}}`},
		reply{200, jsonMedia, `{"choices":[{"message":{"content":"rye"}}]}`},
	)
	defer service.Close()
	client := open(service, dialect.OpenAIGateway)
	defer client.Close()

	resp, err := client.Post(ctx, "/chat/completions", ask{"any", false})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Attempts, "attempts:", string(resp.Body))
	// Output: 2 attempts: {"choices":[{"message":{"content":"rye"}}]}
}

// The stream begins, and its first event that is not a ping is an error: it is asked for
// again.
func ExampleAnthropic() {
	const start = "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n"
	service := serve(
		reply{200, eventMedia, start + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"},
		reply{200, eventMedia, start + "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
	)
	defer service.Close()
	client := open(service, dialect.Anthropic)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/v1/messages", ask{"claude", true})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.EndsWith(dialect.Anthropic.Ends)
	for event, err := range stream.Events() {
		fmt.Println(event.Type, err)
	}
	fmt.Println(stream.Attempts, "attempts")
	// Output:
	// message_start <nil>
	// ping <nil>
	// content_block_delta <nil>
	// message_stop <nil>
	// 2 attempts
}

// The first line of a 200 is an error.
func ExampleOllama() {
	service := serve(
		reply{200, lineMedia, `{"error":"model runner has unexpectedly stopped"}` + "\n"},
		reply{200, lineMedia, `{"response":"rye","done":true}` + "\n"},
	)
	defer service.Close()
	client := open(service, dialect.Ollama)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/api/generate", ask{"m", true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for line, err := range stream.Lines() {
		fmt.Println(string(line), err)
	}
	fmt.Println(stream.Attempts, "attempts")
	// Output:
	// {"response":"rye","done":true} <nil>
	// 2 attempts
}

// A day's quota is gone, so there is no retry.
func ExampleBedrock() {
	service := serve(reply{400, "application/json", `{"__type":"ThrottlingException","message":"Too many tokens per day, please wait before trying again."}`})
	defer service.Close()
	client := open(service, dialect.Bedrock)
	defer client.Close()

	_, err := client.Post(ctx, "/model/amazon.nova/converse", map[string]any{})
	explain(err)
	// Output: quota after 1 attempt: 400 Bad Request: Too many tokens per day, please wait before trying again.
}

func ExampleGemini() {
	service := serve(reply{400, "application/json", `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`})
	defer service.Close()
	client := open(service, dialect.Gemini)
	defer client.Close()

	_, err := client.Post(ctx, "/v1beta/models/gemini:generateContent", map[string]any{})
	explain(err)
	// Output: credential after 1 attempt: 400 Bad Request: API key not valid.
}

// A GraphQL query that is declined is a 200.
func ExampleGitHub() {
	service := serve(reply{200, "application/json", `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded for user ID 1."}]}`})
	defer service.Close()
	client := open(service, dialect.GitHub)
	defer client.Close()

	_, err := client.Post(ctx, "/graphql", map[string]string{"query": "{viewer{login}}"})
	explain(err)
	fmt.Println(client.Scopes()[0].Name)
	// Output:
	// throttled after 4 attempts: 200 OK: API rate limit exceeded for user ID 1.
	// graphql
}

// The error has the text of an application/problem+json.
func ExampleStandard() {
	service := serve(reply{422, "application/problem+json", `{"title":"Your request is not valid.","detail":"must be positive"}`})
	defer service.Close()
	client := open(service, dialect.Standard)
	defer client.Close()

	_, err := client.Post(ctx, "/buy", map[string]int{"pieces": -1})
	explain(err)
	// Output: request after 1 attempt: 422 Unprocessable Entity: Your request is not valid: must be positive
}

// explain prints the class and the reason of a failed call.
func explain(err error) {
	var failed *holdfast.Error
	var declined *holdfast.StatusError
	if !errors.As(err, &failed) || !errors.As(err, &declined) {
		fmt.Println(err)
		return
	}
	n, attempts := len(failed.Attempts), "attempts"
	if n == 1 {
		attempts = "attempt"
	}
	fmt.Printf("%v after %d %s: %v\n", failed.Attempts[n-1].Class, n, attempts, declined)
}
