package demo

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
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

// A phase tells which of its calls it did not have to itself.
func TestSummary(t *testing.T) {
	var all tally
	all.phases[0].until, all.phases[0].expected = time.Second, 4
	for _, c := range []struct {
		due, began, ended time.Duration
		result            result
		want              string // after it
	}{
		{0, lateStart, 30 * time.Millisecond, answered, "1 of 4 calls answered"},
		{0, lateStart + 1, 30 * time.Millisecond, answered, "2 of 4 calls answered, 1 late start"},
		{time.Second, time.Second, time.Second, failed, "2 of 4 calls answered, 1 late start"},
		{time.Second, time.Second, time.Second + 1, failed, "2 of 4 calls answered, 1 ended in the next phase, 1 late start"},
	} {
		all.end(&call{due: c.due, began: c.began, ended: c.ended}, c.result)
		if got := all.phases[0].summary(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// The loop repeats what may pass.
func TestLoop(t *testing.T) {
	for _, tt := range []struct {
		fault    fault.Fault
		retries  int
		attempts int
		want     result
	}{
		{fault.Fault{Status: 503}, maxRetries, 3, answered},
		{fault.Fault{Status: 429}, maxRetries, 3, answered},
		{fault.Fault{Reset: fault.BeforeAnswer}, maxRetries, 3, answered},
		{fault.Fault{Status: 422}, maxRetries, 1, failed},
		{fault.Fault{Status: 503}, 1, 2, failed},
		{fault.Fault{Status: 503}, 0, 1, failed},
	} {
		server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "1-2", Fault: tt.fault}}}, faultserver.Backend(faultserver.Embeddings))
		d := comparison{script: newScript(3 * time.Second), due: []time.Duration{0}}
		var out bytes.Buffer
		m, err := runPlain(t.Context(), d, server, newTimeline(&out, term.Terminal{}, d), tt.retries)
		if err != nil || len(m.record) != tt.attempts || m.calls[0].result != tt.want {
			t.Errorf("%+v with %d retries: %d attempts, result %v, %v; want %d, %v", tt.fault, tt.retries, len(m.record), m.calls[0].result, err, tt.attempts, tt.want)
		}
	}
}
