package main

import "github.com/holdfast-go/holdfast/internal/interval"

// gauge is the quantity that is compared between the two sides of a pair.
type gauge uint8

const (
	elapsed gauge = iota // the ratio of their elapsed times
	cpu                  // the ratio of their CPU times
	more                 // the difference of their CPU times, in nanoseconds
)

// of compares a, which is judged, with b.
func (g gauge) of(a, b sample) float64 {
	switch g {
	case cpu:
		return a.cpu / b.cpu
	case more:
		return a.cpu - b.cpu
	}
	return a.ns / b.ns
}

const (
	minPairs = 20

	// maxPairs ends the doubling: a ratio that 320 pairs cannot distinguish
	// from its bar is unresolved. Only holds meets a bar.
	maxPairs = 320
)

type verdict string

const (
	holds      verdict = "holds"      // the whole interval is at or below the bar
	fails      verdict = "fails"      // the whole interval is above it
	unresolved verdict = "unresolved" // the bar lies inside
)

// judge places an interval against its bar.
func judge(low, high, bar float64) verdict {
	switch {
	case high <= bar:
		return holds
	case low > bar:
		return fails
	default:
		return unresolved
	}
}

// estimate is the result of a series of comparisons.
type estimate struct {
	value     float64 // the median
	low, high float64 // its 95 % interval
	pairs     int
	verdict   verdict // empty without a bar
}

// compare draws ratios or differences, and doubles their number until the
// interval is on one side of the bar. Without a bar (nil) there is one round.
//
// The interval is checked once per round, at most five times from 20 pairs to 320.
// If the true value were exactly the bar, holds would be wrong in up to one case in
// eight rather than one in forty. An important bar has more margin than that.
func compare(pairs int, bar *float64, next func() (float64, error)) (estimate, error) {
	var drawn []float64
	for want := pairs; ; want = min(2*want, maxPairs) {
		for len(drawn) < want {
			x, err := next()
			if err != nil {
				return estimate{}, err
			}
			drawn = append(drawn, x)
		}
		e := estimate{pairs: len(drawn)}
		e.value, e.low, e.high = interval.OfMedian(drawn)
		if bar == nil {
			return e, nil
		}
		e.verdict = judge(e.low, e.high, *bar)
		if e.verdict != unresolved || want >= maxPairs {
			return e, nil
		}
	}
}
