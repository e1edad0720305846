package world

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestRealWorldIsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w World
		start := time.Now()
		if !w.IsReal() || !w.Now().Equal(start) {
			t.Errorf("real %v, now %v, want %v", w.IsReal(), w.Now(), start)
		}
		time.Sleep(time.Second)
		if w.Since(start) != time.Second || w.Until(start) != -time.Second {
			t.Errorf("%v since, %v until, want 1s", w.Since(start), w.Until(start))
		}
		order := make(chan string, 3)
		timer := w.AfterFunc(time.Second, func() { order <- "timer" })
		w.AfterFunc(time.Second, func() { t.Error("a stopped timer fires") }).Stop()
		w.Go(func() { order <- "go" })
		timer.Reset(2 * time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n, first := len(order), <-order; n != 2 || first != "go" || <-order != "timer" {
			t.Errorf("%d ran, first %q", n, first)
		}
	})
}

func TestRealWorldHasChance(t *testing.T) {
	var w World
	different := false
	first := w.Chance()
	for range 100 {
		u := w.Chance()
		if u < 0 || u >= 1 {
			t.Fatalf("chance %v", u)
		}
		different = different || u != first
	}
	for _, draw := range []func() [16]byte{w.Random, w.Noise} {
		a, b := draw(), draw()
		if a == b || bytes.Equal(a[:8], make([]byte, 8)) || bytes.Equal(a[8:], make([]byte, 8)) {
			t.Errorf("not random: %x, %x", a, b)
		}
	}
	if !different {
		t.Errorf("always %v", first)
	}
}

// Each runs all of its calls at once, and waits for the last, through Goexit, too.
func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for n := range 4 {
			var ended [4]time.Duration
			World{}.Each(n, func(i int) {
				defer func() { ended[i] = time.Since(start) }()
				time.Sleep(time.Duration(i) * time.Second)
				if i == 2 {
					runtime.Goexit()
				}
			})
			for i, took := range ended {
				if want := time.Duration(i) * time.Second; i < n && took != want || i >= n && took != 0 {
					t.Errorf("%d of %d ended after %v", i, n, took)
				}
			}
			start = time.Now()
		}
	})
}

// A sleep ends at its time or with its context.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, w := range []World{{}, From(new(fake))} {
			start := time.Now()
			if by := w.Sleep(t.Context(), start.Add(time.Second)); by != ByTime || time.Since(start) != time.Second {
				t.Errorf("woken %d after %v", by, time.Since(start))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if by := w.Sleep(ctx, start.Add(time.Hour)); by != ByContext || time.Since(start) != 2*time.Second {
				t.Errorf("woken %d after %v", by, time.Since(start))
			}
		}
	})
}

// fake is a Source that counts its uses.
type fake struct {
	uses int
	real bool
}

func (f *fake) Now() time.Time   { f.uses++; return time.Now() }
func (f *fake) Chance() float64  { f.uses++; return 0.25 }
func (f *fake) Random() [16]byte { f.uses++; return [16]byte{7} }
func (f *fake) Parker() Parker   { f.uses++; return newParker() }
func (f *fake) Go(run func())    { f.uses++; run() }
func (f *fake) IsReal() bool     { return f.real }
func (f *fake) AfterFunc(d time.Duration, run func()) Timer {
	f.uses++
	return time.AfterFunc(d, run)
}

func TestSourceIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		w := From(f)
		start, p, ran := w.Now(), w.Random(), false
		id := w.Noise()
		w.Each(1, func(int) { id[1] = 1 })
		w.Parker().Free()
		w.Go(func() { ran = true })
		stopped := w.AfterFunc(time.Second, func() {}).Stop()
		if w.IsReal() || !start.Equal(time.Now()) || w.Since(start) != 0 || w.Chance() != 0.25 || p[0] != 7 || id != [16]byte{7, 1} || !ran || !stopped {
			t.Error("the source was not used")
		}
		if f.real = true; !w.IsReal() {
			t.Error("a source that is real makes no real World")
		}
		if f.uses != 10 {
			t.Errorf("%d uses, want 10", f.uses)
		}
	})
}

// A context of a World has the values of its parent.
func TestWithKeepsValues(t *testing.T) {
	type own struct{}
	ctx := With(context.WithValue(t.Context(), own{}, 7), From(new(fake)))
	if got := ctx.Value(own{}); got != 7 {
		t.Errorf("the parent's value is %v", got)
	}
}

// A context is of the World of its nearest With.
func TestOf(t *testing.T) {
	type other struct{}
	if named.Swap(false); !Of(context.Background()).IsReal() {
		t.Error("without any With a context is of another World")
	}
	w, v := From(new(fake)), From(new(fake))
	ctx := context.WithValue(With(context.Background(), w), other{}, 1)
	if Of(ctx) != w || Of(With(ctx, v)) != v || !Of(With(ctx, World{})).IsReal() || !Of(context.Background()).IsReal() {
		t.Error("a context is of a wrong World")
	}
}

func TestAllocations(t *testing.T) {
	var w World
	start, ctx := w.Now(), context.Background()
	for name, f := range map[string]func(){
		"looks": func() {
			if Of(ctx).Since(start) < 0 || w.Now().IsZero() {
				t.Error("the clock runs backwards")
			}
		},
		"a wait that Wake ends": func() {
			p := w.Parker()
			p.Wake()
			p.Park(ctx, time.Time{})
			p.Free()
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkNow(b *testing.B) {
	b.Run("time", func(b *testing.B) {
		for b.Loop() {
			_ = time.Now()
		}
	})
	b.Run("world", func(b *testing.B) {
		var w World
		for b.Loop() {
			_ = w.Now()
		}
	})
	b.Run("world of a context", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for b.Loop() {
			_ = Of(ctx).Now()
		}
	})
}

func BenchmarkSince(b *testing.B) {
	start := time.Now()
	b.Run("time", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(start)
		}
	})
	b.Run("world", func(b *testing.B) {
		var w World
		for b.Loop() {
			_ = w.Since(start)
		}
	})
}
