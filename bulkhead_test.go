package holdfast_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

func TestBulkhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{Name: "gate", MaxConcurrent: 2, MaxQueue: 10, MaxWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		one, _ := b.Acquire(t.Context())
		two, ok := b.TryAcquire()
		if !ok {
			t.Fatal("no second permit")
		}
		if _, ok := b.TryAcquire(); ok {
			t.Error("a third permit of two")
		}
		// The waiting callers get their permits in order.
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 3 {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				_ = b.Do(t.Context(), func(context.Context) error {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					return nil
				})
			})
		}
		time.Sleep(time.Millisecond)
		equal(t, "waiting", b.Waiting(), 3)
		one.Release()
		wg.Wait()
		for i, got := range order {
			equal(t, "served", got, i)
		}
		// MaxWait bounds the wait.
		three, _ := b.Acquire(t.Context())
		start := time.Now()
		_, err = b.Acquire(t.Context())
		is(t, err, holdfast.ErrPoolTimeout)
		equal(t, "wait", time.Since(start), time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		err = b.Do(ctx, func(context.Context) error { t.Error("called without a permit"); return nil })
		is(t, err, holdfast.ErrCanceled)
		two.Release()
		three.Release()
		holdfast.BulkheadPermit{}.Release()
		equal(t, "in use", b.InUse(), 0)
		equal(t, "waiting", b.Waiting(), 0)
		defer func() {
			if recover() == nil {
				t.Error("a second Release does not panic")
			}
		}()
		three.Release()
	})
}
