package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A queue against a plain slice.
func TestQueueAgainstASlice(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var q Queue[int]
	var want []int
	for n := range 10_000 {
		switch r.IntN(5) {
		case 0, 1, 2:
			if len(want) < 20 {
				q.Push(n)
				want = append(want, n)
			}
		case 3:
			if len(want) > 0 {
				if got := q.Pop(); got != want[0] {
					t.Fatalf("popped %d, want %d", got, want[0])
				}
				want = want[1:]
			}
		default:
			if len(want) > 0 {
				i := r.IntN(len(want))
				q.Delete(i)
				want = slices.Delete(slices.Clone(want), i, i+1)
			}
		}
		if !slices.Equal(q.Values(), want) || q.Len() != len(want) {
			t.Fatalf("the queue has %v, want %v", q.Values(), want)
		}
	}
}

func TestClone(t *testing.T) {
	var q Queue[int]
	for n := range 3 {
		q.Push(n)
	}
	q.Pop()
	c := q.Clone()
	c.Push(7)
	c.Delete(0)
	if !slices.Equal(q.Values(), []int{1, 2}) || !slices.Equal(c.Values(), []int{2, 7}) {
		t.Errorf("the original has %v, the clone %v", q.Values(), c.Values())
	}
}

// A queue that is always in use keeps its memory, and holds no value that has left.
func TestQueueKeepsItsMemory(t *testing.T) {
	var q Queue[*int]
	for range 10 {
		q.Push(new(int))
	}
	v := new(int)
	if n := testing.AllocsPerRun(10_000, func() { q.Push(v); q.Pop() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for q.Len() > 0 {
		q.Pop()
	}
	for _, left := range q.values[:cap(q.values)] {
		if left != nil {
			t.Fatal("a value that has left is still held")
		}
	}
}
