package holdfast_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

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
				client, _ := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: 2 * time.Second})), holdfast.Config{
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
