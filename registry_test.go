package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

func TestRegistryMakesOneClient(t *testing.T) {
	r := new(holdfast.Registry)
	defer r.Shutdown(t.Context())
	cfg := holdfast.Config{BaseURL: "http://a.test", Header: http.Header{"Authorization": {"Bearer one"}}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[*holdfast.Client]int{}
	for range 1000 {
		wg.Go(func() {
			c, err := r.Open("mixedbread", cfg)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			got[c]++
			mu.Unlock()
		})
	}
	wg.Wait()
	equal(t, "clients", len(got), 1)
	c, ok := r.Get("mixedbread")
	if !ok || got[c] != 1000 {
		t.Errorf("Get gives another client: %v", ok)
	}
	equal(t, "name", c.Stats().Name, "mixedbread")
}

func TestRegistryConflicts(t *testing.T) {
	r := new(holdfast.Registry)
	defer r.Shutdown(t.Context())
	cfg := holdfast.Config{BaseURL: "http://a.test", Header: http.Header{"Authorization": {"Bearer s3cret"}}}
	first, err := r.Open("api", cfg)
	if err != nil {
		t.Fatal(err)
	}

	// A rotated key, a default that was written out, a function: no conflict.
	same := cfg
	same.Header = http.Header{"Authorization": {"Bearer another"}}
	same.Retry = holdfast.Retry{MaxRetries: 3, BaseDelay: time.Second, On: holdfast.Is(errDown)}
	if c, err := r.Open("api", same); err != nil || c != first {
		t.Errorf("%v", err)
	}

	other := cfg
	other.Header = http.Header{"Authorization": {"Bearer s3cret"}, "X-Team": {"s3cret"}}
	other.Timeouts.Attempt = 5 * time.Second
	other.Breaker.FailureThreshold = 10
	_, err = r.Open("api", other)
	is(t, err, holdfast.ErrConfigConflict)
	for _, want := range []string{`opening "api"`, "Config.Header", "Config.Timeouts", "Config.Breaker", "Threshold:10"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "Config.Pool") {
		t.Errorf("error says too much: %v", err)
	}

	// Another name is another client.
	if c, err := r.Open("other", other); err != nil || c == first {
		t.Errorf("%v", err)
	}
	equal(t, "names", strings.Join(r.Names(), " "), "api other")
	_, err = r.Open("bad", holdfast.Config{})
	if err == nil || !strings.HasPrefix(err.Error(), `holdfast: opening "bad": holdfast: Config.BaseURL is empty`) {
		t.Errorf("error is %v", err)
	}
}

// Each provider has its own breaker, and all who open a provider share it.
func TestRegistrySharesBreakers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := new(holdfast.Registry)
		s := faultserver.Start(t, plan(rule("/down", "", fault.Fault{Status: 503})), faultserver.InMemory())
		open := func(name string) *holdfast.Client {
			c, err := r.Open(name, holdfast.Config{
				BaseURL: s.URL(), Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
			}, holdfast.WithDialContext(s.Dial))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		_, err := open("ollama").Get(t.Context(), "/down")
		is(t, err, holdfast.ErrUnavailable)
		_, err = open("ollama").Get(t.Context(), "/fine")
		is(t, err, holdfast.ErrCircuitOpen)
		if _, err = open("mixedbread").Get(t.Context(), "/fine"); err != nil {
			t.Error(err)
		}

		b, err := json.Marshal(r.Stats())
		if err != nil {
			t.Fatal(err)
		}
		var stats map[string]struct {
			State string `json:"circuit_breaker_state"`
		}
		_ = json.Unmarshal(b, &stats)
		equal(t, "state", stats["ollama"].State, "open")
		equal(t, "state", stats["mixedbread"].State, "closed")

		// Reset is for tests: nothing is left, now and afterwards.
		r.Reset(t)
		equal(t, "names", len(r.Names()), 0)
		_, err = open("ollama").Get(t.Context(), "/fine")
		if err != nil {
			t.Error(err)
		}
	})
}

func TestRegistryShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := new(holdfast.Registry)
		s := faultserver.Start(t, plan(rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 5 * time.Second}})), faultserver.InMemory())
		for _, name := range []string{"a", "b"} {
			c, err := r.Open(name, holdfast.Config{BaseURL: s.URL()}, holdfast.WithDialContext(s.Dial))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { _, _ = c.Get(t.Context(), "/slow") }()
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := r.Shutdown(ctx)
		is(t, err, context.DeadlineExceeded)
		equal(t, "time taken", time.Since(start), time.Second)
		for _, name := range []string{"a", "b"} {
			if !strings.Contains(err.Error(), "holdfast: "+name+": shutdown has left calls running (1)") {
				t.Errorf("error is %v", err)
			}
		}
		equal(t, "names", len(r.Names()), 0)
		if err := errors.Join(r.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
	})
}

// Close on a client takes it out, and the name is free again.
func TestRegistryForgetsTheClosed(t *testing.T) {
	r := new(holdfast.Registry)
	defer r.Shutdown(t.Context())
	first, err := r.Open("api", holdfast.Config{BaseURL: "http://a.test"})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, ok := r.Get("api"); ok {
		t.Error("a closed client is still there")
	}
	second, err := r.Open("api", holdfast.Config{BaseURL: "http://b.test"})
	if err != nil || second == first {
		t.Errorf("%v", err)
	}
	first.Close() // must not take the second one out
	if c, _ := r.Get("api"); c != second {
		t.Error("the second client is gone")
	}
}
