package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// everyContender calls f for each contender of the races that have the name, in
// a bubble. hystrix-go is not among them: its goroutines run for ever.
func everyContender(t *testing.T, race string, f func(t *testing.T, c contender)) {
	found := false
	for _, r := range races {
		if r.name != race {
			continue
		}
		found = true
		for _, c := range r.contenders() {
			if strings.HasPrefix(c.name, "hystrix-go") {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f(t, c)
					time.Sleep(openTimeout) // as long as go-resiliency's open breaker has a goroutine
				})
			})
		}
	}
	if !found {
		t.Fatalf("no race is called %q", race)
	}
}

func (r race) contenders() []contender {
	list := []contender{r.lead}
	for _, e := range r.others {
		list = append(list, e.contender)
	}
	return list
}

const stack = "breaker, retry, bulkhead, attempt timeout"

// Every contender is measured with work that works: it does all of it, once
// each, or in the open races none of it.
func TestContendersDoTheirWork(t *testing.T) {
	for _, r := range races {
		want := int64(7)
		switch {
		case strings.HasPrefix(r.name, "Registry.Get"), strings.HasPrefix(r.name, "client around a transport"):
			continue // nothing is guarded
		case strings.HasPrefix(r.name, "breaker open"):
			want = 0
		}
		for _, c := range r.contenders() {
			t.Run(r.name+"/"+c.name, func(t *testing.T) {
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
}

// What else is measured in this process runs without an error.
func TestTheOthersRun(t *testing.T) {
	for _, r := range append(slices.Clone(races), httpRaces...) {
		for _, c := range r.contenders() {
			if err := c.rig(nothing)(3); err != nil {
				t.Errorf("%s: %s: %v", r.name, c.name, err)
			}
		}
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

// A bulkhead lets as many in as it has permits, and takes every permit back.
func TestBulkheadsHold(t *testing.T) {
	for _, race := range []string{"bulkhead, free permit", "bulkhead, 64 callers, 1 CPU", "the same with a limit for the wait, 1 CPU", stack} {
		everyContender(t, race, func(t *testing.T, c contender) {
			var inside, calls atomic.Int64
			gate := make(chan struct{})
			op := c.rig(func(context.Context) (int, error) {
				inside.Add(1)
				defer inside.Add(-1)
				<-gate
				return int(calls.Add(1)), nil
			})
			var wg sync.WaitGroup
			for range permits + 5 {
				wg.Go(func() {
					if err := op(1); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			if n := inside.Load(); n != permits {
				t.Errorf("%d are inside, want %d", n, permits)
			}
			close(gate)
			wg.Wait()
			if err := op(permits + 1); err != nil { // one after the other: each permit again
				t.Error(err)
			}
			if n := calls.Load(); n != permits+5+permits+1 {
				t.Errorf("%d calls were answered, want %d", n, permits+5+permits+1)
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

// The third attempt works, and none of the contenders waits before it.
func TestThirdTryWorks(t *testing.T) {
	everyContender(t, "retry, third try works, no wait", func(t *testing.T, c contender) {
		calls, do := 0, thirdTime()
		op := c.rig(func(ctx context.Context) (int, error) { calls++; return do(ctx) })
		start := time.Now()
		if err := op(5); err != nil || calls != 15 {
			t.Errorf("%v after %d calls, want 15", err, calls)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it waited %v", d)
		}
	})
}

// Where callers contend, some really wait for a permit: the work of one who has it
// goes on while others ask.
func TestYieldsMakesThemWait(t *testing.T) {
	r := races[slices.IndexFunc(races, func(r race) bool { return r.name == "bulkhead, 64 callers, 1 CPU" })]
	bytes, allocs, err := countMemory(holdfastBulkhead.rig(r.work()), r.load)
	if err != nil || allocs == 0 {
		t.Errorf("%v allocations, %v B, %v: nobody has waited", allocs, bytes, err)
	}
}

func BenchmarkContenders(b *testing.B) {
	for _, r := range append(slices.Clone(races), httpRaces...) {
		if r.procs > 1 && r.callers != 1 {
			continue // make bench measures those; here -cpu would be in the way
		}
		do := nothing
		if r.work != nil {
			do = r.work()
		}
		for _, c := range r.contenders() {
			b.Run(r.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				if err := c.rig(do)(b.N); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
