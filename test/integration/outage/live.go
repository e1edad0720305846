package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/test/rivals"
)

// The schedule and the settings of every contender.
const (
	rate      = 200 // arrivals a second: 50 callers, 4 calls a second each
	healthy   = time.Second
	failure   = 5250 * time.Millisecond
	recovery  = 1500 * time.Millisecond
	pace      = 2 * time.Millisecond // of the service, healthy or not
	threshold = 15
	openFor   = 500 * time.Millisecond
	posts     = 0.2 // share of calls; the caller gives no key
	done      = 0.1 // share of failures after the work
)

var terms = conformance.Terms{
	Retries: 3, Base: 20 * time.Millisecond, Max: 100 * time.Millisecond, Attempt: 500 * time.Millisecond,
	RetryAfter: 2 * time.Second, Answer: 1 << 20, Deadline: 4 * time.Second,
}

// schedule is the schedule of one run: the time of each call and of the outage.
type schedule struct {
	seed        uint64
	calls       []due
	begin, over time.Duration // of the outage
}

type due struct {
	at     time.Duration
	isPost bool
}

// newSchedule starts the outage at a random time within half a second, the time
// that a breaker stays open. The end of the outage then meets any phase of the
// probes.
func newSchedule(seed uint64) schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	s := schedule{seed: seed, begin: healthy + time.Duration(r.Int64N(int64(openFor)))}
	s.over = s.begin + failure
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() * float64(time.Second) / rate)
		if at > s.over+recovery {
			return s
		}
		s.calls = append(s.calls, due{at, r.Float64() < posts})
	}
}

func (s schedule) plan() fault.Plan {
	window := fault.Window{From: s.begin, Until: s.over}
	return fault.Plan{
		Seed: s.seed,
		Pace: []fault.Pace{{Latency: fault.Latency{Fixed: pace}}},
		Rules: []fault.Rule{
			{When: window, Probability: done, Fault: fault.Fault{Status: 503, Commit: true}},
			{When: window, Fault: fault.Fault{Status: 503}},
		},
	}
}

// figures are the results of one run.
type figures struct {
	Attempts    float64 `json:"attempts_per_call"` // in the outage
	Doubled     float64 `json:"effects_doubled"`
	P50         float64 `json:"p50_ms"` // of calls made during the outage
	P99         float64 `json:"p99_ms"`
	Back        float64 `json:"back_to_95_ms"` // after the outage's end
	Connections float64 `json:"connections"`
	CPU         float64 `json:"cpu_us_per_call"` // client and service together
}

// ended is the result of one call for its caller.
type ended struct {
	due  time.Duration
	took time.Duration
	ok   bool
}

// live runs one schedule with one contender.
func live(ctx context.Context, s schedule, k rivals.Kind) (figures, error) {
	server, err := faultserver.New(fault.Plan{}, faultserver.Backend(service))
	if err != nil {
		return figures{}, err
	}
	defer server.Close()
	client, err := k.New(rivals.Settings{
		Setup:     conformance.Setup{BaseURL: server.URL(), Terms: terms},
		Threshold: threshold, OpenFor: openFor, Conns: 100,
	})
	if err != nil {
		return figures{}, err
	}
	defer client.Close()
	runtime.GC() // one contender's garbage must not slow the next
	if err := server.SetPlan(s.plan()); err != nil {
		return figures{}, err
	}
	server.Begin()
	begun, cpu := time.Now(), cpuTime()
	calls, err := s.drive(ctx, begun, func(ctx context.Context, i int) bool {
		return client.Do(ctx, call(server.URL(), i, s.calls[i].isPost)).Status == http.StatusOK
	})
	if err != nil {
		return figures{}, err
	}
	f := s.sum(calls, server.Record())
	f.CPU = float64((cpuTime() - cpu).Microseconds()) / float64(len(calls))
	f.Doubled = float64(server.Effects().Duplicates)
	f.Connections = float64(server.Connections())
	return f, nil
}

// service counts the work of POSTs.
func service(r faultserver.Request) faultserver.Answer {
	a := faultserver.Answer{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"ok":true}`)}
	if r.Method == http.MethodPost {
		a.Operation = r.Path
	}
	return a
}

func call(base string, i int, isPost bool) conformance.Call {
	c := conformance.Call{Method: http.MethodGet, Path: fmt.Sprintf("/work/%d", i), Header: http.Header{}}
	if isPost {
		c.Method, c.Body = http.MethodPost, []byte(`{"some":"work"}`)
		c.Header.Set("Content-Type", "application/json")
	}
	c.URL = base + c.Path
	return c
}

// drive makes each call at its time, in a separate goroutine.
func (s schedule) drive(ctx context.Context, begun time.Time, do func(context.Context, int) bool) ([]ended, error) {
	calls := make([]ended, len(s.calls))
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, d := range s.calls {
		timer.Reset(time.Until(begun.Add(d.at)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, terms.Deadline)
			defer cancel()
			start := time.Now()
			ok := do(ctx, i)
			calls[i] = ended{d.at, time.Since(start), ok}
		})
	}
	running.Wait()
	return calls, nil
}

// back is the number of consecutive calls that must be answered at 95 %, including
// the first, for the service to be back: those of a quarter of a second.
const back = rate / 4

// sum returns the figures of the calls and the service's record.
func (s schedule) sum(calls []ended, record []faultserver.Attempt) figures {
	var f figures
	var took []time.Duration
	var after []ended
	for _, c := range calls {
		switch {
		case c.due >= s.over:
			after = append(after, c)
		case c.due >= s.begin:
			took = append(took, c.took)
		}
	}
	attempts := 0
	for _, a := range record {
		if a.At >= s.begin && a.At < s.over {
			attempts++
		}
	}
	f.Attempts = float64(attempts) / float64(len(took))
	f.P50, f.P99 = millis(quantile(took, 0.5)), millis(quantile(took, 0.99))
	f.Back = millis(recovery) // or longer
	for i := 0; i+back <= len(after); i++ {
		answered := 0
		for _, c := range after[i : i+back] {
			if c.ok {
				answered++
			}
		}
		if answered*100 >= back*95 && after[i].ok {
			f.Back = millis(after[i].due - s.over)
			break
		}
	}
	return f
}

func quantile(xs []time.Duration, q float64) time.Duration {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Sorted(slices.Values(xs))
	return xs[min(len(xs)-1, int(q*float64(len(xs))))]
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// cpuTime returns the user and system time of the process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("outage: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
