package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// who is a service that answers with the key that it got.
func who() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "key %q", r.Header.Get("X-Api-Key"))
	}))
}

// An SDK calls its API and an upload host. Other hosts, such as buckets, get no key.
func ExampleNewRouter() {
	api, upload, bucket := who(), who(), who()
	defer api.Close()
	defer upload.Close()
	defer bucket.Close()

	router, err := holdfast.NewRouter(holdfast.RouterConfig{
		Hosts: map[string]holdfast.Config{
			api.URL:    {Header: http.Header{"X-Api-Key": {"a"}}},
			upload.URL: {Header: http.Header{"X-Api-Key": {"u"}}, Timeouts: holdfast.Timeouts{Attempt: 10 * time.Minute}},
		},
		Default: &holdfast.Config{},
	})
	if err != nil {
		panic(err) // names every invalid setting
	}
	defer router.Close()
	sdk := router.HTTPClient() // what the SDK is given

	for _, service := range []*httptest.Server{api, upload, bucket} {
		resp, err := sdk.Get(service.URL)
		if err != nil {
			panic(err)
		}
		var key string
		_, _ = fmt.Fscanf(resp.Body, "key %q", &key)
		resp.Body.Close()
		fmt.Printf("%q\n", key)
	}
	// Output:
	// "a"
	// "u"
	// ""
}

// An SDK that sends every call by POST gets its retries from RepeatPOST.
func ExampleRouter_HTTPClient() {
	server, _ := faultserver.New(fault.Plan{Rules: []fault.Rule{{Nth: "1-2", Fault: fault.Fault{Status: 503}}}})
	defer server.Close()
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: map[string]holdfast.Config{
		server.URL(): {Retry: holdfast.Retry{BaseDelay: time.Millisecond}},
	}})
	if err != nil {
		panic(err)
	}
	defer router.Close()

	resp, err := router.HTTPClient(holdfast.RepeatPOST()).Post(server.URL()+"/v1/chat", "application/json", nil)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, "after", router.Client(server.URL()).Stats().Attempts, "attempts")
	// Output: 200 after 3 attempts
}

// Without a Default, a call of an origin that is not listed is an error.
func ExampleRouter_RoundTrip() {
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"api.example.com": {}}})
	if err != nil {
		panic(err)
	}
	defer router.Close()

	req, _ := http.NewRequest(http.MethodGet, "https://evil.example/x", nil)
	_, err = router.RoundTrip(req)
	fmt.Println(err)
	// Output: holdfast: GET /x: invalid request: https://evil.example is not in RouterConfig.Hosts: add it there, or set RouterConfig.Default
}

// The Router is the transport of a client with settings of its own.
func ExampleRouter_Transport() {
	service := who()
	defer service.Close()
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Default: &holdfast.Config{}})
	if err != nil {
		panic(err)
	}
	defer router.Close()

	hc := &http.Client{
		Transport:     router.Transport(holdfast.RepeatPOST()),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := hc.Head(service.URL)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

// A health page shows the breaker of each origin.
func ExampleRouter_Client() {
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: map[string]holdfast.Config{
		"api.example.com": {}, "http://localhost:9000": {},
	}})
	if err != nil {
		panic(err)
	}
	defer router.Close()

	for _, origin := range router.Origins() {
		fmt.Println(origin, router.Client(origin).Breaker().State())
	}
	fmt.Println(router.Client("other.example.com") == nil)
	// Output:
	// http://localhost:9000 closed
	// https://api.example.com closed
	// true
}

func ExampleRouter_Stats() {
	bucket := who()
	defer bucket.Close()
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Default: &holdfast.Config{}})
	if err != nil {
		panic(err)
	}
	defer router.Close()

	resp, err := router.HTTPClient().Get(bucket.URL)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	for origin, stats := range router.Stats() {
		fmt.Println(origin == bucket.URL, stats.Operations)
	}
	// Output: true 1
}

func ExampleRouter_Shutdown() {
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"api.example.com": {}}})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := router.Shutdown(ctx); err != nil { // waits for running calls
		_ = router.Close() // ends them
	}
	_, err = router.HTTPClient().Get("https://api.example.com/x")
	fmt.Println(errors.Is(err, holdfast.ErrClosed))
	// Output: true
}
