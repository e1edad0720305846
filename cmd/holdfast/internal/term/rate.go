package term

import "time"

// Rate measures how fast a counter grows, over the last ten measurements.
type Rate struct {
	at    [10]time.Duration
	count [10]int64
	n     int
}

// Measure takes the counter at an instant and returns its growth per second. Before
// the tenth measurement that is the growth since instant 0.
func (r *Rate) Measure(now time.Duration, count int64) int {
	i := r.n % len(r.at)
	at, before := r.at[i], r.count[i]
	r.at[i], r.count[i] = now, count
	r.n++
	if now <= at {
		return 0
	}
	return int(float64(count-before) / (now - at).Seconds())
}
