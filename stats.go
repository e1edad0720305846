package holdfast

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
	"github.com/holdfast-go/holdfast/internal/striped"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// ClientStats is a client at one moment: its settings, and what it has counted
// since it was made. An operation is one call of the caller's, an attempt one
// request to the service.
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

	Counts

	InFlight int `json:"in_flight"` // operations now, bodies that callers still read among them
	Queued   int `json:"queued"`    // those of them that wait for a slot

	// Latency is how long operations took, with their retries and waits, of which
	// at least one attempt was made: refusals in microseconds would make a service
	// that is down look fast. A body that the caller reads counts to its headers.
	Latency Latency `json:"latency"`
	// AttemptLatency is how long single attempts took.
	AttemptLatency Latency `json:"attempt_latency"`
}

// Counts are what a client or a policy has counted since it was made. The counts
// are read one after the other, so they need not add up while calls run.
type Counts struct {
	Operations uint64 `json:"operations"`
	Succeeded  uint64 `json:"succeeded"`
	Failed     uint64 `json:"failed"`

	Attempts  uint64 `json:"attempts"`
	Retries   uint64 `json:"retries"`   // backoffs that were begun
	Timeouts  uint64 `json:"timeouts"`  // attempts that a limit of this side ended
	Throttled uint64 `json:"throttled"` // attempts that were answered with 429, or classified as Throttled
	BrokeOff  uint64 `json:"broke_off"` // answers that failed while the caller read them; a client's

	// Calls that were delayed or not sent.
	Rejected     uint64        `json:"rejected"`      // by the breaker, whoever shares it
	PoolTimeouts uint64        `json:"pool_timeouts"` // no permit came free in time
	Waits        uint64        `json:"waits"`         // waits for a permit that ended with one
	Waited       time.Duration `json:"-"`             // their sum; in seconds as "waited"
	Cooldowns    uint64        `json:"cooldowns"`     // operations that waited for the end of a cooldown, or could not
}

// PolicyStats is a policy at one moment.
type PolicyStats struct {
	Name         string `json:"name"`
	BreakerState string `json:"circuit_breaker_state"` // StateOff if there is none
	Queued       int    `json:"queued"`                // calls that wait for a permit of its bulkhead
	Counts
}

// MarshalJSON writes durations in seconds.
func (s PolicyStats) MarshalJSON() ([]byte, error) {
	type plain PolicyStats
	return json.Marshal(struct {
		plain
		Waited float64 `json:"waited"`
	}{plain(s), s.Waited.Seconds()})
}

// Stats reads the policy.
func (p *Policy) Stats() PolicyStats {
	s := PolicyStats{Name: p.shared.name}
	s.Counts, _, _ = p.shared.read()
	s.BreakerState, s.Queued = p.shared.machines()
	return s
}

// Latency is how long things took: half of them at most P50, nine in ten at most
// P90, and so on. The figures come from ranges of fixed width, eight to each
// doubling: they are too long by at most 12.5 %, or by a microsecond below eight,
// and never too short. From 38 hours on all is one.
type Latency struct {
	Count         uint64
	P50, P90, P99 time.Duration // zero if Count is
}

// MarshalJSON writes durations in seconds.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count uint64  `json:"count"`
		P50   float64 `json:"p50"`
		P90   float64 `json:"p90"`
		P99   float64 `json:"p99"`
	}{l.Count, l.P50.Seconds(), l.P90.Seconds(), l.P99.Seconds()})
}

// MarshalJSON writes durations in seconds.
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

// Stats reads the client.
func (c *Client) Stats() ClientStats {
	r := c.resolved.Load()
	s := ClientStats{
		Name: c.shared.name, BaseURL: wire.Shown(r.base), DefaultTimeout: r.Attempt,
		MaxConns: r.pool.MaxConns, MaxIdleConns: r.pool.MaxIdleConns,
		MaxRetries: r.Retry.Retries, BaseDelay: r.Retry.Base, MaxDelay: r.Retry.Max,
		BreakerThreshold: r.breaker.Threshold, InFlight: c.running.count(),
	}
	s.BreakerState, s.Queued = c.shared.machines()
	s.Counts, s.Latency, s.AttemptLatency = c.shared.read()
	return s
}

// machines are the state of the breaker and the length of the bulkhead's queue.
func (s *shared) machines() (state string, queued int) {
	state = StateOff
	if s.breaker != nil {
		state = s.breaker.State().String()
	}
	if s.bulkhead != nil {
		queued = s.bulkhead.Waiting()
	}
	return state, queued
}

// read reads the counts, and the latencies of operations and attempts.
func (s *shared) read() (c Counts, ofOperations, ofAttempts Latency) {
	n := &s.counts
	c = Counts{
		Retries: n.retries.Load(), Timeouts: n.timeouts.Load(), Throttled: n.throttled.Load(), BrokeOff: n.brokeOff.Load(),
		PoolTimeouts: n.poolTimeouts.Load(), Waits: n.waits.Load(), Waited: time.Duration(n.waitedFor.Load()), Cooldowns: n.cooldowns.Load(),
	}
	if s.breaker != nil {
		c.Rejected = s.breaker.rejected.Load()
	}
	operations, attempts, together, failed := n.succeeded.Snapshot(), n.attempts.Snapshot(), n.together.Snapshot(), n.failed.Snapshot()
	attempts.Add(together)
	operations.Add(together)
	c.Attempts, c.Succeeded, c.Failed = attempts.Count(), operations.Count(), failed.Count()+n.rejected.Load()
	c.Operations = c.Succeeded + c.Failed
	operations.Add(failed)
	return c, latencyOf(operations), latencyOf(attempts)
}

func latencyOf(s *latency.Snapshot) Latency {
	return Latency{Count: s.Count(), P50: s.Quantile(0.5), P90: s.Quantile(0.9), P99: s.Quantile(0.99)}
}

// counters are what a client or a policy counts.
type counters struct {
	// How long operations and attempts took, and by that how many there were. An
	// operation that succeeded and began with its attempt, as nearly all do, is only
	// in together, once for both.
	succeeded, failed, attempts, together latency.Histogram

	rejected                       striped.Counter // failed without an attempt
	retries, timeouts, throttled   atomic.Uint64
	poolTimeouts, waits, cooldowns atomic.Uint64
	brokeOff                       atomic.Uint64
	waitedFor                      atomic.Int64
}

// attempt counts one that has ended.
func (c *counters) attempt(o Outcome, took time.Duration) {
	c.attempts.Record(took)
	if o == Throttled {
		c.throttled.Add(1)
	}
}

// waited counts a wait for a permit that ended with one.
func (c *counters) waited(d time.Duration) {
	c.waits.Add(1)
	c.waitedFor.Add(int64(d))
}

// ended counts an operation and, if an attempt was made, how long it took.
func (c *counters) ended(ok bool, attempts int, took time.Duration) {
	switch {
	case ok:
		c.succeeded.Record(took)
	case attempts > 0:
		c.failed.Record(took)
	default:
		c.rejected.Add(1)
	}
}
