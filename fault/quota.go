package fault

import (
	"slices"
	"time"
)

// Quota admits Limit requests in each period of length Per. The first period
// starts with the plan. Only the requests that the rule selects count. Admitted
// requests go on to the later rules.
type Quota struct {
	Limit int           `json:"limit"` // 0 or more
	Per   time.Duration `json:"per"`   // above 0
}

// quota counts the admitted requests of a Quota.
type quota struct {
	Quota
	period time.Duration // number of the period of used, from 0
	used   int
}

func compileQuota(f Fault) *quota {
	if f.Quota == nil {
		return nil
	}
	return &quota{Quota: *f.Quota, period: -1}
}

// take returns nil while the quota lasts, then refusal with the time left in
// the period.
func (q *quota) take(now time.Duration, refusal *strike) (*strike, *QuotaState) {
	if period := now / q.Per; period != q.period {
		q.period, q.used = period, 0
	}
	left := q.Per - now%q.Per
	if q.used < q.Limit {
		q.used++
		return nil, &QuotaState{Limit: q.Limit, Remaining: q.Limit - q.used, Reset: left}
	}
	refused := *refusal.fault
	refused.RetryAfter = left
	return &strike{fault: &refused, latency: refusal.latency, ids: slices.Clip(refusal.ids)}, &QuotaState{Limit: q.Limit, Reset: left}
}
