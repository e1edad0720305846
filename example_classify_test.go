package holdfast_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// busyOnce is a service that answers the first request with 200 and a failure.
func busyOnce() *faultserver.Server {
	busy := fault.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"error": "model busy"}`}
	return serve(fault.Rule{Nth: "1", Fault: busy})
}

// classify finds an error in the body of a 200.
func classify(a *holdfast.Answer) holdfast.Verdict {
	var body struct{ Error string }
	if a.Status != 200 || json.Unmarshal(a.Body, &body) != nil || body.Error == "" {
		return holdfast.Verdict{} // left to the status
	}
	return holdfast.Verdict{Class: holdfast.ClassOverloaded, Text: body.Error}
}

// A failure inside a 200 is a failed attempt.
func ExampleAnswer() {
	service := busyOnce()
	defer service.Close()
	client, err := holdfast.New(holdfast.Config{
		BaseURL:  service.URL(),
		Retry:    holdfast.Retry{BaseDelay: time.Millisecond},
		Classify: classify,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	resp, err := client.Post(ctx, "/generate", ask)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Attempts, "attempts")
	// Output: 2 attempts
}

// A function for the answers of one call.
func ExampleWithClassify() {
	service := busyOnce()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	resp, err := client.Post(ctx, "/generate", ask, holdfast.WithClassify(classify))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Attempts, "attempts")
	// Output: 2 attempts
}

// The error names the service's reason.
func ExampleVerdict() {
	service := busyOnce()
	defer service.Close()
	client, err := holdfast.New(holdfast.Config{
		BaseURL:  service.URL(),
		Retry:    holdfast.Retry{MaxRetries: holdfast.Off},
		Classify: classify,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	_, err = client.Post(ctx, "/generate", ask)
	var declined *holdfast.StatusError
	if errors.As(err, &declined) {
		fmt.Println(errors.Is(err, holdfast.ErrUnavailable), declined)
	}
	// Output: true 200 OK: model busy
}
