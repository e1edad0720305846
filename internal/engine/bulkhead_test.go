package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/world"
)

// acquire acquires a permit as production code does.
func acquire(ctx context.Context, b *Bulkhead, deadline time.Time) Wait {
	if b.TryAcquire() {
		return Acquired
	}
	return b.Acquire(ctx, world.World{}, time.Now(), deadline)
}

// empty expects that no permit is in use and no waiter is left.
func empty(t *testing.T, b *Bulkhead) {
	t.Helper()
	if b.InUse() != 0 || b.Waiting() != 0 || b.waiters.Len() != 0 || b.snapshot.Load() != 0 {
		t.Errorf("%d in use, %d wait, %d waiters, snapshot %x", b.InUse(), b.Waiting(), b.waiters.Len(), b.snapshot.Load())
	}
}

func TestBulkheadServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBulkhead(bulkhead.Config{Permits: 2, Queue: 10})
		acquire(t.Context(), b, time.Time{})
		acquire(t.Context(), b, time.Time{})
		var order []int
		for i := range 10 {
			go func() {
				if how := acquire(t.Context(), b, time.Time{}); how != Acquired {
					t.Errorf("caller %d: %d", i, how)
				}
				order = append(order, i) // one at a time: see below
			}()
			synctest.Wait() // i waits
		}
		if b.Waiting() != 10 || b.InUse() != 2 {
			t.Errorf("%d wait, %d in use", b.Waiting(), b.InUse())
		}
		if b.TryAcquire() || acquire(t.Context(), b, time.Time{}) != QueueFull {
			t.Error("the queue exceeds its bound")
		}
		for range 10 {
			b.Release()
			synctest.Wait()
		}
		if !slices.Equal(order, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("served in the order %v", order)
		}
		b.Release()
		b.Release()
		empty(t, b)
	})
}

// A wait ends at MaxWait, or at the caller's deadline if that is earlier.
func TestBulkheadWaitLimit(t *testing.T) {
	for _, tt := range []struct{ limit, deadline, want time.Duration }{
		{5 * time.Second, 0, 5 * time.Second},
		{5 * time.Second, time.Second, time.Second},
		{5 * time.Second, time.Minute, 5 * time.Second},
		{0, time.Minute, time.Minute},
		{5 * time.Second, -time.Second, 0}, // passed
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1, MaxWait: tt.limit})
				b.TryAcquire()
				start, deadline := time.Now(), time.Time{}
				if tt.deadline != 0 {
					deadline = start.Add(tt.deadline)
				}
				if how := acquire(t.Context(), b, deadline); how != TimedOut || time.Since(start) != tt.want {
					t.Errorf("ended with %d after %v, want %v", how, time.Since(start), tt.want)
				}
				b.Release()
				empty(t, b)
			})
		})
	}
}

// A wait without a limit ends with a permit.
func TestBulkheadWaitsWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1})
		b.TryAcquire()
		time.AfterFunc(24*time.Hour, b.Release)
		if how := acquire(t.Context(), b, time.Time{}); how != Acquired {
			t.Errorf("ended with %d", how)
		}
		b.Release()
		empty(t, b)
	})
}

// A8: nothing is left of a cancelled waiter, at any place in the queue.
func TestBulkheadCancelledWaiter(t *testing.T) {
	for leaver := range 3 {
		t.Run(fmt.Sprint(leaver), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 3})
				b.TryAcquire()
				var cancels [3]context.CancelFunc
				var order []int
				for i := range 3 {
					ctx, cancel := context.WithCancel(t.Context())
					cancels[i] = cancel
					go func() {
						switch how := acquire(ctx, b, time.Time{}); {
						case i == leaver && how != ContextEnded, i != leaver && how != Acquired:
							t.Errorf("caller %d ended with %d", i, how)
						case how == Acquired:
							order = append(order, i)
							b.Release()
						}
					}()
					synctest.Wait()
				}
				cancels[leaver]()
				synctest.Wait()
				if b.Waiting() != 2 {
					t.Errorf("%d wait", b.Waiting())
				}
				b.Release()
				synctest.Wait()
				if want := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == leaver }); !slices.Equal(order, want) {
					t.Errorf("served %v, want %v", order, want)
				}
				empty(t, b)
			})
		})
	}
}

// The permit is granted at the moment at which the wait ends. The caller may see
// either; the permit is in use or free accordingly.
func TestBulkheadGrantedAtTheSameMoment(t *testing.T) {
	seen := map[Wait]int{}
	for _, end := range []string{"limit", "cancel"} {
		for range 200 { // select chooses by chance
			synctest.Test(t, func(t *testing.T) {
				b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1})
				b.TryAcquire()
				ctx, deadline := t.Context(), time.Now().Add(time.Second)
				if end == "cancel" {
					ctx, deadline = withTimeout(t, time.Second), time.Time{}
				}
				time.AfterFunc(time.Second, b.Release)
				how := acquire(ctx, b, deadline)
				seen[how]++
				synctest.Wait()
				if held := how == Acquired; held != (b.InUse() == 1) {
					t.Fatalf("%s: ended with %d, %d in use", end, how, b.InUse())
				}
				if how == Acquired {
					b.Release()
				}
				empty(t, b)
			})
		}
	}
	if seen[Acquired] == 0 || seen[ContextEnded] == 0 {
		t.Errorf("ended only so: %v", seen)
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Two waiters that give up after they were granted a permit.
func TestBulkheadGivesUpTooLate(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 2})
	enqueue := func() bulkhead.Ticket {
		w, _, how := b.enqueue(world.World{}, time.Now())
		if how != enqueued {
			t.Fatalf("not in the queue: %d", how)
		}
		return w.ticket
	}
	b.TryAcquire()
	first, second := enqueue(), enqueue()
	b.Release()
	if how := b.timedOut(first); how != Acquired || b.InUse() != 1 {
		t.Errorf("ended with %d, %d in use, but the permit was granted before", how, b.InUse())
	}
	b.Release()
	if how := b.contextEnded(second); how != ContextEnded || b.InUse() != 0 {
		t.Errorf("ended with %d, %d in use, but the caller has given up", how, b.InUse())
	}
	empty(t, b)
}

// A permit that became free after TryAcquire is acquired without a wait.
func TestBulkheadAcquiresWithoutWait(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1})
	if how := b.Acquire(context.Background(), world.World{}, time.Now(), time.Time{}); how != Acquired || b.InUse() != 1 {
		t.Errorf("ended with %d, %d in use", how, b.InUse())
	}
	b.Release()
	empty(t, b)
}

func TestBulkheadReleasedTwice(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1})
	b.TryAcquire()
	b.Release()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		b.Release()
	}()
	empty(t, b) // and it goes on
	if !b.TryAcquire() || b.TryAcquire() {
		t.Error("the limit does not hold any more")
	}
}

// For the race detector, in real time: the limit holds, and all permits come back.
func TestBulkheadFromManyGoroutines(t *testing.T) {
	const permits = 3
	b := NewBulkhead(bulkhead.Config{Permits: permits, Queue: 4, MaxWait: time.Millisecond})
	var inside, ended atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for n := range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+n)%5 == 0 {
					cancel()
				}
				if acquire(ctx, b, time.Time{}) == Acquired {
					if inside.Add(1) > permits {
						t.Error("over the limit")
					}
					inside.Add(-1)
					b.Release()
				}
				cancel()
				ended.Add(1)
			}
		})
	}
	wg.Wait()
	if ended.Load() != 12*500 {
		t.Errorf("%d ended", ended.Load())
	}
	empty(t, b)
}
