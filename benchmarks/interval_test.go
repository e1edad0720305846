package main

import (
	"errors"
	"math"
	"testing"
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		low, high, bar float64
		want           verdict
	}{
		{0.04, 0.06, 0.1, holds},
		{0.04, 0.1, 0.1, holds}, // a value at the bar meets it
		{0.04, 0.11, 0.1, unresolved},
		{0.1, 0.11, 0.1, unresolved}, // the value may be at the bar
		{0.11, 0.12, 0.1, fails},
		{0, 0, 0, holds}, // allocations: no interval
		{0.001, 0.001, 0, fails},
		{2, 2, 2, holds},
		{math.Inf(-1), math.Inf(1), 1, unresolved},
	} {
		if got := judge(test.low, test.high, test.bar); got != test.want {
			t.Errorf("judge(%v, %v, bar %v) = %s, want %s", test.low, test.high, test.bar, got, test.want)
		}
	}
}

func TestCompare(t *testing.T) {
	always := func(r float64) func(int) float64 { return func(int) float64 { return r } }
	// wide has 1 in its interval for the first n pairs, as with noise.
	wide := func(n int, after float64) func(int) float64 {
		return func(i int) float64 {
			switch {
			case i >= n:
				return after
			case i%2 == 0:
				return 0.5
			default:
				return 1.5
			}
		}
	}
	for _, test := range []struct {
		name  string
		start int
		ratio func(pair int) float64
		bar   *float64
		want  verdict
		pairs int
	}{
		{"clearly below", 20, always(0.5), new(1.0), holds, 20},
		{"planted slow contender", 20, always(1.2), new(1.0), fails, 20},
		{"exactly the bar", 20, always(1), new(1.0), holds, 20},
		{"noise for 20, then below", 20, wide(20, 0.5), new(1.0), holds, 40},
		{"noise for 20, then above", 20, wide(20, 1.5), new(1.0), fails, 40},
		{"noise for 60, then below", 20, wide(60, 0.5), new(1.0), holds, 80},
		{"noise without end", 20, wide(1000, 0), new(1.0), unresolved, 320},
		{"doubling stops at the limit", 300, wide(1000, 0), new(1.0), unresolved, 320},
		{"the limit to begin with", 320, wide(1000, 0), new(1.0), unresolved, 320},
		{"no bar, no doubling", 20, wide(1000, 0), nil, "", 20},
	} {
		drawn := 0
		got, err := compare(test.start, test.bar, func() (float64, error) {
			drawn++
			return test.ratio(drawn - 1), nil
		})
		if err != nil || got.verdict != test.want || got.pairs != test.pairs || drawn != test.pairs {
			t.Errorf("%s: %q after %d pairs (%d drawn), %v; want %q after %d", test.name, got.verdict, got.pairs, drawn, err, test.want, test.pairs)
		}
	}

	broken := errors.New("broken")
	if _, err := compare(20, nil, func() (float64, error) { return 0, broken }); err != broken {
		t.Errorf("the contender's error is returned as %v", err)
	}
}
