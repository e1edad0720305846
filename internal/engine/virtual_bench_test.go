//go:build unix

package engine

import (
	"syscall"
	"testing"
	"time"
)

// BenchmarkClosedLoop reports the events of virtual time that a second of CPU runs: of
// 2,000 callers, each of which makes its next operation after the last has ended. An
// event is one of World.Steps: a caller starts, is woken or has waited until its time,
// or a timer fires. All that the engine, the callers and the checks do is part of it.
// The bar is a million.
//
//	go test -run xxx -bench ClosedLoop -benchtime 1000000x ./internal/engine
//
// The callers of the second part keep their coroutines while they are at rest. What
// they cost more is the memory of 2,000 stacks, which no cache near the CPU holds.
func BenchmarkClosedLoop(b *testing.B) {
	b.Run("callers", func(b *testing.B) { benchmarkClosedLoop(b, (*simulation).newCaller) })
	b.Run("waiting callers", func(b *testing.B) { benchmarkClosedLoop(b, (*simulation).newWaitingCaller) })
}

func benchmarkClosedLoop(b *testing.B, newCaller func(*simulation)) {
	b.ReportAllocs()
	s := newSimulation(b, 1, b.N)
	for range 2000 {
		newCaller(s)
	}
	before := cpuTime(b)
	if err := s.w.Run(); err != nil {
		b.Error(err)
	}
	took := (cpuTime(b) - before).Seconds()
	s.over(b.N)
	b.ReportMetric(float64(s.w.Steps())/took/1e6, "M_events/cpu_s")
	b.ReportMetric(float64(s.w.Steps())/float64(b.N), "events/op")
}

func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
