// Package interval computes confidence intervals of medians of a few measurements.
package interval

import (
	"math"
	"slices"
)

// OfMedian returns the median of xs and the sign-test interval of the true
// median: the k-th smallest to the k-th largest value.
//
// A sign test, unlike a bootstrap, does not depend on the shape of the noise:
// other load on the machine causes long tails to one side. Its coverage is
// known exactly for every number of values, is at least 95 %, and is
// deterministic. See Conover, Practical Nonparametric Statistics, "Confidence
// interval for a quantile"; Le Boudec, Performance Evaluation, theorem 2.1.
func OfMedian(xs []float64) (mid, low, high float64) {
	xs = slices.Sorted(slices.Values(xs))
	k := signRank(len(xs))
	if k == 0 {
		return Median(xs), math.Inf(-1), math.Inf(1)
	}
	return Median(xs), xs[k-1], xs[len(xs)-k]
}

// signRank returns the greatest k for which the k-th smallest and the k-th largest
// of n values enclose the median with at least 95 %. Each value is below the true
// median with probability 1/2, so the k-th smallest is above it if fewer than k of
// n coins show heads. Below six values there is no such k: 0.
func signRank(n int) int {
	p := math.Pow(0.5, float64(n)) // probability of exactly i heads; 5e-97 at maxPairs
	below := 0.0                   // probability of at most i heads
	for i := 0; ; i++ {
		below += p
		if below > 0.025 {
			return i
		}
		p *= float64(n-i) / float64(i+1)
	}
}

// Median returns the middle value, or the mean of the two middle values.
func Median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	half := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[half]
	}
	return (xs[half-1] + xs[half]) / 2
}
