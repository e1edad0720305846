package holdfast_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Each failed attempt has its class, in the error and in the events.
func TestClassesOfAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := new(recorder)
		c, _ := service(t, plan(
			rule("/all", "1", fault.Fault{Status: 503}), rule("/all", "2", fault.Fault{Status: 429}),
			rule("/all", "3", fault.Fault{Hang: fault.BeforeAnswer}), rule("/all", "4", fault.Fault{Status: 404}),
			rule("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}),
		), holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: time.Second}}, holdfast.WithObserver(seen))
		_, err := c.Get(t.Context(), "/all")
		want := []holdfast.Class{holdfast.ClassOverloaded, holdfast.ClassThrottled, holdfast.ClassTimeout, holdfast.ClassRequest}
		all := attempts(t, err)
		if len(all) != len(want) {
			t.Fatal(err)
		}
		for i, a := range all {
			equal(t, "class in the error", a.Class, want[i])
			equal(t, "class in the event", seen.all(holdfast.EventAttemptDone)[i].Class, want[i])
		}
		equal(t, "class of the first retry", seen.all(holdfast.EventRetrying)[0].Class, holdfast.ClassOverloaded)
		equal(t, "class of the failure", seen.all(holdfast.EventFailed)[0].Class, holdfast.ClassRequest)

		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/cut", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
		}
		equal(t, "class of an answer that broke off", attempts(t, err)[0].Class, holdfast.ClassLost)
		equal(t, "its event", seen.all(holdfast.EventBrokeOff)[0].Class, holdfast.ClassLost)
	})
}

// A quota that is gone is not asked for again.
func TestQuotaIsNotRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{Status: 429, Body: `{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}`})), holdfast.Config{})
		_, err := c.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrRateLimited, holdfast.ErrStatus)
		equal(t, "class", attempts(t, err)[0].Class, holdfast.ClassQuota)
		equal(t, "requests", len(s.Record()), 1)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		var e *holdfast.Error
		if errors.As(err, &e) {
			equal(t, "reason", e.Stopped, "the same attempt would fail again")
		}
	})
}
