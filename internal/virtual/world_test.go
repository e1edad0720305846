package virtual

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// trace records what happens in a World, and when.
type trace struct {
	w     *World
	lines []string
}

func (t *trace) add(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf("%v ", t.w.Now().Sub(start))+fmt.Sprintf(format, args...))
}

func (t *trace) expect(tt *testing.T, want ...string) {
	tt.Helper()
	if !slices.Equal(t.lines, want) {
		tt.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(t.lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func at(d time.Duration) time.Time { return start.Add(d) }

// run runs a World to its end, and expects that no caller is left.
func run(t *testing.T, w *World) {
	t.Helper()
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}

// Events run in the order of their instants, and those of one instant in the order in
// which they were made.
func TestOrder(t *testing.T) {
	w := New(1)
	log := &trace{w: w}
	w.At(at(2*time.Second), func() { log.add("event 1") })
	w.At(at(time.Second), func() {
		log.add("event 2")
		w.At(at(0), func() { log.add("event of the past") })
		w.At(at(2*time.Second), func() { log.add("event 3") })
		w.Go(func() {
			log.add("caller")
			w.World().Sleep(w.Background(), at(2*time.Second))
			log.add("caller again")
		})
		w.AfterFunc(0, func() { log.add("timer") })
		log.add("event 2 ends")
	})
	w.At(at(time.Second), func() { log.add("event 4") })
	run(t, w)
	log.expect(t,
		"1s event 2", "1s event 2 ends", "1s event 4", "1s event of the past", "1s caller", "1s timer",
		"2s event 1", "2s event 3", "2s caller again")
	if w.Steps() != 8 {
		t.Errorf("%d steps, want 8", w.Steps())
	}
}

func TestTimer(t *testing.T) {
	w := New(1)
	log := &trace{w: w}
	stopped := w.AfterFunc(time.Second, func() { log.add("stopped") })
	moved := w.AfterFunc(time.Second, func() { log.add("moved") })
	again := w.AfterFunc(time.Second, func() { log.add("again") })
	now := w.AfterFunc(0, func() { log.add("now") })
	w.At(at(500*time.Millisecond), func() {
		if !stopped.Stop() || stopped.Stop() || !moved.Reset(2*time.Second) || now.Stop() {
			t.Error("Stop and Reset must report whether the timer was set")
		}
	})
	w.At(at(time.Second), func() {
		if again.Reset(time.Second) {
			t.Error("the timer has fired")
		}
		never := w.AfterFunc(0, func() { log.add("stopped at once") })
		if !never.Stop() {
			t.Error("the timer was set")
		}
	})
	run(t, w)
	log.expect(t, "0s now", "1s again", "2s again", "2.5s moved")
}

// Cancelled timers do not move the time.
func TestTimeEndsWithTheLastEvent(t *testing.T) {
	w := New(1)
	late := w.AfterFunc(time.Hour, func() {})
	w.At(at(time.Second), func() { late.Stop() })
	run(t, w)
	if got := w.Now(); !got.Equal(at(time.Second)) {
		t.Errorf("it is %v", got)
	}
}

func TestRunUntil(t *testing.T) {
	w := New(1)
	log := &trace{w: w}
	w.Go(func() {
		for range 3 {
			w.World().Sleep(w.Background(), w.Now().Add(time.Second))
			log.add("tick")
		}
	})
	w.RunUntil(at(2 * time.Second))
	log.add("pause")
	w.RunUntil(at(2500 * time.Millisecond))
	log.add("pause")
	run(t, w)
	log.expect(t, "1s tick", "2s tick", "2s pause", "2.5s pause", "3s tick")
}

// The same seed gives the same events, another seed gives others.
func TestSameSeedSameEvents(t *testing.T) {
	hash := func(seed uint64) uint64 {
		w, h := New(seed), fnv.New64a()
		v := w.World()
		var parkers [50]world.Parker
		for i := range parkers {
			w.Go(func() {
				parkers[i] = v.Parker()
				for range 200 {
					limit := v.Now().Add(time.Duration(v.Chance() * float64(time.Second)))
					by := parkers[i].Park(w.Background(), limit)
					if v.Chance() < 0.5 {
						if p := parkers[int(v.Chance()*50)]; p != nil {
							p.Wake()
						}
					}
					_, _ = fmt.Fprintln(h, v.Now(), i, by, v.Random())
				}
			})
		}
		run(t, w)
		return h.Sum64()
	}
	if a, b, c := hash(1), hash(1), hash(2); a != b || a == c {
		t.Errorf("seed 1: %x and %x, seed 2: %x", a, b, c)
	}
}

// Instants that virtual time cannot reach are its ends. Only the real World is real.
func TestFarInstants(t *testing.T) {
	for at, want := range map[time.Time]int64{
		start: 0, start.Add(time.Hour + 7): int64(time.Hour + 7), start.Add(-7): -7,
		start.AddDate(400, 0, 0): math.MaxInt64, {}: math.MinInt64,
	} {
		if got := sinceStart(at); got != want {
			t.Errorf("%v is %d, want %d", at, got, want)
		}
	}
	if w := New(1); w.IsReal() || world.From(w).IsReal() {
		t.Error("virtual time is real")
	}
}

func TestChance(t *testing.T) {
	w := New(7)
	sum := 0.0
	for range 10_000 {
		u := w.Chance()
		if u < 0 || u >= 1 {
			t.Fatalf("chance %v", u)
		}
		sum += u
	}
	if mean := sum / 10_000; mean < 0.48 || mean > 0.52 {
		t.Errorf("mean %v", mean)
	}
}

// Callers that wait for ever are counted and ended: their deferred functions run, and
// no goroutine is left.
func TestStuckCallers(t *testing.T) {
	before := runtime.NumGoroutine()
	w := New(1)
	log := &trace{w: w}
	for i := range 3 {
		w.Go(func() {
			defer log.add("%d ended", i)
			defer w.Go(func() { log.add("started by the end") })
			defer w.World().Sleep(w.Background(), at(time.Hour)) // ends too
			if i == 0 {
				return
			}
			w.World().Sleep(w.Background(), at(time.Second))
			w.World().Parker().Park(w.Background(), time.Time{})
			log.add("%d goes on", i)
		})
	}
	err := w.Run()
	stuck, ok := errors.AsType[*StuckError](err)
	if !ok || stuck.Callers != 2 || err.Error() != "virtual: 2 callers wait for an event that never comes" {
		t.Errorf("error %v", err)
	}
	log.expect(t, "1h0m0s 0 ended", "1h0m0s started by the end", "1h0m0s 1 ended", "1h0m0s 2 ended")
	if n := runtime.NumGoroutine() - before; n > 0 {
		t.Errorf("%d goroutines are left", n)
	}
	w.Go(func() { log.add("the World can be used again") })
	run(t, w)
}

// panics expects a panic of f, with the text if it is not empty.
func panics(t *testing.T, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r := recover(); r == nil || text != "" && r != text {
			t.Errorf("panic %v, want %q", r, text)
		}
	}()
	f()
}

// A panic of a caller, or of an event, is one of Run, and ends the other callers.
func TestPanicOfACaller(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, where := range []string{"caller", "event", "deferred function"} {
		w, ended := New(1), false
		w.Go(func() {
			defer func() { ended = true }()
			w.World().Sleep(w.Background(), at(time.Hour))
		})
		panics(t, "the "+where+" has a bug", func() {
			w.At(at(time.Second), func() {
				switch where {
				case "event":
					panic("the event has a bug")
				case "caller":
					w.Go(func() { panic("the caller has a bug") })
				default:
					w.Go(func() {
						defer panic("the deferred function has a bug")
						w.World().Parker().Park(w.Background(), time.Time{})
					})
				}
			})
			_ = w.Run()
		})
		if !ended {
			t.Errorf("%s: the other caller has not ended", where)
		}
	}
	if n := runtime.NumGoroutine() - before; n > 0 {
		t.Errorf("%d goroutines are left", n)
	}
}

func TestInvalidCalls(t *testing.T) {
	w := New(1)
	const outside = "virtual: code that is no caller waits: start it with World.Go"
	panics(t, outside, func() { w.World().Sleep(w.Background(), at(time.Second)) })
	w.At(at(0), func() { w.World().Sleep(w.Background(), at(time.Second)) })
	panics(t, outside, func() { _ = w.Run() })
	w.Go(func() { _ = w.Run() })
	panics(t, "virtual: Run is called by code that it runs", func() { _ = w.Run() })

	foreign, cancel := context.WithCancel(w.Background())
	defer cancel()
	w.Go(func() { w.World().Sleep(foreign, at(time.Second)) })
	panics(t, "virtual: a *context.cancelCtx ends outside of virtual time: use World.Context", func() { _ = w.Run() })
}
