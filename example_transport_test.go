package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// An SDK takes an *http.Client, and gets all rules with it. It sees the service's answers
// unchanged.
func ExampleClient_HTTPClient() {
	server, _ := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Match: fault.Match{Path: "/v1/chat"}, Nth: "1-2", Fault: fault.Fault{Status: 503}},
		{Match: fault.Match{Path: "/v1/models"}, Fault: fault.Fault{Status: 404, Body: "no such model"}},
	}})
	defer server.Close()

	client, err := holdfast.New(holdfast.Config{
		Name: "chat", BaseURL: server.URL() + "/v1", Retry: holdfast.Retry{BaseDelay: time.Millisecond},
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	sdk := client.HTTPClient(holdfast.RepeatPOST()) // what the SDK is given

	resp, err := sdk.Post(server.URL()+"/v1/chat", "application/json", strings.NewReader(`{"prompt":"hold fast"}`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, "after", client.Stats().Attempts, "attempts")

	resp, err = sdk.Get(server.URL() + "/v1/models")
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(resp.StatusCode, string(body))
	// Output:
	// 200 after 3 attempts
	// 404 no such model
}

func ExampleClient_Transport() {
	client, err := holdfast.New(holdfast.Config{BaseURL: "http://127.0.0.1:1/v1", Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	hc := &http.Client{Transport: client.Transport()}
	_, err = hc.Get("http://127.0.0.1:1/v1/models?key=in-the-query")
	fmt.Println(errors.Is(err, holdfast.ErrConnection))
	text := err.Error() // http.Client shows the query: send keys in headers
	fmt.Println(strings.Contains(text, "in-the-query"))
	// Output:
	// true
	// true
}

func ExampleRepeatPOST() {
	server, _ := faultserver.New(fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Reset: fault.BeforeAnswer}}}})
	defer server.Close()
	client, err := holdfast.New(holdfast.Config{BaseURL: server.URL(), Retry: holdfast.Retry{BaseDelay: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	// The connection was lost: the order may have been placed.
	_, err = client.HTTPClient().Post(server.URL()+"/orders", "application/json", strings.NewReader(`{"n":1}`))
	var e *holdfast.Error
	if errors.As(err, &e) {
		fmt.Println(e.Stopped)
	}
	// Output: it may have been done, and it carries no key: see RepeatPOST
}

func ExamplePlainErrors() {
	client, err := holdfast.New(holdfast.Config{BaseURL: "https://api.example.com", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
		holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no route to host")}
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	// A library that looks at the type below *url.Error finds it.
	_, err = client.HTTPClient(holdfast.PlainErrors()).Get("https://api.example.com/")
	_, plain := errors.Unwrap(err).(*net.OpError)
	fmt.Println(err, plain)
	// Output: Get "https://api.example.com/": dial tcp: no route to host true
}

func ExampleDeclined() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer fresh" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer service.Close()
	token := "revoked" // in a cache
	client, err := holdfast.New(holdfast.Config{BaseURL: service.URL, Authorize: func(req *http.Request) error {
		if holdfast.Declined(req.Context()) != nil {
			token = "fresh" // from the token service
		}
		req.Header.Set("Authorization", "Bearer "+token)
		return nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	resp, err := client.Get(context.Background(), "/")
	fmt.Println(resp.Attempts, err)
	// Output: 2 <nil>
}
