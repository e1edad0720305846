package main

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// span is the duration of one measurement: long enough to hide a timer's
	// resolution and the start of two goroutines, short enough that both sides
	// of a pair see the same machine.
	span = 30 * time.Millisecond

	// portions is the average number of pieces into which each caller's
	// operations are split, so that the others do not wait for a slow CPU.
	portions = 16
)

// sample is one measurement, per operation.
type sample struct {
	// ns is the elapsed time divided by all operations of all goroutines, as in
	// testing.B.RunParallel. Two independent CPUs halve it; a contended lock
	// raises it.
	ns float64
	// cpu is the user and system time of the whole process, including the collector.
	cpu float64
}

// lane is one side of a pair: an operation, its load, and the number of
// operations in a measurement of about one span.
type lane struct {
	op func(n int) error
	load
	n int
}

// newLane calibrates. It uses the best of three, because a disturbance would
// make every later measurement too short.
func newLane(op func(n int) error, drive load) (*lane, error) {
	l := &lane{op: op, load: drive, n: 64}
	for {
		s, err := l.measure()
		if err != nil {
			return nil, err
		}
		if s.ns*float64(l.n) >= float64(span/4) {
			break
		}
		l.n *= 2
	}
	best := 0.0
	for i := range 3 {
		s, err := l.measure()
		if err != nil {
			return nil, err
		}
		if i == 0 || s.ns < best {
			best = s.ns
		}
	}
	l.n = max(1, int(float64(span)/best))
	return l, nil
}

// measure runs the lane's n operations once.
func (l *lane) measure() (sample, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(l.procs))
	runtime.GC() // one side's garbage must not slow the other side
	cpu, err := cpuTime()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	err = l.run(l.n)
	elapsed := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	end, err := cpuTime()
	if err != nil {
		return sample{}, err
	}
	n := float64(l.n)
	return sample{ns: float64(elapsed) / n, cpu: float64(end-cpu) / n}, nil
}

// run makes n operations, divided among the callers.
func (l *lane) run(n int) error {
	callers := l.callers
	if callers == 0 {
		callers = l.procs
	}
	if callers == 1 {
		return l.op(n)
	}
	var (
		portion = max(1, n/(portions*callers))
		taken   atomic.Int64
		wg      sync.WaitGroup
		errs    = make([]error, callers)
	)
	for i := range callers {
		wg.Go(func() {
			for errs[i] == nil {
				end := int(taken.Add(int64(portion)))
				begin := end - portion
				if begin >= n {
					return
				}
				errs[i] = l.op(min(end, n) - begin)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// countMemory returns the bytes and allocations of one operation, to the
// hundredth. The runtime counts those of the whole process. The least of five
// runs excludes the allocations of other goroutines.
//
// One goroutine calls on one CPU, except where callers wait for each other:
// waiting is then part of the operation.
func countMemory(op func(n int) error, drive load) (bytes, allocs float64, err error) {
	n := 1000
	if drive.callers > 1 {
		n *= 10 // hides the start of the callers
	} else {
		drive.callers = 1
	}
	l := &lane{op: op, load: drive}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if err := l.run(n); err != nil { // fills pools and lazy parts
		return 0, 0, err
	}
	for i := range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := l.run(n)
		runtime.ReadMemStats(&after)
		if err != nil {
			return 0, 0, err
		}
		b := float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
		a := float64(after.Mallocs-before.Mallocs) / float64(n)
		if i == 0 || a < allocs {
			allocs = a
		}
		if i == 0 || b < bytes {
			bytes = b
		}
	}
	return math.Round(bytes), math.Round(allocs*100) / 100, nil
}
