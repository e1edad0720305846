package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// span is how long one measurement takes: long enough that a timer's grain
	// and the start of two goroutines vanish in it, short enough that both sides
	// of a pair see the same machine.
	span = 30 * time.Millisecond

	// grains is how many portions a parallel measurement is dealt out in, so that
	// a CPU that is held up does not leave the other one waiting for its half.
	grains = 64
)

// sample is one measurement, per operation.
type sample struct {
	// ns is the elapsed time divided by all operations of all goroutines, as in
	// testing.B.RunParallel. Two CPUs that do not disturb each other halve it; a
	// lock that they fight over raises it.
	ns float64
	// cpu is user and system time of the whole process, the collector included.
	cpu float64
}

// lane is one side of a pair: operations, the CPUs they may use, and how many
// of them make a measurement of about one span.
type lane struct {
	op    func(n int) error
	procs int
	n     int
}

// newLane calibrates. The best of three counts, because a disturbance here
// would make every later measurement too short.
func newLane(op func(n int) error, procs int) (*lane, error) {
	l := &lane{op: op, procs: procs, n: grains}
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
	l.n = max(1, int(float64(span)/best/grains)) * grains
	return l, nil
}

// measure runs the lane's n operations once.
func (l *lane) measure() (sample, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(l.procs))
	runtime.GC() // what one side left behind is not the other side's to clean up
	cpu, err := cpuTime()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	err = l.run()
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

func (l *lane) run() error {
	if l.procs == 1 {
		return l.op(l.n)
	}
	var (
		dealt atomic.Int64
		wg    sync.WaitGroup
		errs  = make([]error, l.procs)
	)
	for i := range l.procs {
		wg.Go(func() {
			for dealt.Add(1) <= grains && errs[i] == nil {
				errs[i] = l.op(l.n / grains)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// countMemory says what one operation allocates. The counts of the runtime are
// exact but of the whole process; the least of five runs leaves out what its own
// goroutines took meanwhile. One CPU and one goroutine, whatever the lane has.
func countMemory(op func(n int) error) (bytes, allocs float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const n = 1000
	if err := op(n); err != nil { // pools and lazy parts fill up
		return 0, 0, err
	}
	for i := range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := op(n)
		runtime.ReadMemStats(&after)
		if err != nil {
			return 0, 0, err
		}
		b := float64(after.TotalAlloc-before.TotalAlloc) / n
		a := float64(after.Mallocs-before.Mallocs) / n
		if i == 0 || a < allocs {
			allocs = a
		}
		if i == 0 || b < bytes {
			bytes = b
		}
	}
	return bytes, allocs, nil
}
