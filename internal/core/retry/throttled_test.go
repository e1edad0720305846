package retry

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The schedule after an attempt that was Throttled counts for itself, and waits half of its
// backoff at least.
func TestThrottled(t *testing.T) {
	cfg := Config{Retries: 1, Base: s, Max: s, Jitter: None, MaxRetryAfter: 60 * s, Throttled: Throttled{Retries: 3, Base: 5 * s, Max: 10 * s}}
	if got := cfg.Most(); got != 4 {
		t.Errorf("%d retries at most, want 4", got)
	}
	asks := outcome.Result{Outcome: outcome.Throttled, RetryAfter: 20 * s}
	schedule := Start(&cfg)
	for i, step := range []struct {
		r    outcome.Result
		u    float64
		want Decision
	}{
		{throttled, 0, Decision{Again: true, At: noon.Add(2500 * ms), Wait: 2500 * ms, Most: 5 * s}},
		{failed, 0, Decision{Again: true, At: noon.Add(s), Wait: s, Most: s}},
		{throttled, 0.5, Decision{Again: true, At: noon.Add(7500 * ms), Wait: 7500 * ms, Most: 10 * s}},
		{asks, 0, Decision{Again: true, At: noon.Add(20 * s), Wait: 20 * s, Most: 22 * s}},
		{throttled, 0, Decision{Why: Exhausted}},
		{failed, 0, Decision{Why: Exhausted}},
	} {
		if got := schedule.Next(noon, forever, step.r, step.u); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i+1, got, step.want)
		}
	}
}
