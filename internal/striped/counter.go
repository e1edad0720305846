// Package striped has a counter that scales with the CPUs.
//
// An atomic addition to one variable costs little on one CPU. On several, each has to
// fetch the cache line from the one that wrote it last, so that together they are
// slower than one alone.
package striped

import (
	"sync"
	"sync/atomic"
)

// Counter counts in several cells, of which nearly always each CPU has its own. Its
// sum is exact. The zero Counter is ready; it allocates its cells when it is first
// used.
type Counter struct{ cells atomic.Pointer[[cells]cell] }

// cells is the number of cells, a power of two. More CPUs than that share them.
const cells = 16

// cell has a cache line to itself; processors fetch them in pairs.
type cell struct {
	n atomic.Uint64
	_ [120]byte
}

// stripe is a number of a CPU. There is no such number in Go, but a sync.Pool keeps
// its items by CPU: the stripe that it gives was last used on this one.
type stripe struct{ cell uint32 }

var (
	stripes = sync.Pool{New: func() any { return &stripe{last.Add(1) % cells} }}
	last    atomic.Uint32
)

// Add adds n.
func (c *Counter) Add(n uint64) {
	all := c.cells.Load()
	if all == nil {
		c.cells.CompareAndSwap(nil, new([cells]cell))
		all = c.cells.Load()
	}
	s := stripes.Get().(*stripe)
	all[s.cell].n.Add(n)
	stripes.Put(s)
}

// Load is the sum. Concurrent additions may be in it or not.
func (c *Counter) Load() (sum uint64) {
	all := c.cells.Load()
	if all == nil {
		return 0
	}
	for i := range all {
		sum += all[i].n.Load()
	}
	return sum
}
