package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

func TestRegistryMakesOneClient(t *testing.T) {
	r := new(holdfast.Registry)
	defer r.Shutdown(t.Context())
	cfg := holdfast.Config{BaseURL: "http://a.test", Header: http.Header{"Authorization": {"Bearer one"}}}
	const callers = 1000
	var arrived, made atomic.Int64
	// New returns after all goroutines have called Open.
	slowly := before(holdfast.WithLogger(nil), func() {
		made.Add(1)
		for arrived.Load() < callers {
			runtime.Gosched()
		}
		for range 100 {
			runtime.Gosched()
		}
	})
	got := make([]*holdfast.Client, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			arrived.Add(1)
			c, err := r.Open("mixedbread", cfg, slowly)
			if err != nil {
				t.Error(err)
			}
			got[i] = c
		})
	}
	all.Wait()
	equal(t, "clients that were made", made.Load(), 1)
	c, _ := r.Get("mixedbread")
	for _, theirs := range got {
		if theirs != c || c == nil {
			t.Fatal("a goroutine has another client")
		}
	}
	equal(t, "name", c.Stats().Name, "mixedbread")
}

// before is option with a call of f before it.
func before[O ~func(P), P any](option O, f func()) O {
	return func(p P) { f(); option(p) }
}

func TestRegistryConflicts(t *testing.T) {
	r := new(holdfast.Registry)
	defer r.Shutdown(t.Context())
	cfg := holdfast.Config{BaseURL: "http://a.test", Header: http.Header{"Authorization": {"Bearer s3cret"}}}
	first, err := r.Open("api", cfg)
	if err != nil {
		t.Fatal(err)
	}

	// A new key, a default that is written out, a function: no conflict.
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
	for _, want := range []string{`opening "api"`, "Config.Header", "Config.Timeouts.Attempt is 1m0s, this call has 5s", "Config.Breaker.FailureThreshold is 15, this call has 10"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "Config.Pool") {
		t.Errorf("the error shows a secret: %v", err)
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

// Every setting can conflict, and the error names it. Functions and the values of headers
// cannot. The test finds new settings by itself.
func TestRegistryConflictsOnEverySetting(t *testing.T) {
	cfg := holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{Throttled: holdfast.Schedule{MaxRetries: 6}}}
	var r holdfast.Registry
	defer r.Shutdown(t.Context())
	if _, err := r.Open("api", cfg); err != nil {
		t.Fatal(err)
	}
	asked := 0
	var each func(at string, v reflect.Value)
	each = func(at string, v reflect.Value) {
		before := reflect.ValueOf(v.Interface())
		switch v.Interface().(type) {
		case func(*http.Request) error:
			v.Set(reflect.ValueOf(func(*http.Request) error { return nil }))
		case func(*holdfast.Answer) holdfast.Verdict:
			v.Set(reflect.ValueOf(func(*holdfast.Answer) holdfast.Verdict { return holdfast.Verdict{} }))
		case func(*http.Request) string:
			v.Set(reflect.ValueOf(func(*http.Request) string { return "" }))
		case func(error) bool:
			v.Set(reflect.ValueOf(func(error) bool { return true }))
		case http.Header:
			v.Set(reflect.ValueOf(http.Header{"X-Team": {"one"}}))
		default:
			switch v.Kind() {
			case reflect.Struct:
				for i := range v.NumField() {
					each(at+"."+v.Type().Field(i).Name, v.Field(i))
				}
				return
			case reflect.String:
				v.SetString("http-x") // valid as a name, and as the name of a header
				if at == ".BaseURL" || at == ".Proxy" {
					v.SetString("http://b.test")
				}
			case reflect.Bool:
				v.SetBool(true)
			case reflect.Uint8:
				v.SetUint(1)
			case reflect.Int64:
				v.SetInt(int64(20 * time.Second))
			case reflect.Int:
				v.SetInt(7)
			default:
				t.Errorf("Config%s has a kind that this test does not know", at)
			}
		}
		defer v.Set(before)
		if at == ".Bulkhead.MaxWait" {
			return // it must be zero in Config
		}
		asked++
		_, err := r.Open("api", cfg)
		if v.Kind() == reflect.Func {
			if err != nil {
				t.Errorf("Config%s, a function, is a conflict: %v", at, err)
			}
			return
		}
		if !errors.Is(err, holdfast.ErrConfigConflict) {
			t.Errorf("another Config%s is no conflict: %v", at, err)
		} else if !strings.Contains(err.Error(), "its Config"+at+" is ") {
			t.Errorf("another Config%s has the error %v", at, err)
		}
	}
	each("", reflect.ValueOf(&cfg).Elem())
	if asked < 30 {
		t.Errorf("%d settings were tried", asked)
	}
}

// A thousand goroutines call Open at once, half of them with another setting. One half gets
// the same client, and the other half a conflict.
func TestRegistryConflictsAtOnce(t *testing.T) {
	var r holdfast.Registry
	defer r.Shutdown(t.Context())
	var mu sync.Mutex
	clients, conflicts := map[*holdfast.Client]int{}, 0
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			c, err := r.Open("api", holdfast.Config{BaseURL: []string{"http://a.test", "http://b.test"}[i%2]})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				clients[c]++
			} else if errors.Is(err, holdfast.ErrConfigConflict) {
				conflicts++
			}
		})
	}
	all.Wait()
	if only, _ := r.Get("api"); len(clients) != 1 || clients[only] != 500 || conflicts != 500 {
		t.Errorf("%d clients, %v calls each, %d conflicts", len(clients), clients, conflicts)
	}
}

// All statistics are one JSON value: by name, the same as Client.Stats.
func TestRegistryStatsJSON(t *testing.T) {
	var r holdfast.Registry
	defer r.Shutdown(t.Context())
	for _, name := range []string{"ollama", "mixedbread"} {
		if _, err := r.Open(name, holdfast.Config{BaseURL: "http://" + name + ".test"}); err != nil {
			t.Fatal(err)
		}
	}
	got := asMap(t, r.Stats())
	equal(t, "providers", len(got), 2)
	for _, name := range r.Names() {
		c, _ := r.Get(name)
		if want := asMap(t, c.Stats()); !reflect.DeepEqual(got[name], any(want)) || want["base_url"] != "http://"+name+".test" {
			t.Errorf("%s has %v, its own are %v", name, got[name], want)
		}
	}
	if none := asMap(t, new(holdfast.Registry).Stats()); none == nil || len(none) != 0 {
		t.Errorf("an empty registry has %v, want an empty object", none)
	}
}

// Each name has its own breaker, which all callers of Open share.
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

		// Reset removes everything, now and at the end of the test.
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

// Shutdown with enough time: running calls succeed, new ones are rejected, and Open returns a
// new client.
func TestRegistryShutdownAwaitsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := new(holdfast.Registry)
		s := faultserver.Start(t, plan(
			rule("/a", "", fault.Fault{Latency: &fault.Latency{Fixed: 3 * time.Second}}),
			rule("/b", "", fault.Fault{Latency: &fault.Latency{Fixed: 5 * time.Second}}),
		), faultserver.InMemory())
		open := func(name string) *holdfast.Client {
			c, err := r.Open(name, holdfast.Config{BaseURL: s.URL()}, holdfast.WithDialContext(s.Dial))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		a, b := open("a"), open("b")
		answers := make(chan error, 2)
		go func() { _, err := a.Get(t.Context(), "/a"); answers <- err }()
		go func() { _, err := b.Get(t.Context(), "/b"); answers <- err }()
		synctest.Wait() // both are on the wire
		time.AfterFunc(time.Second, func() {
			_, err := a.Get(t.Context(), "/fine")
			is(t, err, holdfast.ErrClosed)
			if fresh := open("a"); fresh == a {
				t.Error("Open returned a client that is shutting down")
			} else if _, err := fresh.Get(t.Context(), "/fine"); err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		equal(t, "time taken", time.Since(start), 5*time.Second)
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		equal(t, "names", fmt.Sprint(r.Names()), "[a]")
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Close removes a client from the registry, and the name is free again.
func TestRegistryRemovesClosedClients(t *testing.T) {
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
	first.Close() // must not remove the second client
	if c, _ := r.Get("api"); c != second {
		t.Error("the second client is gone")
	}
}

// A registry has policies, as it has clients.
func TestRegistryOfPolicies(t *testing.T) {
	r := new(holdfast.Registry)
	cfg := holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 2, BaseDelay: holdfast.Off}, AttemptTimeout: holdfast.Off}
	p, err := r.OpenPolicy("orders", cfg)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.OpenPolicy("orders", cfg); err != nil || again != p {
		t.Errorf("the same settings give %p, %v; want %p", again, err, p)
	}
	if known, ok := r.GetPolicy("orders"); !ok || known != p {
		t.Error("the policy is not found")
	}
	if _, ok := r.GetPolicy("other"); ok {
		t.Error("a policy that was not opened is found")
	}
	other := cfg
	other.Retry.MaxRetries, other.Total, other.Breaker, other.Bulkhead = 3, time.Second, holdfast.MustBreaker(holdfast.BreakerConfig{}), holdfast.MustBulkhead(holdfast.BulkheadConfig{})
	_, err = r.OpenPolicy("orders", other)
	is(t, err, holdfast.ErrConfigConflict)
	equal(t, "the conflict", err.Error(), `holdfast: opening "orders": holdfast: already open with other settings: its PolicyConfig.Retry.MaxRetries is 2, this call has 3
its PolicyConfig.Total is none, this call has 1s
its PolicyConfig.Breaker is one, this call has another
its PolicyConfig.Bulkhead is one, this call has another`)
	for _, name := range []string{"orders", "new"} {
		if _, err := r.OpenPolicy(name, holdfast.PolicyConfig{Total: -5}); err == nil || !strings.Contains(err.Error(), "PolicyConfig.Total is -5ns") {
			t.Errorf("an invalid setting of %s: %v", name, err)
		}
	}

	for n := range 3 {
		_ = holdfast.Run(t.Context(), p, func(context.Context) error {
			if n == 2 {
				return errDown
			}
			return nil
		})
	}
	s := r.PolicyStats()["orders"]
	equal(t, "the counts", s.Counts, holdfast.Counts{Operations: 3, Succeeded: 2, Failed: 1, Attempts: 5, Retries: 2})
	equal(t, "the name", s.Name, "orders")
	text, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(text), `"operations":3`) || !strings.Contains(string(text), `"waited":0`) || !strings.Contains(string(text), `"circuit_breaker_state":"off"`) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	r.Reset(t)
	if _, ok := r.GetPolicy("orders"); ok {
		t.Error("Reset leaves a policy")
	}
}

// The options of Use are those of every client and policy that is made later, and Reset
// forgets them.
func TestRegistryUse(t *testing.T) {
	var r holdfast.Registry
	r.Reset(t)
	before, err := r.Open("before", holdfast.Config{BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	of, more := new(measures), new(measures)
	r.Use(holdfast.WithMetrics(of))
	after, err := r.Open("after", holdfast.Config{BaseURL: "http://127.0.0.1:1"}, holdfast.WithMetrics(more))
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.OpenPolicy("work", holdfast.PolicyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before", "after"} { // known ones
		if _, err := r.Open(name, holdfast.Config{BaseURL: "http://127.0.0.1:1"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(of.of) != 2 || of.of[0].Client != after || of.of[1].Policy != p || before == after {
		t.Errorf("made with the options: %+v", of.of)
	}
	equal(t, "made with those of Open", len(more.of), 1)
	r.Reset(t)
	if _, err := r.Open("after", holdfast.Config{BaseURL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	equal(t, "made after Reset", len(of.of), 2)
}
