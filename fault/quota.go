package fault

import (
	"slices"
	"time"
)

// Quota is how many requests a service admits: Limit in each period of length
// Per, the first of which begins with the plan. Only the requests that its rule
// selects count; what it admits goes on to the rules behind.
type Quota struct {
	Limit int           `json:"limit"` // 0 and up
	Per   time.Duration `json:"per"`   // above 0
}

// quota counts what a Quota has admitted.
type quota struct {
	Quota
	period time.Duration // in which used was counted, from 0
	used   int
}

func compileQuota(f Fault) *quota {
	if f.Quota == nil {
		return nil
	}
	return &quota{Quota: *f.Quota, period: -1}
}

// take gives what is to strike, told how long is left of the period; nil while
// the quota lasts.
func (q *quota) take(now time.Duration, refusal *strike) *strike {
	if period := now / q.Per; period != q.period {
		q.period, q.used = period, 0
	}
	if q.used < q.Limit {
		q.used++
		return nil
	}
	refused := *refusal.fault
	refused.RetryAfter = q.Per - now%q.Per
	return &strike{fault: &refused, latency: refusal.latency, ids: slices.Clip(refusal.ids)}
}
