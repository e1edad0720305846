// Package interval says how sure the median of a few measurements is.
package interval

import (
	"math"
	"slices"
)

// OfMedian gives the median of xs and the sign-test interval of the median they
// were drawn from: the k-th smallest to the k-th largest value.
//
// It is this one and not a bootstrap because it assumes nothing about the shape
// of the noise (a neighbour on the machine makes long tails to one side), its
// coverage is known exactly for every number of values and never less than 95 %,
// and the same values always give the same answer. See Conover, Practical
// Nonparametric Statistics, "Confidence interval for a quantile"; Le Boudec,
// Performance Evaluation, theorem 2.1.
func OfMedian(xs []float64) (mid, low, high float64) {
	xs = slices.Sorted(slices.Values(xs))
	k := signRank(len(xs))
	if k == 0 {
		return Median(xs), math.Inf(-1), math.Inf(1)
	}
	return Median(xs), xs[k-1], xs[len(xs)-k]
}

// signRank is the greatest k for which the k-th smallest and the k-th largest
// of n values enclose the median with at least 95 %. Each value falls below the
// true median like a coin, so the k-th smallest lies above it exactly when fewer
// than k coins of n fell that way. Below six values there is no such k: 0.
func signRank(n int) int {
	p := math.Pow(0.5, float64(n)) // of exactly i coins; 5e-97 at maxPairs
	below := 0.0                   // of at most i coins
	for i := 0; ; i++ {
		below += p
		if below > 0.025 {
			return i
		}
		p *= float64(n-i) / float64(i+1)
	}
}

// Median is the middle value, or the mean of the two.
func Median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	half := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[half]
	}
	return (xs[half-1] + xs[half]) / 2
}
