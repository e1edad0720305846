package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Requirement B13: ten thousand items during an outage. Every result is there or listed
// as missing.
func TestBatchThroughAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, fault.Plan{
			Pace:  []fault.Pace{{Latency: fault.Latency{Fixed: 100 * time.Millisecond}}},
			Rules: []fault.Rule{{When: fault.Window{From: time.Second, Until: time.Hour}, Fault: fault.Fault{Status: 503}}},
		}, holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Second}, Breaker: holdfast.BreakerConfig{FailureThreshold: 3},
		})
		items := make([]int, 10_000)
		for i := range items {
			items[i] = i
		}
		var mu sync.Mutex
		paid, rejected, late := 0, false, 0
		got, err := holdfast.Batch(t.Context(), items, holdfast.BatchOptions{}, func(ctx context.Context, chunk []int) ([]string, error) {
			mu.Lock()
			if rejected {
				late++
			}
			mu.Unlock()
			_, err := c.Post(ctx, "/embeddings", chunk)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				rejected = rejected || errors.Is(err, holdfast.ErrCircuitOpen)
				return nil, err
			}
			paid += len(chunk)
			out := make([]string, len(chunk))
			for i, n := range chunk {
				out[i] = fmt.Sprint(n)
			}
			return out, nil
		})
		is(t, err, holdfast.ErrCircuitOpen, holdfast.ErrUnavailable)
		there, missing := 0, 0
		for i, out := range got.Out {
			switch out {
			case fmt.Sprint(i):
				there++
			case "":
				missing++
			default:
				t.Errorf("item %d has %q", i, out)
			}
		}
		equal(t, "items with a result", there, paid)
		listed := 0
		for _, m := range got.Missing {
			listed += m.To - m.From
			for i := m.From; i < m.To; i++ {
				if got.Out[i] != "" {
					t.Errorf("item %d is listed as missing", i)
				}
			}
		}
		equal(t, "items listed as missing", listed, missing)
		var incomplete *holdfast.BatchError
		if !errors.As(err, &incomplete) || incomplete.Missing != missing || incomplete.Of != 10_000 {
			t.Errorf("%+v", incomplete)
		}
		if paid < 3000 || missing < 5000 {
			t.Errorf("%d paid for, %d missing: the outage was not in the middle", paid, missing)
		}
		// No chunk started once the breaker was open. Of a hundred chunks, those of the
		// first second started, and a few that opened the breaker. Three others may have
		// started while the first rejection was on its way.
		if n := len(s.Record()); n > 60 || late > 3 {
			t.Errorf("%d requests were sent, %d chunks started after a rejection", n, late)
		}
	})
}

func TestBatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		double := func(_ context.Context, chunk []int) ([]int, error) {
			time.Sleep(time.Second)
			out := make([]int, len(chunk))
			for i, n := range chunk {
				out[i] = 2 * n
			}
			return out, nil
		}
		start := time.Now()
		got, err := holdfast.Batch(t.Context(), []int{1, 2, 3, 4, 5}, holdfast.BatchOptions{ChunkSize: 2, Width: 2}, double)
		if err != nil || fmt.Sprint(got.Out) != "[2 4 6 8 10]" || got.Missing != nil {
			t.Errorf("%v, %v", got, err)
		}
		equal(t, "time taken", time.Since(start), 2*time.Second) // three chunks, two at once
		if got, err := holdfast.Batch(t.Context(), nil, holdfast.BatchOptions{}, double); err != nil || len(got.Out) != 0 {
			t.Errorf("%v, %v", got, err)
		}

		// The failure of one chunk does not affect the others.
		odd := errors.New("odd")
		got, err = holdfast.Batch(t.Context(), []int{1, 2, 3}, holdfast.BatchOptions{ChunkSize: 1}, func(ctx context.Context, chunk []int) ([]int, error) {
			switch chunk[0] {
			case 1:
				return nil, odd
			case 2:
				return double(ctx, chunk)
			}
			return nil, nil
		})
		is(t, err, odd)
		if fmt.Sprint(got.Out) != "[0 4 0]" || len(got.Missing) != 2 || got.Missing[1].Err.Error() != "the function returned 0 results for 1 items" {
			t.Errorf("%+v", got)
		}
		equal(t, "the error", err.Error(), "holdfast: batch: 2 of 3 items are missing: odd")

		// The caller cancels: Batch waits for the running chunks and starts no other.
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		got, err = holdfast.Batch(ctx, make([]int, 10), holdfast.BatchOptions{ChunkSize: 1, Width: 2}, double)
		is(t, err, holdfast.ErrCanceled, context.Canceled)
		if len(got.Missing) != 1 || got.Missing[0].From != 4 || got.Missing[0].To != 10 {
			t.Errorf("missing are %+v", got.Missing)
		}

		_, err = holdfast.Batch(t.Context(), []int{1}, holdfast.BatchOptions{ChunkSize: -1, Width: 1 << 20}, double)
		if err == nil || !strings.Contains(err.Error(), "BatchOptions.ChunkSize is -1 (Off): must be positive or zero for 100") ||
			!strings.Contains(err.Error(), "BatchOptions.Width is 1048576: must be at most 65536") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestBatchPanicAndGoexit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := 0
		func() {
			defer func() { equal(t, "recovered", recover(), any("bug")) }()
			_, _ = holdfast.Batch(t.Context(), []int{0, 1}, holdfast.BatchOptions{ChunkSize: 1}, func(_ context.Context, chunk []int) ([]int, error) {
				time.Sleep(time.Second)
				if chunk[0] == 0 {
					panic("bug")
				}
				time.Sleep(time.Second)
				ended++
				return chunk, nil
			})
		}()
		equal(t, "other chunks that had ended", ended, 1)

		got, err := holdfast.Batch(t.Context(), []int{0, 1}, holdfast.BatchOptions{ChunkSize: 1}, func(_ context.Context, chunk []int) ([]int, error) {
			if chunk[0] == 0 {
				runtime.Goexit()
			}
			return chunk, nil
		})
		if err == nil || len(got.Missing) != 1 || got.Missing[0].Err.Error() != "the function did not return" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A chunk is missing if no goroutine is left to start it.
func TestBatchWithoutWorkers(t *testing.T) {
	got, err := holdfast.Batch(t.Context(), []int{0, 1, 2}, holdfast.BatchOptions{ChunkSize: 1, Width: 1}, func(context.Context, []int) ([]int, error) {
		runtime.Goexit()
		return nil, nil
	})
	if err == nil || len(got.Missing) != 1 || got.Missing[0].From != 0 || got.Missing[0].To != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}
