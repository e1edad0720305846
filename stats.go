package holdfast

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/wire"
)

// ClientStats is a client at one moment: its settings, and what it has counted
// since it was made.
type ClientStats struct {
	Name             string        `json:"name"`
	BaseURL          string        `json:"base_url"`
	DefaultTimeout   time.Duration `json:"-"` // of one attempt
	MaxConns         int           `json:"max_connections"`
	MaxIdleConns     int           `json:"max_keepalive_connections"`
	MaxRetries       int           `json:"max_retries"`
	BaseDelay        time.Duration `json:"-"`
	MaxDelay         time.Duration `json:"-"`
	BreakerState     string        `json:"circuit_breaker_state"`     // off if there is none
	BreakerThreshold int           `json:"circuit_breaker_threshold"` // zero if there is none

	Operations uint64        `json:"operations"`
	Succeeded  uint64        `json:"succeeded"`
	Failed     uint64        `json:"failed"`
	Attempts   uint64        `json:"attempts"`
	Retries    uint64        `json:"retries"`
	Rejected   uint64        `json:"rejected"` // by the breaker
	Waits      uint64        `json:"waits"`    // for a slot
	Waited     time.Duration `json:"-"`        // all of them together
	InFlight   int           `json:"in_flight"`
	Queued     int           `json:"queued"` // for a slot
}

// MarshalJSON writes durations in seconds, as the second seed does.
func (s ClientStats) MarshalJSON() ([]byte, error) {
	type plain ClientStats
	return json.Marshal(struct {
		plain
		DefaultTimeout float64 `json:"default_timeout"`
		BaseDelay      float64 `json:"retry_base_delay"`
		MaxDelay       float64 `json:"retry_max_delay"`
		Waited         float64 `json:"waited"`
	}{plain(s), s.DefaultTimeout.Seconds(), s.BaseDelay.Seconds(), s.MaxDelay.Seconds(), s.Waited.Seconds()})
}

// Stats reads the client. The counts are read one after the other, so that a
// busy client's need not add up to the last one.
func (c *Client) Stats() ClientStats {
	s := ClientStats{
		Name: c.rules.name, BaseURL: wire.Shown(c.settings.base), DefaultTimeout: c.settings.timeouts.Attempt,
		MaxConns: c.settings.pool.MaxConns, MaxIdleConns: c.settings.pool.MaxIdleConns,
		MaxRetries: c.settings.retry.Retries, BaseDelay: c.settings.retry.Base, MaxDelay: c.settings.retry.Max,
		BreakerState: "off", BreakerThreshold: c.settings.breaker.Threshold,
		Succeeded: c.counts.succeeded.Load(), Failed: c.counts.failed.Load(),
		Attempts: c.counts.attempts.Load(), Retries: c.counts.retries.Load(),
		Waits: c.counts.waits.Load(), Waited: time.Duration(c.counts.waitedFor.Load()),
		InFlight: c.running.count(),
	}
	s.Operations = s.Succeeded + s.Failed
	if b := c.rules.breaker; b != nil {
		s.BreakerState, s.Rejected = b.State().String(), b.rejected.Load()
	}
	if b := c.rules.bulkhead; b != nil {
		s.Queued = b.Waiting()
	}
	return s
}

// counters are what a client counts. A nil one counts nothing, so that a policy
// pays nothing for them.
type counters struct {
	succeeded, failed        atomic.Uint64
	attempts, retries, waits atomic.Uint64
	waitedFor                atomic.Int64
}

func (c *counters) attempt() {
	if c != nil {
		c.attempts.Add(1)
	}
}

func (c *counters) retried() {
	if c != nil {
		c.retries.Add(1)
	}
}

func (c *counters) waited(d time.Duration) {
	if c != nil {
		c.waits.Add(1)
		c.waitedFor.Add(int64(d))
	}
}

func (c *counters) ended(ok bool) {
	switch {
	case c == nil:
	case ok:
		c.succeeded.Add(1)
	default:
		c.failed.Add(1)
	}
}
