package demo

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Calls that do not end reach the limit, and later calls fail at once.
func TestMaxOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := comparison{script: newScript(3 * time.Second), due: arrivals(1, 3*time.Second)}
		release := make(chan struct{})
		time.AfterFunc(10*time.Second, func() { close(release) })
		var all tally
		calls, err := generateLoad(t.Context(), time.Now(), d, &all, func(context.Context, string, *call) result {
			<-release
			return answered
		})
		if err != nil {
			t.Fatal(err)
		}
		ends := map[result]int{}
		for i := range calls {
			c := &calls[i]
			ends[c.result]++
			if c.result == crowded && (c.ended != c.began || c.ended < c.due) {
				t.Fatalf("call %d was due at %v and failed from %v to %v, want at once", i, c.due, c.began, c.ended)
			}
		}
		if ends[answered] != maxOutstanding || ends[crowded] != 2400-maxOutstanding {
			t.Errorf("%v, want %d answered and the rest crowded", ends, maxOutstanding)
		}
		if n := all.outstanding.Load(); n != 0 {
			t.Errorf("%d outstanding at the end, want 0", n)
		}
	})
}

// An open loop does not wait for earlier calls.
func TestLoadStartsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := comparison{script: newScript(3 * time.Second), due: arrivals(1, 3*time.Second)}
		var all tally
		calls, err := generateLoad(t.Context(), time.Now(), d, &all, func(context.Context, string, *call) result {
			time.Sleep(time.Second)
			return failed
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			if c := &calls[i]; c.began != c.due || c.ended != c.due+time.Second {
				t.Fatalf("call %d was due at %v and went from %v to %v", i, c.due, c.began, c.ended)
			}
		}
	})
}

func TestLoadEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := comparison{script: newScript(3 * time.Second), due: arrivals(1, 3*time.Second)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var all tally
		began := time.Now()
		calls, err := generateLoad(ctx, began, d, &all, func(ctx context.Context, _ string, _ *call) result {
			<-ctx.Done()
			return failed
		})
		if err != context.Canceled || calls != nil {
			t.Errorf("%d calls, %v; want none, Canceled", len(calls), err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v, want 1 s", took)
		}
		if n := all.outstanding.Load(); n != 0 {
			t.Errorf("%d calls are still running", n)
		}
	})
}
