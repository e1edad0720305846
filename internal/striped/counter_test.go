package striped

import (
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

func TestCounter(t *testing.T) {
	var c Counter
	if c.Load() != 0 {
		t.Errorf("a new counter has %d", c.Load())
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := range uint64(1000) {
				c.Add(n % 3)
				c.Load()
			}
		})
	}
	wg.Wait()
	if c.Load() != 16*999 {
		t.Errorf("the sum is %d, want %d", c.Load(), 16*999)
	}
}

// Two cells are never in one pair of cache lines.
func TestCells(t *testing.T) {
	if n := unsafe.Sizeof(cell{}); n != 128 || cells&(cells-1) != 0 {
		t.Errorf("%d cells of %d bytes", cells, n)
	}
}

func BenchmarkAdd(b *testing.B) {
	b.Run("striped", func(b *testing.B) {
		b.ReportAllocs()
		var c Counter
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Add(1)
			}
		})
	})
	b.Run("atomic", func(b *testing.B) {
		var c atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Add(1)
			}
		})
	})
}
