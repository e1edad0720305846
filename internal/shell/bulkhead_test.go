package shell

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
)

// take takes a slot like a caller of production.
func take(ctx context.Context, b *Bulkhead, deadline time.Time) Wait {
	if b.TryTake() {
		return Taken
	}
	return b.Take(ctx, time.Now(), deadline)
}

// empty expects that nothing is left of anybody.
func empty(t *testing.T, b *Bulkhead) {
	t.Helper()
	if b.InUse() != 0 || b.Waiting() != 0 || len(b.line) != 0 || b.word.Load() != 0 {
		t.Errorf("%d in use, %d wait, %d channels, word %x", b.InUse(), b.Waiting(), len(b.line), b.word.Load())
	}
}

func TestBulkheadServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBulkhead(bulkhead.Config{Slots: 2, Queue: 10})
		take(t.Context(), b, time.Time{})
		take(t.Context(), b, time.Time{})
		var order []int
		for i := range 10 {
			go func() {
				if how := take(t.Context(), b, time.Time{}); how != Taken {
					t.Errorf("caller %d: %d", i, how)
				}
				order = append(order, i) // one at a time: see below
			}()
			synctest.Wait() // i is in line
		}
		if b.Waiting() != 10 || b.InUse() != 2 {
			t.Errorf("%d wait, %d in use", b.Waiting(), b.InUse())
		}
		if b.TryTake() || take(t.Context(), b, time.Time{}) != QueueFull {
			t.Error("the queue has a bound")
		}
		for range 10 {
			b.Give()
			synctest.Wait()
		}
		if !slices.Equal(order, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("served in the order %v", order)
		}
		b.Give()
		b.Give()
		empty(t, b)
	})
}

// A wait ends at the configuration's limit, or at the caller's deadline if that
// is earlier.
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
				b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1, MaxWait: tt.limit})
				b.TryTake()
				start, deadline := time.Now(), time.Time{}
				if tt.deadline != 0 {
					deadline = start.Add(tt.deadline)
				}
				if how := take(t.Context(), b, deadline); how != TooLong || time.Since(start) != tt.want {
					t.Errorf("ended with %d after %v, want %v", how, time.Since(start), tt.want)
				}
				b.Give()
				empty(t, b)
			})
		})
	}
}

// A wait without a limit ends with a slot.
func TestBulkheadWaitsAsLongAsItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1})
		b.TryTake()
		time.AfterFunc(24*time.Hour, b.Give)
		if how := take(t.Context(), b, time.Time{}); how != Taken {
			t.Errorf("ended with %d", how)
		}
		b.Give()
		empty(t, b)
	})
}

// A8: a cancelled waiter leaves no trace, wherever it stands in line.
func TestBulkheadCancelledWaiter(t *testing.T) {
	for leaver := range 3 {
		t.Run(fmt.Sprint(leaver), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 3})
				b.TryTake()
				var cancels [3]context.CancelFunc
				var order []int
				for i := range 3 {
					ctx, cancel := context.WithCancel(t.Context())
					cancels[i] = cancel
					go func() {
						switch how := take(ctx, b, time.Time{}); {
						case i == leaver && how != ContextEnded, i != leaver && how != Taken:
							t.Errorf("caller %d ended with %d", i, how)
						case how == Taken:
							order = append(order, i)
							b.Give()
						}
					}()
					synctest.Wait()
				}
				cancels[leaver]()
				synctest.Wait()
				if b.Waiting() != 2 {
					t.Errorf("%d wait", b.Waiting())
				}
				b.Give()
				synctest.Wait()
				if want := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == leaver }); !slices.Equal(order, want) {
					t.Errorf("served %v, want %v", order, want)
				}
				empty(t, b)
			})
		})
	}
}

// The slot comes in the very moment in which the wait ends. Whichever of the two
// the caller sees, the slot is with somebody or back.
func TestBulkheadServedInTheSameMoment(t *testing.T) {
	seen := map[Wait]int{}
	for _, end := range []string{"limit", "cancel"} {
		for range 200 { // select chooses by chance
			synctest.Test(t, func(t *testing.T) {
				b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1})
				b.TryTake()
				ctx, deadline := t.Context(), time.Now().Add(time.Second)
				if end == "cancel" {
					ctx, deadline = withTimeout(t, time.Second), time.Time{}
				}
				time.AfterFunc(time.Second, b.Give)
				how := take(ctx, b, deadline)
				seen[how]++
				synctest.Wait()
				if held := how == Taken; held != (b.InUse() == 1) {
					t.Fatalf("%s: ended with %d, %d in use", end, how, b.InUse())
				}
				if how == Taken {
					b.Give()
				}
				empty(t, b)
			})
		}
	}
	if seen[Taken] == 0 || seen[ContextEnded] == 0 {
		t.Errorf("ended only so: %v", seen)
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// The two that lose the race for the line: served before they could leave it.
func TestBulkheadLeavesTooLate(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 2})
	line := func() bulkhead.Ticket {
		ticket, _, how := b.join(time.Now(), make(chan struct{}, 1))
		if how != joined {
			t.Fatalf("not in line: %d", how)
		}
		return ticket
	}
	b.TryTake()
	first, second := line(), line()
	b.Give()
	if how := b.tooLong(first); how != Taken || b.InUse() != 1 {
		t.Errorf("ended with %d, %d in use: the slot is the caller's", how, b.InUse())
	}
	b.Give()
	if how := b.unwanted(second); how != ContextEnded || b.InUse() != 0 {
		t.Errorf("ended with %d, %d in use: nobody wants the slot", how, b.InUse())
	}
	empty(t, b)
}

// A slot that came free between the look and the line is taken at once.
func TestBulkheadTakesWhatCameFree(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1})
	if how := b.Take(context.Background(), time.Now(), time.Time{}); how != Taken || b.InUse() != 1 {
		t.Errorf("ended with %d, %d in use", how, b.InUse())
	}
	b.Give()
	empty(t, b)
}

func TestBulkheadReleasedTwice(t *testing.T) {
	b := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1})
	b.TryTake()
	b.Give()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		b.Give()
	}()
	empty(t, b) // and it goes on
	if !b.TryTake() || b.TryTake() {
		t.Error("the limit no longer holds")
	}
}

// Without a bubble, for the race detector: the limit holds, and all comes back.
func TestBulkheadFromManyGoroutines(t *testing.T) {
	const slots = 3
	b := NewBulkhead(bulkhead.Config{Slots: slots, Queue: 4, MaxWait: time.Millisecond})
	var inside, ended atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for n := range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+n)%5 == 0 {
					cancel()
				}
				if take(ctx, b, time.Time{}) == Taken {
					if inside.Add(1) > slots {
						t.Error("over the limit")
					}
					inside.Add(-1)
					b.Give()
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
