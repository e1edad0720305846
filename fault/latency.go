package fault

import (
	"math"
	"time"
)

// Latency is a distribution of waits. Exactly one field is set. Durations are
// at most [MaxLatency]; longer samples are cut to it.
type Latency struct {
	// Fixed is a constant wait.
	Fixed time.Duration `json:"fixed"`
	// Uniform is uniformly distributed.
	Uniform *Uniform `json:"uniform"`
	// Lognormal is the usual shape of latencies: most are near the median, with
	// a long tail.
	Lognormal *Lognormal `json:"lognormal"`
	// Bimodal is mostly fast and sometimes slow, like a cache, or several
	// machines of which one is slow.
	Bimodal *Bimodal `json:"bimodal"`
}

// Uniform is the range [Min, Max).
type Uniform struct {
	Min time.Duration `json:"min"`
	Max time.Duration `json:"max"`
}

// Lognormal is defined by two values of a dashboard: half of the waits are
// below Median, 99 % are below P99.
type Lognormal struct {
	Median time.Duration `json:"median"`
	P99    time.Duration `json:"p99"`
}

// Bimodal is Slow with probability SlowShare, else Fast.
type Bimodal struct {
	Fast time.Duration `json:"fast"`
	Slow time.Duration `json:"slow"`
	// SlowShare is the probability of Slow, above 0 and below 1.
	SlowShare float64 `json:"slow_share"`
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

// sample returns the quantile u, in [0, 1), of the distribution. The zero
// Latency gives no wait.
func (l *Latency) sample(u float64) time.Duration {
	switch {
	case l.Uniform != nil:
		return l.Uniform.Min + time.Duration(u*float64(l.Uniform.Max-l.Uniform.Min))
	case l.Lognormal != nil:
		median, p99 := float64(l.Lognormal.Median), float64(l.Lognormal.P99)
		sigma := math.Log(p99/median) / z99
		z := math.Sqrt2 * math.Erfinv(2*u-1) // -Inf at u = 0, which gives a wait of 0
		wait := median * math.Exp(sigma*z)
		if math.IsNaN(wait) { // median equals p99 and u is 0: 0 times infinity
			return l.Lognormal.Median
		}
		return time.Duration(min(wait, float64(MaxLatency)))
	case l.Bimodal != nil:
		if u >= 1-l.Bimodal.SlowShare {
			return l.Bimodal.Slow
		}
		return l.Bimodal.Fast
	default:
		return l.Fixed
	}
}
