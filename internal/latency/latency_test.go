package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Every range starts at the end of the one before, is not too wide, and
// contains its first and its last nanosecond.
func TestRanges(t *testing.T) {
	begin := time.Duration(0)
	for i := range ranges {
		end := upperEnd(i)
		if width := end - begin; width < unit || width > max(begin/perDouble, unit) {
			t.Errorf("range %d, from %v, is %v wide", i, begin, width)
		}
		for _, d := range []time.Duration{begin, begin + (end-begin)/2, end - 1} {
			if got := rangeOf(d); got != i {
				t.Errorf("%v is in range %d, want %d", d, got, i)
			}
		}
		begin = end
	}
	if begin != Longest {
		t.Errorf("the last range ends at %v, want %v", begin, Longest)
	}
	for d, want := range map[time.Duration]int{
		math.MinInt64: 0, -1: 0, Longest: ranges - 1, math.MaxInt64: ranges - 1,
	} {
		if got := rangeOf(d); got != want {
			t.Errorf("%v is in range %d, want %d", d, got, want)
		}
	}
}

// A quantile is never less than that of the sorted durations, and at most one
// eighth or a microsecond more.
func TestQuantileAgainstASort(t *testing.T) {
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	distributions := map[string]func() time.Duration{
		"all the same": func() time.Duration { return 41 * time.Millisecond },
		"even":         func() time.Duration { return time.Duration(chance.Int64N(int64(10 * time.Second))) },
		"tiny":         func() time.Duration { return time.Duration(chance.Int64N(20_000)) },
		"long tail": func() time.Duration {
			return time.Duration(math.Exp(chance.NormFloat64()*2) * float64(time.Millisecond))
		},
		"two humps": func() time.Duration {
			return []time.Duration{8 * time.Millisecond, 30 * time.Second}[chance.IntN(2)]
		},
	}
	for name, draw := range distributions {
		for n := 1; n <= 300; n++ {
			var h, twin Histogram
			sorted := make([]time.Duration, n)
			for i := range sorted {
				sorted[i] = draw()
				if i%3 == 0 { // the sum of two histograms counts the same
					twin.Record(sorted[i])
				} else {
					h.Record(sorted[i])
				}
			}
			slices.Sort(sorted)
			s := h.Snapshot()
			s.Add(twin.Snapshot())
			if s.Count() != uint64(n) {
				t.Fatalf("%s: %d of %d are counted", name, s.Count(), n)
			}
			for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
				exact := sorted[max(int(math.Ceil(q*float64(n))), 1)-1]
				if got := s.Quantile(q); got <= exact || got > exact+max(exact/perDouble, unit) {
					t.Fatalf("%s, seed %d: the %v quantile of %d is %v, the exact one %v", name, seed, q, n, got, exact)
				}
			}
		}
	}
}

func TestEmpty(t *testing.T) {
	if s := new(Histogram).Snapshot(); s.Count() != 0 || s.Quantile(0.5) != 0 {
		t.Errorf("an empty histogram has %d, %v", s.Count(), s.Quantile(0.5))
	}
}

func TestManyGoroutines(t *testing.T) {
	var h Histogram
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				h.Record(time.Duration(i) * time.Millisecond)
			}
		})
	}
	all.Wait()
	if n := h.Snapshot().Count(); n != 8000 {
		t.Errorf("%d are counted, want 8000", n)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := 0; b.Loop(); i++ {
		h.Record(time.Duration(i&0xffff) * time.Microsecond)
	}
}

// Snapshots add and subtract, and tell sums and shares within the precision of a range.
func TestSnapshots(t *testing.T) {
	var h Histogram
	h.Record(3 * time.Millisecond)
	earlier := h.Snapshot()
	h.Record(100 * time.Millisecond)
	h.Record(100 * time.Millisecond)
	h.Record(2 * time.Second)
	all := h.Snapshot()
	recent := h.Snapshot()
	recent.Subtract(earlier)
	if n, slow := recent.Count(), recent.Quantile(1); n != 3 || slow < 2*time.Second || slow > 2250*time.Millisecond {
		t.Errorf("%d since, the longest %v", n, slow)
	}
	for _, c := range []struct {
		s    *Snapshot
		want time.Duration
	}{{all, 2203 * time.Millisecond}, {recent, 2200 * time.Millisecond}, {new(Snapshot), 0}} {
		if got := c.s.Sum(); (got - c.want).Abs() > c.want/16 {
			t.Errorf("sum %v, want %v", got, c.want)
		}
	}
	for d, want := range map[time.Duration]uint64{0: 0, 3 * time.Millisecond: 0, 4 * time.Millisecond: 1, 120 * time.Millisecond: 3, 2 * Longest: 4} {
		if got := all.Within(d); got != want {
			t.Errorf("%d within %v, want %d", got, d, want)
		}
	}
	recent.Add(earlier)
	if *recent != *all {
		t.Error("what was subtracted does not add up")
	}
	earlier.Subtract(all) // as if records were missed
	if earlier.Count() != 0 || earlier.Sum() != 0 {
		t.Errorf("less than nothing: %d", earlier.Count())
	}
}
