package holdfast_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Requirement B13: a health check makes one attempt. It asks the breaker and gives it no
// verdict.
func TestHealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := new(recorder)
		c, s := service(t, plan(rule("/503", "", fault.Fault{Status: 503}), rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer})), holdfast.Config{
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute, HalfOpenMaxCalls: 1},
		}, holdfast.WithObserver(seen))
		if err := c.Healthy(t.Context(), "/health"); err != nil {
			t.Error(err)
		}
		for range 5 {
			is(t, c.Healthy(t.Context(), "/503"), holdfast.ErrUnavailable)
		}
		start := time.Now()
		is(t, c.Healthy(t.Context(), "/hang", holdfast.WithAttemptTimeout(5*time.Second)), holdfast.ErrTimeout)
		equal(t, "time taken", time.Since(start), 5*time.Second)
		equal(t, "attempts", len(s.Record()), 7)
		equal(t, "state", c.Breaker().State(), holdfast.Closed)
		for _, e := range seen.all(holdfast.EventAttempt) {
			equal(t, "at most", e.Of, 1)
		}

		_, _ = c.Get(t.Context(), "/503", holdfast.WithNoRepeat())
		equal(t, "state", c.Breaker().State(), holdfast.Open)
		sent := len(s.Record())
		is(t, c.Healthy(t.Context(), "/health"), holdfast.ErrCircuitOpen)
		equal(t, "sent to a service that is down", len(s.Record()), sent)
		// It does not change a half-open breaker, and returns its permit.
		time.Sleep(time.Minute)
		if err := c.Healthy(t.Context(), "/health"); err != nil {
			t.Error(err)
		}
		is(t, c.Healthy(t.Context(), "/503"), holdfast.ErrUnavailable)
		equal(t, "state", c.Breaker().State(), holdfast.HalfOpen)
		if _, err := c.Get(t.Context(), "/fine"); err != nil {
			t.Error(err)
		}
		equal(t, "state", c.Breaker().State(), holdfast.Closed)
	})
}
