package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// everyContender calls f for holdfast and each rival of the races that has it.
func everyContender(t *testing.T, race string, f func(t *testing.T, c contender)) {
	found := false
	for _, r := range races {
		if r.name != race {
			continue
		}
		found = true
		list := []contender{r.holdfast}
		for _, rival := range r.rivals {
			list = append(list, rival.contender)
		}
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, c) })
			})
		}
	}
	if !found {
		t.Fatalf("no race is called %q", race)
	}
}

const stack = "breaker, retry, bulkhead, attempt timeout"

var errDown = errors.New("down")

// Every contender is measured with work that works: it does all of it, once
// each, or in the open races none of it.
func TestContendersDoTheirWork(t *testing.T) {
	for _, r := range races {
		want := int64(7)
		if r.name == "breaker open, 1 CPU" || r.name == "breaker open, 2 CPUs" {
			want = 0
		}
		everyContender(t, r.name, func(t *testing.T, c contender) {
			var calls atomic.Int64
			op := c.rig(func(context.Context) (int, error) { return int(calls.Add(1)), nil })
			if err := op(7); err != nil {
				t.Fatal(err)
			}
			if calls.Load() != want {
				t.Errorf("%d calls of the work, want %d", calls.Load(), want)
			}
		})
	}
}

// A breaker that is measured closed counts: after the threshold it is open.
func TestBreakersOpen(t *testing.T) {
	for _, race := range []string{"breaker closed, 1 CPU", "breaker closed, 2 CPUs", stack} {
		everyContender(t, race, func(t *testing.T, c contender) {
			calls := 0
			op := c.rig(func(context.Context) (int, error) { calls++; return 0, errDown })
			for i := range threshold {
				before := calls
				if err := op(1); !errors.Is(err, errDown) {
					t.Fatalf("operation %d: %v", i, err)
				}
				if calls == before {
					t.Fatalf("operation %d was not let through", i)
				}
			}
			before := calls
			if err := op(1); err == nil || errors.Is(err, errDown) {
				t.Errorf("after %d failures: %v, want a refusal", threshold, err)
			}
			if calls != before {
				t.Errorf("the breaker is still closed after %d failures", threshold)
			}
		})
	}
}

// A bulkhead lets as many in as it has slots, and takes every slot back.
func TestBulkheadsHold(t *testing.T) {
	for _, race := range []string{"bulkhead, free slot", stack} {
		everyContender(t, race, func(t *testing.T, c contender) {
			var inside, calls atomic.Int64
			door := make(chan struct{})
			op := c.rig(func(context.Context) (int, error) {
				inside.Add(1)
				defer inside.Add(-1)
				<-door
				return int(calls.Add(1)), nil
			})
			var wg sync.WaitGroup
			for range slots + 5 {
				wg.Go(func() {
					if err := op(1); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			if n := inside.Load(); n != slots {
				t.Errorf("%d are inside, want %d", n, slots)
			}
			close(door)
			wg.Wait()
			if err := op(slots + 1); err != nil { // one after the other: each slot again
				t.Error(err)
			}
			if n := calls.Load(); n != slots+5+slots+1 {
				t.Errorf("%d calls were answered, want %d", n, slots+5+slots+1)
			}
		})
	}
}

// A retry repeats, as often as the others and not at once.
func TestRetriesRepeat(t *testing.T) {
	for _, race := range []string{"retry, first try works", stack} {
		everyContender(t, race, func(t *testing.T, c contender) {
			calls, failures := 0, retries
			op := c.rig(func(context.Context) (int, error) {
				calls++
				if calls <= failures {
					return 0, errDown
				}
				return calls, nil
			})
			start := time.Now()
			if err := op(1); err != nil || calls != retries+1 {
				t.Errorf("%d failures: %v after %d calls", failures, err, calls)
			}
			if time.Since(start) == 0 {
				t.Error("it did not wait between attempts")
			}
			calls, failures = 0, retries+1
			if err := op(1); !errors.Is(err, errDown) || calls != retries+1 {
				t.Errorf("%d failures: %v after %d calls, want the failure", failures, err, calls)
			}
		})
	}
}

// An attempt that hangs is ended after the attempt timeout, and repeated.
func TestStacksEndHangingAttempts(t *testing.T) {
	everyContender(t, stack, func(t *testing.T, c contender) {
		calls := 0
		op := c.rig(func(ctx context.Context) (int, error) {
			calls++
			if calls == 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return calls, ctx.Err()
		})
		start := time.Now()
		if err := op(1); err != nil || calls != 2 {
			t.Errorf("%v after %d calls", err, calls)
		}
		if d := time.Since(start); d < attemptTimeout || d > attemptTimeout+10*time.Second {
			t.Errorf("the hanging attempt and one wait took %v, want %v and a little", d, attemptTimeout)
		}
	})
}

func BenchmarkContenders(b *testing.B) {
	for _, r := range races {
		if r.procs > 1 {
			continue // make bench measures those; here -cpu would be in the way
		}
		for _, c := range append([]rival{{contender: r.holdfast}}, r.rivals...) {
			b.Run(r.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				if err := c.rig(nothing)(b.N); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
