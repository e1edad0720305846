// Package latency keeps how long things took: not each duration, but how many fell
// into each of a fixed number of ranges. Recording one is a single atomic addition;
// nothing is allocated, nothing grows, and no clock is read.
//
// The ranges are log-linear: eight to each doubling, so that a range is at most an
// eighth as wide as where it begins. What is read out of them is therefore too long
// by at most 12.5 %, or by a microsecond below eight, and never too short.
package latency

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	unit      = time.Microsecond
	perDouble = 8 // ranges to each doubling; a power of two
	doublings = 34
	ranges    = perDouble * (doublings + 1)

	// Longest is the upper end of the last range, some 38 hours. What takes longer
	// counts as that.
	Longest = 2 * perDouble << (doublings - 1) * unit
)

// Histogram counts durations. The zero Histogram is empty and ready; it is safe for
// any number of goroutines, and takes 2 KiB.
type Histogram struct{ counts [ranges]atomic.Uint64 }

// Record counts d.
func (h *Histogram) Record(d time.Duration) { h.counts[rangeOf(d)].Add(1) }

// rangeOf is the range that d falls into: for the first two doublings, below 16
// units, its number of whole units; from there on e doublings further, and the
// first four binary digits of that number.
func rangeOf(d time.Duration) int {
	n := uint64(max(d, 0)) / uint64(unit)
	e := max(bits.Len64(n)-4, 0)
	return min(perDouble*e+int(n>>e), ranges-1)
}

// upperEnd is where range i ends, and the next begins.
func upperEnd(i int) time.Duration {
	if i < perDouble {
		return time.Duration(i+1) * unit
	}
	e, digits := i/perDouble-1, i%perDouble+perDouble
	return time.Duration(digits+1) << e * unit
}

// Snapshot is a histogram at one moment.
type Snapshot struct {
	counts [ranges]uint64
	n      uint64
}

// Snapshot reads the histogram, range by range: what is recorded meanwhile may be
// in it or not.
func (h *Histogram) Snapshot() *Snapshot {
	s := new(Snapshot)
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.n += s.counts[i]
	}
	return s
}

// Add puts what is in another snapshot into this one.
func (s *Snapshot) Add(other *Snapshot) {
	for i, n := range other.counts {
		s.counts[i] += n
	}
	s.n += other.n
}

// Count is how many durations there are.
func (s *Snapshot) Count() uint64 { return s.n }

// Quantile is a duration that a share q of all did not exceed, between 0 and 1: the
// upper end of the range in which the last of them lies. It is zero if there are none.
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
