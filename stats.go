package holdfast

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
	"github.com/holdfast-go/holdfast/internal/striped"
	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// ClientStats are the settings and the statistics of a client at one moment. An
// operation is one call by the program, and an attempt is one request to the service.
// They encode as JSON, with durations in seconds.
type ClientStats struct {
	Name             string        `json:"name"`
	BaseURL          string        `json:"base_url"`
	DefaultTimeout   time.Duration `json:"-"` // of one attempt; "default_timeout" in JSON
	MaxConns         int           `json:"max_connections"`
	MaxIdleConns     int           `json:"max_keepalive_connections"`
	MaxRetries       int           `json:"max_retries"`
	BaseDelay        time.Duration `json:"-"`                         // "retry_base_delay" in JSON
	MaxDelay         time.Duration `json:"-"`                         // "retry_max_delay" in JSON
	BreakerState     string        `json:"circuit_breaker_state"`     // StateOff without a breaker
	BreakerThreshold int           `json:"circuit_breaker_threshold"` // zero without a breaker

	Counts

	InFlight int `json:"in_flight"` // operations that run now, or with a body that the caller still reads
	Queued   int `json:"queued"`    // operations that wait for a permit now
	Permits  int `json:"permits"`   // permits in use now
	// MaxPermits is Bulkhead.MaxConcurrent, zero without a bulkhead.
	MaxPermits int `json:"max_permits"`
	Streams    int `json:"streams"` // streams that have a place beside the permits now

	// Dropped counts the answers that callers have neither read to the end nor closed, in
	// calls that no context ends. The collector found them.
	Dropped uint64 `json:"answers_dropped,omitempty"`

	// ScopesFull counts the calls that had no scope of their own, because Config.Scope gave
	// more than 128 that are in use.
	ScopesFull uint64 `json:"scopes_full,omitempty"`

	// Latency is the duration of operations with at least one attempt, retries and
	// waits included. Rejections do not count: they take microseconds, and would make
	// a service that is down look fast. A body that the caller reads counts up to its
	// headers.
	Latency Latency `json:"latency"`
	// AttemptLatency is the duration of attempts.
	AttemptLatency Latency `json:"attempt_latency"`

	// LastMinute has what has happened in the last minute, or up to 20 s before it.
	LastMinute Recent `json:"last_minute"`
}

// Recent are the statistics of a short time.
type Recent struct {
	Counts
	Latency        Latency `json:"latency"`
	AttemptLatency Latency `json:"attempt_latency"`
}

// PolicyStats are the statistics of a policy at one moment. They encode as JSON, with
// durations in seconds.
type PolicyStats struct {
	Name         string `json:"name"`
	BreakerState string `json:"circuit_breaker_state"` // StateOff without a breaker
	Queued       int    `json:"queued"`                // calls that wait for a permit of its bulkhead
	Permits      int    `json:"permits"`               // permits of its bulkhead in use now, also by others that share it
	MaxPermits   int    `json:"max_permits"`           // its BulkheadConfig.MaxConcurrent, zero without a bulkhead
	Counts
}

// Counts has the numbers since a client or a policy was made. The numbers are read one
// after the other, so their sums may not match while calls run.
type Counts struct {
	Operations uint64 `json:"operations"`
	Succeeded  uint64 `json:"succeeded"`
	Failed     uint64 `json:"failed"`

	Attempts  uint64 `json:"attempts"`
	Retries   uint64 `json:"retries"`   // backoffs that started
	Timeouts  uint64 `json:"timeouts"`  // attempts that a limit on this side ended
	Throttled uint64 `json:"throttled"` // attempts with a 429, or classified as Throttled
	BrokeOff  uint64 `json:"broke_off"` // answers of a client that failed while the caller read them

	// Calls that were delayed or not sent.
	Rejected     uint64        `json:"rejected"`      // calls that the breaker rejected, also those of others that share it
	PoolTimeouts uint64        `json:"pool_timeouts"` // calls that got no permit in time
	Waits        uint64        `json:"waits"`         // waits for a permit that got one
	Waited       time.Duration `json:"-"`             // the total time of Waits; "waited" in JSON
	Cooldowns    uint64        `json:"cooldowns"`     // operations that waited for the end of a cooldown, or failed because of it
}

// Latency describes durations by quantiles: half of them are at most P50, nine of ten
// at most P90, and so on. A quantile is never too short. It is too long by at most
// 12.5 %, or by a microsecond below 8µs. Durations of 38 hours and more count as one
// value. It encodes as JSON, in seconds.
type Latency struct {
	Count              uint64
	Sum                time.Duration // too long or too short by at most a sixteenth
	P50, P90, P95, P99 time.Duration // zero if Count is zero

	ranges *latency.Snapshot // nil if Count is zero
}

// Within returns the number of durations of at most d. It leaves out those that exceed d by
// the precision of a quantile, and so it may be too small.
func (l Latency) Within(d time.Duration) uint64 {
	if l.ranges == nil {
		return 0
	}
	return l.ranges.Within(d)
}

// Add returns the latency of both: of two clients of one service, for example.
func (l Latency) Add(other Latency) Latency {
	switch {
	case l.ranges == nil:
		return other
	case other.ranges == nil:
		return l
	}
	sum := *l.ranges
	sum.Add(other.ranges)
	return latencyOf(&sum)
}

// Stats returns the statistics of the client.
func (c *Client) Stats() ClientStats {
	r := c.resolved.Load()
	s := ClientStats{
		Name: c.shared.name, BaseURL: wire.Shown(r.base), DefaultTimeout: r.Attempt,
		MaxConns: r.config.Pool.MaxConns, MaxIdleConns: r.config.Pool.MaxIdleConns,
		MaxRetries: r.Retry.Retries, BaseDelay: r.Retry.Base, MaxDelay: r.Retry.Max,
		BreakerThreshold: r.config.Breaker.FailureThreshold, InFlight: c.running.count(), Dropped: c.dropping.answers.Load(),
	}
	s.BreakerState, s.Queued = c.shared.machines()
	if h := c.shared.bulkhead; h != nil {
		s.Permits, s.MaxPermits, s.Streams = h.InUse(), h.permits, h.handle.Streams()
	}
	counts, operations, attempts := c.shared.read()
	s.Counts, s.Latency, s.AttemptLatency = counts, latencyOf(operations), latencyOf(attempts)
	if start := c.shared.window.start(world.World{}.Now().UnixNano()); start != nil {
		operations.Subtract(start.operations)
		attempts.Subtract(start.attempts)
		s.LastMinute = Recent{counts.since(start.counts), latencyOf(operations), latencyOf(attempts)}
	}
	s.ScopesFull = c.scopes.full.Load()
	for _, scope := range c.Scopes() {
		s.Rejected += scope.Rejected
	}
	return s
}

// Stats returns the statistics of the policy.
func (p *Policy) Stats() PolicyStats {
	s := PolicyStats{Name: p.shared.name}
	s.BreakerState, s.Queued = p.shared.machines()
	if h := p.shared.bulkhead; h != nil {
		s.Permits, s.MaxPermits = h.InUse(), h.permits
	}
	s.Counts, _, _ = p.shared.read()
	return s
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

// MarshalJSON writes durations in seconds.
func (r Recent) MarshalJSON() ([]byte, error) {
	type plain Recent
	return json.Marshal(struct {
		plain
		Waited float64 `json:"waited"`
	}{plain(r), r.Waited.Seconds()})
}

// MarshalJSON writes durations in seconds.
func (s PolicyStats) MarshalJSON() ([]byte, error) {
	type plain PolicyStats
	return json.Marshal(struct {
		plain
		Waited float64 `json:"waited"`
	}{plain(s), s.Waited.Seconds()})
}

// MarshalJSON writes durations in seconds.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count uint64  `json:"count"`
		Sum   float64 `json:"sum"`
		P50   float64 `json:"p50"`
		P90   float64 `json:"p90"`
		P95   float64 `json:"p95"`
		P99   float64 `json:"p99"`
	}{l.Count, l.Sum.Seconds(), l.P50.Seconds(), l.P90.Seconds(), l.P95.Seconds(), l.P99.Seconds()})
}

// counters count for a client or a policy.
type counters struct {
	// The histograms also have the numbers of operations and attempts. An operation
	// that succeeded and began with its attempt, as nearly all do, is only in together.
	succeeded, failed, attempts, together latency.Histogram

	rejected                       striped.Counter // operations that failed without an attempt
	retries, timeouts, throttled   atomic.Uint64
	poolTimeouts, waits, cooldowns atomic.Uint64
	brokeOff                       atomic.Uint64
	waited                         atomic.Int64 // nanoseconds
}

// operation counts an operation that has ended.
func (c *counters) operation(ok bool, attempts int, took time.Duration) {
	switch {
	case ok:
		c.succeeded.Record(took)
	case attempts > 0:
		c.failed.Record(took)
	default:
		c.rejected.Add(1)
	}
}

// read reads the counts, and the durations of operations and attempts.
func (s *shared) read() (c Counts, ofOperations, ofAttempts *latency.Snapshot) {
	n := &s.counts
	c = Counts{
		Retries: n.retries.Load(), Timeouts: n.timeouts.Load(), Throttled: n.throttled.Load(), BrokeOff: n.brokeOff.Load(),
		PoolTimeouts: n.poolTimeouts.Load(), Waits: n.waits.Load(), Waited: time.Duration(n.waited.Load()), Cooldowns: n.cooldowns.Load(),
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
	return c, operations, attempts
}

func latencyOf(s *latency.Snapshot) Latency {
	if s.Count() == 0 {
		return Latency{}
	}
	own := *s
	return Latency{Count: s.Count(), Sum: s.Sum(), P50: s.Quantile(0.5), P90: s.Quantile(0.9), P95: s.Quantile(0.95), P99: s.Quantile(0.99), ranges: &own}
}

// machines returns the state of the breaker and the length of the bulkhead's queue.
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
