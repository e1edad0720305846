package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// throttledFor is an answer that asks for a wait.
func throttledFor(d time.Duration) fault.Fault { return fault.Fault{Status: 429, RetryAfter: d} }

// crowd makes n calls at once, and returns their errors.
func crowd(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errs
}

// The length of the bulkhead's queue bounds the calls that wait for the end of a cooldown.
// A client without a bulkhead has another bound.
func TestWaitersOfACooldown(t *testing.T) {
	for name, c := range map[string]struct {
		bulkhead holdfast.BulkheadConfig
		want     error
	}{
		"no bulkhead": {holdfast.BulkheadConfig{MaxConcurrent: holdfast.Off}, nil},
		"a bulkhead":  {holdfast.BulkheadConfig{}, nil},
		"no queue":    {holdfast.BulkheadConfig{MaxQueue: holdfast.Off}, holdfast.ErrRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, _ := service(t, plan(rule("", "1", throttledFor(2*time.Second))), holdfast.Config{
					Bulkhead: c.bulkhead, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
				})
				is(t, get(t.Context(), client, "/x"), holdfast.ErrRateLimited)
				start, err := time.Now(), get(t.Context(), client, "/x")
				if c.want != nil {
					is(t, err, c.want)
					return
				}
				if waited := time.Since(start); err != nil || waited < 2*time.Second {
					t.Errorf("a call in the cooldown: %v after %v", err, waited)
				}
			})
		})
	}
}

// A service that asks to be left alone gets one request, whatever it answers and however
// long the wait is. Every later call fails at once, and knows until when.
func TestLongCooldown(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"429": throttledFor(5 * time.Minute),
		"503": {Status: 503, RetryAfter: 5 * time.Minute},
		"529": {Status: 529, RetryAfter: 5 * time.Minute},
		"403": {Status: 403, RetryAfter: 5 * time.Minute},
		"a reset": {Status: 429, Header: map[string]string{
			"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "300",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(rule("", "", f)), holdfast.Config{})
				start := time.Now()
				_ = get(t.Context(), c, "/x")
				for _, err := range crowd(100, func(int) error { return get(t.Context(), c, "/x") }) {
					is(t, err, holdfast.ErrCoolingDown, holdfast.ErrRateLimited)
					isNot(t, err, holdfast.ErrStatus, holdfast.ErrConnection)
					rejected, ok := errors.AsType[*holdfast.RejectedError](err)
					if !ok || !rejected.RetryAt.Equal(start.Add(5*time.Minute)) {
						t.Errorf("%+v", rejected)
					}
				}
				if time.Since(start) > time.Second || len(s.Record()) != 1 {
					t.Errorf("%d requests, and the last call ended after %v", len(s.Record()), time.Since(start))
				}
				equal(t, "breaker", c.Breaker().State(), holdfast.Closed)
			})
		})
	}
}

// A limit of one path concerns that path. A limit of the service costs two requests.
func TestWhatACooldownConcerns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/search", "", throttledFor(time.Hour))), holdfast.Config{Retry: holdfast.Retry{MaxCooldown: holdfast.Off}})
		is(t, get(t.Context(), c, "/search"), holdfast.ErrRateLimited)
		start := time.Now()
		for i := range 10 {
			if err := get(t.Context(), c, fmt.Sprint("/files/", i)); err != nil {
				t.Error(err)
			}
		}
		is(t, get(t.Context(), c, "/search"), holdfast.ErrCoolingDown)
		equal(t, "time", time.Since(start), 0)
		equal(t, "requests", len(s.Record()), 11)
	})
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", throttledFor(5*time.Minute))), holdfast.Config{})
		for i := range 100 {
			_ = get(t.Context(), c, []string{"/a", "/b", "/c", "/d"}[i%4])
		}
		equal(t, "requests", len(s.Record()), 2)
	})
	// A path with an id is that of its other ids.
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", throttledFor(5*time.Minute))), holdfast.Config{})
		for i, id := range []string{"17", "0b9f3c1e-5e4b-4db2-aaa0-4a29fd20c89e", "ch_3LmzzQ2eZvKYlo2C", "a94a8fe5ccb19ba6", "2026-11-30"} {
			_ = get(t.Context(), c, "/charges/"+id+"/refunds")
			if len(s.Record()) != 1 {
				t.Errorf("%d: %s is another path", i, id)
			}
		}
	})
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1", throttledFor(5*time.Minute))), holdfast.Config{})
		_ = get(t.Context(), c, "/models/gpt-4o-2024-08-06")
		for _, model := range []string{"gpt-4o-mini", "text-embedding-3-small", "claude-3-5-sonnet-20241022", "gemini-1.5-flash:generateContent"} {
			if err := get(t.Context(), c, "/models/"+model); err != nil {
				t.Error(err)
			}
		}
		equal(t, "requests", len(s.Record()), 5)
	})
}

// What the service says of the limit counts.
func TestNamedLimits(t *testing.T) {
	limited := func(name, value string) fault.Fault {
		return fault.Fault{Status: 429, RetryAfter: 5 * time.Minute, Header: map[string]string{name: value}}
	}
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/a", "", limited("X-RateLimit-Scope", "global"))), holdfast.Config{})
		_ = get(t.Context(), c, "/a")
		is(t, get(t.Context(), c, "/b"), holdfast.ErrCoolingDown)
		equal(t, "requests", len(s.Record()), 1)
	})
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(
			rule("/search", "", limited("X-RateLimit-Resource", "search")), rule("/graphql", "", limited("X-RateLimit-Resource", "graphql")),
		), holdfast.Config{})
		_ = get(t.Context(), c, "/search")
		_ = get(t.Context(), c, "/graphql")
		if err := get(t.Context(), c, "/user"); err != nil {
			t.Errorf("two limits are no evidence for a third: %v", err)
		}
		equal(t, "requests", len(s.Record()), 3)
	})
}

// An epoch in Retry-After does not stop a client for years, and a probe finds out that the
// service answers again.
func TestCooldownIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		epoch := fault.Fault{Status: 429, Header: map[string]string{"Retry-After": strconv.FormatInt(time.Now().Unix(), 10)}}
		c, s := service(t, plan(rule("", "1-3", epoch)), holdfast.Config{})
		_ = get(t.Context(), c, "/x")
		rejected, _ := errors.AsType[*holdfast.RejectedError](get(t.Context(), c, "/x"))
		if until := time.Until(rejected.RetryAt); until != 10*time.Minute {
			t.Errorf("held for %v", until)
		}
		sent := func(n int) {
			t.Helper()
			for range 10 {
				_ = get(t.Context(), c, "/x")
			}
			equal(t, "requests", len(s.Record()), n)
		}
		time.Sleep(59 * time.Second)
		sent(1)
		time.Sleep(time.Second)
		sent(2)
		time.Sleep(time.Minute)
		sent(3)
		time.Sleep(time.Minute) // the next probe succeeds, and the others follow it
		sent(13)
	})
}

// Callers that waited start at random over a tenth of the wait, at first one at once. So
// the service that returns with room for one gets no wave.
func TestWakingUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one := fault.Fault{Latency: &fault.Latency{Fixed: 100 * time.Millisecond}}
		c, s := service(t, plan(rule("", "1", throttledFor(20*time.Second)), rule("", "", one)), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_ = get(t.Context(), c, "/x")
		for _, err := range crowd(40, func(int) error { return get(t.Context(), c, "/x") }) {
			if err != nil {
				t.Error(err)
			}
		}
		all := s.Record()
		equal(t, "requests", len(all), 41)
		began := map[int]int{} // by tenths of a second after the end
		for _, a := range all[1:] {
			after := a.At - all[0].At - 20*time.Second
			if after < 0 {
				t.Fatalf("a request %v before the end", -after)
			}
			began[int(after/(100*time.Millisecond))]++
		}
		first := 0
		for began[first] == 0 {
			first++
		}
		for i, most := range []int{1, 2, 4, 8} {
			if n := began[first+i]; n > most {
				t.Errorf("%d requests in tenth %d, want at most %d", n, i, most)
			}
		}
	})
}

// Retry.Throttled outlasts a limit per minute that is told without a wait, and leaves the
// ordinary retries for other failures.
func TestThrottledSchedule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1-4", fault.Fault{Status: 429}), rule("", "5-7", fault.Fault{Status: 503})), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: 3, Throttled: holdfast.Schedule{MaxRetries: 6}},
		})
		start := time.Now()
		if err := get(t.Context(), c, "/x"); err != nil {
			t.Error(err)
		}
		equal(t, "requests", len(s.Record()), 8)
		if took := time.Since(start); took < 37*time.Second || took > 82*time.Second {
			t.Errorf("%v, want half to all of 5+10+20+40 s, and 7 s", took)
		}
	})
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{Status: 429})), holdfast.Config{
			Retry: holdfast.Retry{Throttled: holdfast.Schedule{MaxRetries: 2, BaseDelay: time.Second}},
		})
		is(t, get(t.Context(), c, "/x"), holdfast.ErrRateLimited)
		equal(t, "requests", len(s.Record()), 3)
	})
	for field, s := range map[string]holdfast.Schedule{
		"Throttled.MaxRetries is 101":                                       {MaxRetries: 101},
		"Throttled.MaxDelay is 1s: must be at least BaseDelay, which is 5s": {MaxRetries: 1, MaxDelay: time.Second},
	} {
		err := holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{Throttled: s}}.Validate()
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want %q", err, field)
		}
	}
}

// A call of the SDK transport fails at once in a cooldown, too.
func TestCooldownAtTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", throttledFor(5*time.Minute))), holdfast.Config{})
		ask := func() (*http.Response, error) {
			req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL()+"/x", nil)
			return c.HTTPClient().Do(req)
		}
		resp, err := ask()
		if err != nil || resp.StatusCode != 429 {
			t.Fatalf("%v, want the answer", err)
		}
		resp.Body.Close()
		_, err = ask()
		is(t, err, holdfast.ErrCoolingDown)
		equal(t, "requests", len(s.Record()), 1)
	})
}
