package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

type question struct {
	Messages []string `json:"messages"`
	Model    string   `json:"model"`
}

// askModel asks a model at a path of its own.
func askModel(ctx context.Context, c *holdfast.Client, model string) error {
	_, err := c.Post(ctx, "/chat/"+model, question{[]string{"hi"}, model})
	return err
}

// With Config.Scope, breaker and cooldown are those of the scope: a name that is throttled
// for an hour, or down, stops no other.
func TestScopes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/chat/large", "", throttledFor(time.Hour)), rule("/chat/broken", "", fault.Fault{Status: 500})), holdfast.Config{
			Scope: holdfast.ScopeModel, Breaker: holdfast.BreakerConfig{FailureThreshold: 2}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		})
		start := time.Now()
		for range 10 {
			_ = askModel(t.Context(), c, "large")
			_ = askModel(t.Context(), c, "broken")
			if err := askModel(t.Context(), c, "small"); err != nil {
				t.Error(err)
			}
		}
		equal(t, "time", time.Since(start), 0)
		equal(t, "requests", len(s.Record()), 1+2+10)
		is(t, askModel(t.Context(), c, "large"), holdfast.ErrCoolingDown)
		is(t, askModel(t.Context(), c, "broken"), holdfast.ErrCircuitOpen)
		equal(t, "the client's breaker", c.Breaker().State(), holdfast.Closed)
		equal(t, "that of a model", c.ScopeBreaker("broken").State(), holdfast.Open)
		if b := c.ScopeBreaker("none"); b != nil {
			t.Errorf("%v", b)
		}
		shown, _ := json.Marshal(c.Scopes())
		want := `[{"name":"broken","circuit_breaker_state":"open","rejected":9},{"name":"large","circuit_breaker_state":"closed","rejected":0},{"name":"small","circuit_breaker_state":"closed","rejected":0}]`
		equal(t, "scopes", string(shown), want)
		equal(t, "rejected", c.Stats().Rejected, 9)
	})
}

// The error and the events name the scope.
func TestScopesAreNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen recorder
		c, _ := service(t, plan(rule("/chat/large", "", throttledFor(time.Hour)), rule("/chat/broken", "", fault.Fault{Status: 500})), holdfast.Config{
			Name: "api", Scope: holdfast.ScopeModel, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		}, holdfast.WithObserver(&seen))
		for model, want := range map[string]string{"large": "api/large", "broken": "api/broken"} {
			_ = askModel(t.Context(), c, model)
			var rejected *holdfast.RejectedError
			if err := askModel(t.Context(), c, model); !errors.As(err, &rejected) || rejected.Name != want {
				t.Errorf("%+v of %v", rejected, err)
			}
		}
		if opened := seen.all(holdfast.EventBreakerOpened); len(opened) != 1 || opened[0].Name != "api/broken" {
			t.Errorf("%+v", opened)
		}
	})
}

// At most 128 scopes are kept. The least recently used one with nothing to remember is
// forgotten, and if there is none, the call has no scope and is counted.
func TestScopesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("/chat/bad-*", "", fault.Fault{Status: 500})), holdfast.Config{
			Scope: holdfast.ScopeModel, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		})
		for i := range 1000 {
			_ = askModel(t.Context(), c, fmt.Sprint("good-", i))
		}
		all := c.Scopes()
		equal(t, "scopes", len(all), 128)
		if c.ScopeBreaker("good-999") == nil || c.ScopeBreaker("good-871") != nil {
			t.Errorf("kept are %v to %v", all[0], all[127])
		}
		for i := range 200 {
			_ = askModel(t.Context(), c, fmt.Sprint("bad-", i))
		}
		s := c.Stats()
		if len(c.Scopes()) != 128 || s.ScopesFull != 72 || c.Breaker().Stats().FailureCount == 0 {
			t.Errorf("%d scopes, full %d times", len(c.Scopes()), s.ScopesFull)
		}
	})
}

// What the functions name. A body stays as it is.
func TestScopeFunctions(t *testing.T) {
	long := `"` + strings.Repeat("x", 1<<20) + `"`
	for in, want := range map[string]string{
		`{"model":"gpt-4o","messages":[]}`:                        "gpt-4o",
		`{"messages":[{"model":"no"},["a",{"b":1}]],"model":"m"}`: "m",
		`{"model":7}`:                         "",
		`{"messages":["model"]}`:              "",
		`["model","m"]`:                       "",
		`{"model":`:                           "",
		`model`:                               "",
		``:                                    "",
		`{"prompt":` + long + `,"model":"m"}`: "",
		`{"model":"m","prompt":` + long + `}`: "m",
	} {
		req, _ := http.NewRequest(http.MethodPost, "http://a.test/v1/chat", strings.NewReader(in))
		if got := holdfast.ScopeModel(req); got != want {
			t.Errorf("%.40s: %q, want %q", in, got, want)
		}
		if all, _ := io.ReadAll(req.Body); string(all) != in {
			t.Errorf("%.40s: the body is %.40s", in, all)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, "http://a.test/v1/charges/ch_3LmzzQ2eZvKYlo2C/refunds/17", nil)
	req.Header.Set("Authorization", "Bearer secret")
	equal(t, "path", holdfast.ScopePath(req), "GET /v1/charges/*/refunds/*")
	key := holdfast.ScopeHeader("authorization")(req)
	if !strings.HasPrefix(key, "authorization:") || strings.Contains(key, "secret") || len(key) > 30 {
		t.Errorf("key %q", key)
	}
	equal(t, "none", holdfast.ScopeHeader("X-Key")(req), "")
	equal(t, "no body", holdfast.ScopeModel(req), "")
}

// Scope sees the body at every door where it can be had twice, and the service gets all of
// it. A name that cannot be shown is replaced.
func TestScopeSeesTheBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var names []string
		c, s := service(t, fault.Plan{}, holdfast.Config{Scope: func(r *http.Request) string {
			names = append(names, holdfast.ScopeModel(r))
			return strings.Repeat("long", 100) + "\n"
		}})
		body := `{"model":"m"}`
		send := func(r io.Reader) {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/x", r)
			resp, err := c.HTTPClient().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		_, _ = c.Post(t.Context(), "/x", question{Model: "m"})
		send(strings.NewReader(body))
		send(io.MultiReader(strings.NewReader(body))) // once only
		equal(t, "models", strings.Join(names, " "), "m m ")
		for _, a := range s.Record()[1:] {
			equal(t, "body", a.Bytes, len(body))
		}
		if all := c.Scopes(); len(all) != 1 || len(all[0].Name) != 16 {
			t.Errorf("%+v", all)
		}
	})
}
