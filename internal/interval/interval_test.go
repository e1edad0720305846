package interval

import (
	"math"
	"math/big"
	"slices"
	"testing"
)

func TestOfMedian(t *testing.T) {
	count := func(from, to int) (xs []float64) {
		for i := from; i <= to; i++ {
			xs = append(xs, float64(i))
		}
		return xs
	}
	shuffled := []float64{14, 3, 20, 7, 1, 18, 9, 12, 5, 16, 2, 11, 6, 19, 8, 15, 4, 17, 10, 13}
	for _, test := range []struct {
		name           string
		xs             []float64
		mid, low, high float64
	}{
		{"five: no bounds", count(1, 5), 3, math.Inf(-1), math.Inf(1)},
		{"six: the whole range", count(1, 6), 3.5, 1, 6},
		{"twenty: the 6th of each end", count(1, 20), 10.5, 6, 15},
		{"in any order", shuffled, 10.5, 6, 15},
		{"twenty-five: the 8th", count(1, 25), 13, 8, 18},
		{"one outlier has no effect", append(count(1, 19), 1e9), 10.5, 6, 15},
		{"all equal", []float64{2, 2, 2, 2, 2, 2, 2, 2}, 2, 2, 2},
	} {
		before := slices.Clone(test.xs)
		mid, low, high := OfMedian(test.xs)
		if mid != test.mid || low != test.low || high != test.high {
			t.Errorf("%s: got %v (%v to %v), want %v (%v to %v)", test.name, mid, low, high, test.mid, test.low, test.high)
		}
		if !slices.Equal(before, test.xs) {
			t.Errorf("%s: the values were reordered in place", test.name)
		}
	}
}

// The interval of rank k misses the median if fewer than k of n coins fall on
// one side. In integers: 2 · Σ C(n, i<k) of 2^n must be at most 5 %, and more
// for the next rank.
func TestSignRankCoversExactly(t *testing.T) {
	missAtMost5 := func(n, k int) bool {
		sum := new(big.Int)
		for i := range k {
			sum.Add(sum, new(big.Int).Binomial(int64(n), int64(i)))
		}
		sum.Mul(sum, big.NewInt(2*20))
		return sum.Cmp(new(big.Int).Lsh(big.NewInt(1), uint(n))) <= 0
	}
	for n := 1; n <= 320; n++ {
		if k := signRank(n); !missAtMost5(n, k) || missAtMost5(n, k+1) {
			t.Errorf("signRank(%d) = %d is not the greatest rank that covers 95 %%", n, k)
		}
	}
}
