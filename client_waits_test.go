package holdfast_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// No request is sent before the reset, neither of the call that was declined nor of another.
func TestResetHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		reset := start.Add(2 * time.Second).Truncate(time.Second).Add(time.Second)
		c, s := service(t, plan(rule("", "1", fault.Fault{Status: 429, Header: map[string]string{
			"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(reset.Unix(), 10),
		}})), holdfast.Config{})
		first := make(chan error)
		go func() { first <- get(t.Context(), c, "/x") }()
		time.Sleep(time.Second)
		if err := get(t.Context(), c, "/x"); err != nil {
			t.Error(err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		all := s.Record()
		equal(t, "attempts", len(all), 3)
		for _, a := range all[1:] {
			if d := a.At - all[0].At; d < reset.Sub(start) {
				t.Errorf("sent after %v, before the reset at %v", d, reset.Sub(start))
			}
		}
	})
}

// The forms themselves are tested in internal/core/judge. Here is what the client passes on.
func TestWaitsInOtherForms(t *testing.T) {
	retryInfo := `{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.5s"}]}}`
	for name, c := range map[string]struct {
		fault fault.Fault
		want  time.Duration
		from  string
	}{
		"a duration":                {fault.Fault{Status: 429, Header: map[string]string{"Retry-After": "1m30s"}}, 90 * time.Second, "retry-after"},
		"the longest of two limits": {fault.Fault{Status: 429, Header: map[string]string{"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "120ms", "X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "6s"}}, 6 * time.Second, "x-ratelimit-reset-tokens"},
		"the IETF's draft":          {fault.Fault{Status: 429, Header: map[string]string{"RateLimit": `"default";r=0;t=30`}}, 30 * time.Second, "ratelimit"},
		"a reset alone":             {fault.Fault{Status: 429, Header: map[string]string{"RateLimit-Reset": "3"}}, 3 * time.Second, "ratelimit-reset"},
		"a body":                    {fault.Fault{Status: 429, Body: retryInfo}, 2500 * time.Millisecond, "body: retryDelay"},
		"the body of a 503":         {fault.Fault{Status: 503, Body: `{"error":"Model is currently loading","estimated_time":20.0}`}, 20 * time.Second, "body: estimated_time"},
		"a limit of GitHub":         {fault.Fault{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}}, time.Minute, "x-ratelimit-reset"},
		"a quota of a day":          {fault.Fault{Status: 429, Body: strings.Replace(retryInfo, "[", `[{"violations":[{"quotaId":"RequestsPerDay"}]},`, 1)}, 0, ""},
		"a reset with a 503":        {fault.Fault{Status: 503, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}
				var r recorder
				client, _ := service(t, plan(rule("", "1", c.fault)), cfg, holdfast.WithObserver(&r))
				err := get(t.Context(), client, "/x")
				equal(t, "asked", attempts(t, err)[0].RetryAfter, c.want)
				equal(t, "where", attempts(t, err)[0].RetryAfterFrom, c.from)
				equal(t, "the event's", r.all(holdfast.EventAttemptDone)[0].RetryAfterFrom, c.from)
			})
		})
	}
}

// A 503 beside the reset of a limit may have done what the request asks for.
func TestResetIsNoRefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1", fault.Fault{Status: 503, Header: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "3"}})),
			holdfast.Config{Retry: holdfast.Retry{Repeat: holdfast.RepeatSafe}})
		_, err := c.Post(t.Context(), "/x", nil)
		is(t, err, holdfast.ErrUnavailable)
		equal(t, "attempts", len(s.Record()), 1)
	})
}

// Through the SDK transport the headers count, and the body is the SDK's.
func TestWaitsThroughTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1", fault.Fault{
			Status: 429, Header: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "3"}, Body: `{"retry_after":9}`,
		})), holdfast.Config{})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		all := s.Record()
		equal(t, "attempts", len(all), 2)
		if d := all[1].At - all[0].At; d < 3*time.Second || d > 4*time.Second {
			t.Errorf("was sent again after %v, want 3 s", d)
		}
	})
}
