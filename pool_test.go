package holdfast_test

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// A client of one slot whose slot is held: whoever comes waits as long as
// Timeouts.Pool says, sends nothing and is nobody's failure. When the holder is
// done, the slot is free again, and so is its connection.
func TestPoolOfOneHeld(t *testing.T) {
	cfg := config(holdfast.Timeouts{Pool: 2 * time.Second})
	cfg.Bulkhead.MaxConcurrent = 1
	spoken(t, cfg, hang, func(t *testing.T, c *holdfast.Client, p *pipes) {
		held, err := fetchFrom(t, c, "/long")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Get(t.Context(), "/well")
		is(t, err, holdfast.ErrPoolTimeout)
		isNot(t, err, holdfast.ErrConnection, holdfast.ErrTimeout)
		took(t, start, 2*time.Second)
		equal(t, "attempts of who waited", len(attempts(t, err)), 0)

		why := errors.New("the caller had enough")
		start = time.Now()
		_, err = c.Get(canceled(t, time.Second, why), "/well")
		is(t, err, holdfast.ErrCanceled, why)
		took(t, start, time.Second)

		freed := time.AfterFunc(time.Second, func() { held.Body.Close() })
		defer freed.Stop()
		start = time.Now()
		if _, err = c.Get(t.Context(), "/well"); err != nil {
			t.Error(err)
		}
		took(t, start, time.Second)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		equal(t, "attempts", c.Stats().Attempts, 2)
		if c.Stats().Queued != 0 {
			t.Error("somebody is left waiting")
		}
	})
}
