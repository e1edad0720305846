// Package latency is a histogram of durations. It counts them in a fixed number
// of ranges. Recording is one atomic addition. It allocates nothing, never
// grows and reads no clock.
//
// The ranges are log-linear: eight for each doubling, so that a range is at
// most one eighth of its start wide. A quantile is therefore too long by at
// most 12.5 %, or by a microsecond below eight, and never too short.
package latency

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	unit      = time.Microsecond
	perDouble = 8 // ranges for each doubling; a power of two
	doublings = 34
	ranges    = perDouble * (doublings + 1)

	// Longest is the end of the last range, about 38 hours. Longer durations
	// count as Longest.
	Longest = 2 * perDouble << (doublings - 1) * unit
)

// Histogram counts durations. The zero Histogram is empty. It is safe for
// concurrent use and takes 2 KiB.
type Histogram struct{ counts [ranges]atomic.Uint64 }

// Record counts d.
func (h *Histogram) Record(d time.Duration) { h.counts[rangeOf(d)].Add(1) }

// rangeOf returns the range of d. Below 16 units, it is the number of whole
// units. Above, it is e doublings further, plus the first four binary digits of
// that number.
func rangeOf(d time.Duration) int {
	n := uint64(max(d, 0)) / uint64(unit)
	e := max(bits.Len64(n)-4, 0)
	return min(perDouble*e+int(n>>e), ranges-1)
}

// upperEnd returns the end of range i, which is the start of the next one.
func upperEnd(i int) time.Duration {
	if i < perDouble {
		return time.Duration(i+1) * unit
	}
	e, digits := i/perDouble-1, i%perDouble+perDouble
	return time.Duration(digits+1) << e * unit
}

// Snapshot is a copy of a histogram.
type Snapshot struct {
	counts [ranges]uint64
	n      uint64
}

// Snapshot copies the histogram range by range: it may miss concurrent records.
func (h *Histogram) Snapshot() *Snapshot {
	s := new(Snapshot)
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.n += s.counts[i]
	}
	return s
}

// Add adds the counts of another snapshot.
func (s *Snapshot) Add(other *Snapshot) {
	for i, n := range other.counts {
		s.counts[i] += n
	}
	s.n += other.n
}

// Subtract removes the counts of an earlier snapshot of the same histogram.
func (s *Snapshot) Subtract(earlier *Snapshot) {
	s.n = 0
	for i, n := range earlier.counts {
		s.counts[i] -= min(n, s.counts[i]) // both may have missed concurrent records
		s.n += s.counts[i]
	}
}

// Within returns the number of durations that certainly did not exceed d: those of the
// ranges up to it.
func (s *Snapshot) Within(d time.Duration) (n uint64) {
	for i, count := range s.counts {
		if upperEnd(i) > d {
			break
		}
		n += count
	}
	return n
}

// Sum returns the sum of the durations, each taken as the middle of its range: it is wrong
// by at most a sixteenth, or by half a microsecond for each duration below eight.
func (s *Snapshot) Sum() (sum time.Duration) {
	start := time.Duration(0)
	for i, n := range s.counts {
		end := upperEnd(i)
		sum += time.Duration(n) * ((start + end) / 2)
		start = end
	}
	return sum
}

// Count returns the number of durations.
func (s *Snapshot) Count() uint64 { return s.n }

// Quantile returns the duration that a share q of all durations, between 0 and 1,
// did not exceed. It is the end of a range, and zero if there are no durations.
func (s *Snapshot) Quantile(q float64) time.Duration {
	last := max(uint64(math.Ceil(q*float64(s.n))), 1)
	for i, n := range s.counts {
		if n >= last {
			return upperEnd(i)
		}
		last -= n
	}
	return 0
}
