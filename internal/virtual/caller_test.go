package virtual

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/world"
)

// A Park ends by the first of its ends.
func TestPark(t *testing.T) {
	const second, minute = time.Second, time.Minute
	for name, c := range map[string]struct {
		wake, limit, deadline, cancel time.Duration // zero: never
		by                            world.Woken
		after                         time.Duration
	}{
		"wake":                   {second, 0, 0, 0, world.ByWake, second},
		"wake before the others": {second, minute, minute, minute, world.ByWake, second},
		"limit":                  {minute, second, 0, 0, world.ByTime, second},
		"limit passed":           {minute, -second, 0, 0, world.ByTime, 0},
		"deadline":               {minute, minute, second, 0, world.ByContext, second},
		"deadline passed":        {minute, minute, -second, 0, world.ByContext, 0},
		"cancel":                 {minute, 0, 0, second, world.ByContext, second},
		"cancel before deadline": {minute, 0, minute, second, world.ByContext, second},
		"all at once":            {second, second, second, second, world.ByWake, second},
	} {
		t.Run(name, func(t *testing.T) {
			w := New(1)
			type key struct{}
			deadline := time.Time{}
			if c.deadline != 0 {
				deadline = at(c.deadline)
			}
			above := w.Context(w.Background(), deadline)
			ctx := w.Context(context.WithValue(above, key{}, 1), time.Time{})
			p := w.World().Parker()
			w.At(at(c.wake), p.Wake)
			if c.cancel != 0 {
				w.At(at(c.cancel), above.End)
			}
			w.Go(func() {
				until := time.Time{}
				if c.limit != 0 {
					until = at(c.limit)
				}
				if by := p.Park(ctx, until); by != c.by || w.Now().Sub(start) != c.after {
					t.Errorf("woken %d after %v, want %d after %v", by, w.Now().Sub(start), c.by, c.after)
				}
			})
			run(t, w)
		})
	}
}

// A Wake before a Park ends it at once; two do not end a second. A freed Parker
// remembers none.
func TestWakeIsRemembered(t *testing.T) {
	w := New(1)
	w.Go(func() {
		p := w.World().Parker()
		p.Wake()
		p.Wake()
		if by := p.Park(w.Background(), time.Time{}); by != world.ByWake {
			t.Errorf("woken %d", by)
		}
		if by := p.Park(w.Background(), at(time.Second)); by != world.ByTime {
			t.Errorf("woken %d: a Wake counted twice", by)
		}
		w.At(w.Now(), p.Wake)
		w.At(w.Now(), p.Wake)
		for range 2 {
			if by := p.Park(w.Background(), time.Time{}); by != world.ByWake {
				t.Errorf("woken %d", by)
			}
		}
		p.Wake()
		p.Free()
		if by := w.World().Sleep(w.Background(), at(2*time.Second)); by != world.ByTime {
			t.Errorf("woken %d: a freed Parker remembers a Wake", by)
		}
	})
	run(t, w)
}

// Contexts end in virtual time, with their children and their functions, before the
// next event runs.
func TestContext(t *testing.T) {
	w := New(1)
	log := &trace{w: w}
	outer := w.Context(w.Background(), at(2*time.Second))
	inner := w.Context(outer, at(time.Second))
	child, cancel := context.WithCancel(outer) // of the standard library
	defer cancel()
	outer.AfterFunc(func() {
		log.add("outer has ended: %v", outer.Err())
		w.World().Sleep(w.Background(), at(3*time.Second))
		log.add("a function of AfterFunc may wait")
	})
	inner.AfterFunc(func() { log.add("inner has ended: %v", inner.Err()) })
	w.Go(func() {
		w.World().Sleep(inner, at(time.Hour))
		log.add("outer %v, inner %v, child %v", outer.Err(), inner.Err(), child.Err())
		w.World().Sleep(outer, at(time.Hour))
		log.add("outer %v, inner %v", outer.Err(), inner.Err())
	})
	w.At(at(2*time.Second), func() { log.add("child %v", child.Err()) })
	run(t, w)
	log.expect(t,
		"1s inner has ended: context deadline exceeded",
		"1s outer <nil>, inner context deadline exceeded, child <nil>",
		"2s child <nil>",
		"2s outer has ended: context deadline exceeded",
		"2s outer context deadline exceeded, inner context deadline exceeded",
		"3s a function of AfterFunc may wait")
	if child.Err() != context.DeadlineExceeded {
		t.Errorf("child %v", child.Err())
	}
}

// The handle of a bulkhead grants permits in order, and waits end at their limits.
func TestBulkhead(t *testing.T) {
	w := New(1)
	log := &trace{w: w}
	b := engine.NewBulkhead(bulkhead.Config{Permits: 1, Queue: 3, MaxWait: 5 * time.Second})
	cancelled := w.Context(w.Background(), at(1500*time.Millisecond))
	for i := range 5 {
		ctx := w.Background()
		if i == 1 {
			ctx = cancelled
		}
		w.Go(func() {
			how := engine.Acquired
			if !b.TryAcquire() {
				how = b.Acquire(ctx, w.World(), w.Now(), time.Time{})
			}
			log.add("caller %d: %d", i, how)
			if how == engine.Acquired {
				w.World().Sleep(w.Background(), w.Now().Add(3*time.Second))
				b.Release()
			}
		})
	}
	run(t, w)
	log.expect(t,
		fmt.Sprintf("0s caller 0: %d", engine.Acquired),
		fmt.Sprintf("0s caller 4: %d", engine.QueueFull),
		fmt.Sprintf("1.5s caller 1: %d", engine.ContextEnded),
		fmt.Sprintf("3s caller 2: %d", engine.Acquired),
		fmt.Sprintf("5s caller 3: %d", engine.TimedOut))
	if b.InUse() != 0 || b.Waiting() != 0 {
		t.Errorf("%d in use, %d wait", b.InUse(), b.Waiting())
	}
}

// 100,000 callers wait at once, and all of them end.
func TestManyCallers(t *testing.T) {
	const callers = 100_000
	w := New(1)
	ended, waiting := 0, 0
	for i := range callers {
		w.Go(func() {
			waiting++
			w.World().Sleep(w.Background(), at(time.Duration(callers-i)*time.Millisecond))
			if waiting != callers {
				t.Errorf("%d wait", waiting)
			}
			ended++
		})
	}
	run(t, w)
	if ended != callers || w.Now().Sub(start) != callers*time.Millisecond {
		t.Errorf("%d have ended after %v", ended, w.Now().Sub(start))
	}
}

// Two callers wake each other: a park and a wake for each step.
func BenchmarkParkAndWake(b *testing.B) {
	w := New(1)
	v := w.World()
	here, there := v.Parker(), v.Parker()
	w.Go(func() {
		for range b.N / 2 {
			there.Wake()
			here.Park(w.Background(), time.Time{})
		}
	})
	w.Go(func() {
		for range b.N / 2 {
			there.Park(w.Background(), time.Time{})
			here.Wake()
		}
	})
	benchmark(b, w)
}

// 2,000 callers sleep: each step is an event of the heap.
func BenchmarkSleep(b *testing.B) {
	w := New(1)
	v := w.World()
	for i := range 2000 {
		w.Go(func() {
			for range b.N / 2000 {
				v.Sleep(w.Background(), v.Now().Add(time.Duration(1000+i)))
			}
		})
	}
	benchmark(b, w)
}

// 2,000 callers sleep with a context that they end, and its timer.
func BenchmarkSleepWithContext(b *testing.B) {
	w := New(1)
	v := w.World()
	for i := range 2000 {
		w.Go(func() {
			for range b.N / 2000 {
				ctx := w.Context(w.Background(), v.Now().Add(time.Second))
				v.Sleep(ctx, v.Now().Add(time.Duration(1000+i)))
				ctx.End()
			}
		})
	}
	benchmark(b, w)
}

// 2,000 timers set themselves anew.
func BenchmarkTimer(b *testing.B) {
	w := New(1)
	left := b.N
	for i := range 2000 {
		var timer world.Timer
		timer = w.AfterFunc(time.Duration(i), func() {
			if left--; left > 0 {
				timer.Reset(time.Duration(1000 + i))
			}
		})
	}
	benchmark(b, w)
}

func benchmark(b *testing.B, w *World) {
	b.ReportAllocs()
	b.ResetTimer()
	if err := w.Run(); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(w.Steps())/b.Elapsed().Seconds()/1e6, "M_events/s")
}
