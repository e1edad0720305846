package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast"
)

// modelService throttles one model for an hour.
func modelService() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Model string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.Model == "large" {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprintf(w, `{"text":"hello from %s"}`, in.Model)
	}))
}

// One model is throttled for an hour. The other one is asked as before.
func ExampleScopeModel() {
	s := modelService()
	defer s.Close()
	client, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Name: "models", Scope: holdfast.ScopeModel})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	type request struct {
		Model string `json:"model"`
	}
	type answer struct{ Text string }
	for _, model := range []string{"large", "large", "small"} {
		out, err := holdfast.Post[answer](context.Background(), client, "/chat", request{model})
		var rejected *holdfast.RejectedError
		switch {
		case errors.As(err, &rejected):
			fmt.Println(rejected.Name, "asked for", time.Until(rejected.RetryAt).Round(time.Minute))
		case errors.Is(err, holdfast.ErrRateLimited):
			fmt.Println(model, "is throttled")
		default:
			fmt.Println(out.Text, err)
		}
	}
	// Output:
	// large is throttled
	// models/large asked for 10m0s
	// hello from small <nil>
}

func ExampleScopePath() {
	req, _ := http.NewRequest(http.MethodGet, "https://api.example.com/v1/charges/ch_3LmzzQ2eZvKYlo2C", nil)
	fmt.Println(holdfast.ScopePath(req))
	// Output: GET /v1/charges/*
}

// Each key has a breaker and a cooldown of its own. The name of the scope does not show it.
func ExampleScopeHeader() {
	req, _ := http.NewRequest(http.MethodGet, "https://api.example.com/v1", nil)
	req.Header.Set("X-Api-Key", "first")
	fmt.Println(holdfast.ScopeHeader("X-Api-Key")(req))
	// Output: x-api-key:a7937b64b8ca
}

func ExampleClient_Scopes() {
	s := modelService()
	defer s.Close()
	client, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Scope: holdfast.ScopeModel})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, _ = client.Post(context.Background(), "/chat", map[string]string{"model": "small"})
	fmt.Printf("%+v\n", client.Scopes())
	fmt.Println(client.ScopeBreaker("small").State())
	// Output:
	// [{Name:small BreakerState:closed Rejected:0}]
	// closed
}
