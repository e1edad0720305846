package leak

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		for _, d := range []time.Duration{time.Second, time.Minute} {
			go time.Sleep(d)
		}
		began := time.Now()
		if n := Count(before); n != 1 || time.Since(began) < 2*time.Second {
			t.Errorf("%d after %v; want 1, which is not over in 2 s", n, time.Since(began))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := Count(before); n != 0 {
			t.Errorf("%d; want 0: all have ended", n)
		}
	})
}
