package holdfast_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// An answer that arrives line by line: NDJSON, as from Ollama. The first attempt breaks off in
// its first line and is repeated.
func ExampleClient_Stream() {
	service := models(fault.Rule{Nth: "1", Fault: fault.Fault{Cut: &fault.Cut{After: 10}}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/api/generate", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	for line, err := range stream.Lines() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(line) > 0)
		break // closes the stream
	}
	fmt.Println(stream.Attempts, "attempts")
	// Output:
	// true
	// 2 attempts
}

// Lines of JSON, decoded.
func ExampleDecodeLines() {
	service := models()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/api/generate", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	type reply struct{ Response string }
	for r, err := range holdfast.DecodeLines[reply](stream) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(r.Response)
	}
	fmt.Println()
	// Output: bake loaf salt dough
}

// Events of different types.
func ExampleStream_Events() {
	service := eventStream("event: message_start\ndata: {}\n\n: keep-alive\n\nevent: delta\ndata: {\"text\": \"dough\"}\n\n")
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/v1/messages", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range stream.Events() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s\n", event.Type, event.Data)
	}
	// Output:
	// message_start {}
	// delta {"text": "dough"}
}

// Events of OpenAI's chat: each is JSON, except the last one, which is [DONE].
func ExampleDecodeEvents() {
	service := eventStream("data: {\"text\": \"salt\"}\n\ndata: {\"text\": \" and yeast\"}\n\ndata: [DONE]\n\n")
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/v1/chat/completions", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	for chunk, err := range holdfast.DecodeEvents[struct{ Text string }](stream, "[DONE]") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(chunk.Text)
	}
	fmt.Println()
	// Output: salt and yeast
}

// A stream without its last event broke off.
func ExampleStream_EndsWith() {
	service := eventStream("event: delta\ndata: {\"text\": \"dough\"}\n\n")
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/v1/messages", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.EndsWith(func(e holdfast.ServerEvent) bool { return e.Type == "message_stop" })
	for event, err := range stream.Events() {
		if err != nil {
			fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))
			return
		}
		fmt.Printf("%s %s\n", event.Type, event.Data)
	}
	// Output:
	// delta {"text": "dough"}
	// true
}

// The error of a stream that breaks off has the part that arrived.
func ExampleStreamError() {
	service := models(fault.Rule{Fault: fault.Fault{Cut: &fault.Cut{After: 200}}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	stream, err := client.Stream(ctx, http.MethodPost, "/api/generate", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, err = range stream.Lines() {
	}
	var broken *holdfast.StreamError
	if errors.As(err, &broken) {
		fmt.Println(broken)
		fmt.Printf("%.24s…\n", broken.Partial)
	}
	// Output:
	// the answer broke off: unexpected EOF (after 2 events, 200 bytes)
	// {"model":"m","created_a…
}

// models is an Ollama server.
func models(rules ...fault.Rule) *faultserver.Server {
	s, err := faultserver.New(fault.Plan{Rules: rules}, faultserver.Backend(faultserver.Ollama))
	if err != nil {
		panic(err)
	}
	return s
}

// eventStream is a server that answers every request with the same events.
func eventStream(events string) *faultserver.Server {
	return serve(fault.Rule{Fault: fault.Fault{Status: 200, Header: map[string]string{"Content-Type": "text/event-stream"}, Body: events}})
}

var ask = map[string]any{"model": "m", "prompt": "bread", "options": map[string]int{"num_predict": 4}}
