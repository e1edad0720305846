package world

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A Park ends by the first of its three ends.
func TestPark(t *testing.T) {
	type want struct {
		by    Woken
		after time.Duration
	}
	for name, c := range map[string]struct {
		wake, limit, cancel time.Duration // zero: never
		want                want
	}{
		"wake alone":           {time.Second, 0, 0, want{ByWake, time.Second}},
		"wake before limit":    {time.Second, time.Minute, 0, want{ByWake, time.Second}},
		"wake before cancel":   {time.Second, 0, time.Minute, want{ByWake, time.Second}},
		"limit before wake":    {time.Minute, time.Second, 0, want{ByTime, time.Second}},
		"limit passed":         {time.Minute, -time.Second, 0, want{ByTime, 0}},
		"cancel before both":   {time.Minute, time.Minute, time.Second, want{ByContext, time.Second}},
		"cancel without limit": {time.Minute, 0, time.Second, want{ByContext, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, until, ctx := time.Now(), time.Time{}, context.Background()
				p := World{}.Parker()
				time.AfterFunc(c.wake, p.Wake)
				if c.limit != 0 {
					until = start.Add(c.limit)
				}
				if c.cancel != 0 {
					with, cancel := context.WithCancel(ctx)
					time.AfterFunc(c.cancel, cancel)
					ctx = with
				}
				if by := p.Park(ctx, until); by != c.want.by || time.Since(start) != c.want.after {
					t.Errorf("woken %d after %v, want %d after %v", by, time.Since(start), c.want.by, c.want.after)
				}
			})
		})
	}
}

// A Wake before a Park ends it at once; two do not end a second.
func TestWakeIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ctx := range []context.Context{context.Background(), t.Context()} {
			p := World{}.Parker()
			p.Wake()
			p.Wake()
			start := time.Now()
			if by := p.Park(ctx, time.Time{}); by != ByWake || time.Since(start) != 0 {
				t.Errorf("woken %d after %v", by, time.Since(start))
			}
			if by := p.Park(ctx, start.Add(time.Second)); by != ByTime {
				t.Errorf("woken %d: a Wake counted twice", by)
			}
			p.Wake()
			p.Free()
			if p.(*parker).state.Load() != empty {
				t.Error("a freed Parker remembers a Wake")
			}
		}
	})
}

// A Wake at the moment of another end is not lost: the next Park ends by it.
func TestWakeAtTheSameMoment(t *testing.T) {
	lost := 0
	for range 200 { // the runtime chooses by chance
		synctest.Test(t, func(t *testing.T) {
			p := World{}.Parker()
			at := time.Now().Add(time.Second)
			time.AfterFunc(time.Second, func() { p.Wake(); p.Wake() })
			if p.Park(t.Context(), at) == ByWake {
				return
			}
			synctest.Wait()
			lost++
			if p.Park(t.Context(), at.Add(time.Second)) != ByWake {
				t.Error("the Wake is lost")
			}
		})
	}
	if lost == 0 {
		t.Error("the Wake was always first")
	}
}

// A Wake after the look at the state and before the wait is not lost.
func TestWakeJustBeforeTheWait(t *testing.T) {
	p := newParker()
	p.Wake()
	p.cond.Wait()
	if p.state.Load() != woken {
		t.Error("Park has to take the Wake")
	}
}

// For the race detector, in real time: many Parkers, each used by two goroutines and
// reused by others.
func TestParkerFromManyGoroutines(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				ctx = context.Background()
			}
			for range 500 {
				p := World{}.Parker()
				wg.Go(p.Wake)
				if by := p.Park(ctx, time.Time{}); by != ByWake {
					t.Errorf("woken %d", by)
				}
				p.Free()
			}
		})
	}
	wg.Wait()
}
