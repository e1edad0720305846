package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dashboard"
)

// A program that serves its clients' page beside its own.
func ExampleHandler() {
	registry := new(holdfast.Registry)
	client, err := registry.Open("orders", holdfast.Config{BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	mux := http.NewServeMux()
	mux.Handle("/debug/holdfast/", dashboard.Handler(registry, dashboard.Options{}))
	server := httptest.NewServer(mux)
	defer server.Close()

	resp, err := http.Get(server.URL + "/debug/holdfast/state.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"))
	// Output: 200 application/json
}

// A page that shows failed calls, to those with a token.
func ExampleOptions() {
	failures := new(dashboard.Failures)
	client, err := holdfast.DefaultRegistry.Open("orders", holdfast.Config{BaseURL: "http://127.0.0.1:1"}, holdfast.WithObserver(failures))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	page := dashboard.Handler(nil, dashboard.Options{
		Failures: failures,
		Authorize: func(r *http.Request) error {
			if r.Header.Get("Authorization") != "Bearer of good news" {
				return fmt.Errorf("a token is missing")
			}
			return nil
		},
	})
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/debug/holdfast/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 403 a token is missing
}

// An observer of the clients.
func ExampleFailures_Observe() {
	var failures dashboard.Failures
	failures.Observe(context.Background(), holdfast.Event{Kind: holdfast.EventFailed, Name: "orders"})
	fmt.Println("kept for the page")
	// Output: kept for the page
}
