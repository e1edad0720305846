package fault

import (
	"testing"
	"time"
)

func TestLoadTimelines(t *testing.T) {
	// arrive and end are the events. The expected answer is the duration of the
	// work: 0 for a request that waits, -1 for one that is refused and for an
	// end that starts no request.
	type step struct {
		arrive bool
		end    Ticket
		work   time.Duration
		starts Ticket
	}
	arrive := func(work time.Duration) step { return step{arrive: true, work: work} }
	end := func(t Ticket) step { return step{end: t, work: -1} }
	starts := func(t, next Ticket, work time.Duration) step { return step{end: t, work: work, starts: next} }
	tests := []struct {
		name     string
		capacity Capacity
		steps    []step
	}{
		{"no limit", Capacity{}, []step{arrive(0), arrive(0), end(1), end(2)}},
		{"two workers, one place to wait", Capacity{Workers: 2, Queue: 1, ServiceTime: 20 * ms}, []step{
			arrive(20 * ms),
			arrive(20 * ms),
			arrive(0),           // 3 waits
			arrive(-1),          // refused
			starts(2, 3, 20*ms), // first come, first served
			arrive(0),           // 4 waits
			end(4),              // stops waiting
			arrive(0),           // 5 takes its place in the queue
			starts(1, 5, 20*ms),
			end(3),
			arrive(20 * ms),
			end(5), end(6),
		}},
		{"no place to wait", Capacity{Workers: 1}, []step{arrive(0), arrive(-1), end(1), arrive(0)}},
		{"slower with each in flight", Capacity{Latency: LoadLatency{Base: time.Second, PerInFlight: 10 * ms}}, []step{
			arrive(1010 * ms), arrive(1020 * ms), arrive(1030 * ms),
			end(1), // does not change the work of running requests
			arrive(1030 * ms),
		}},
		{"a waiting request is in flight too", Capacity{Workers: 1, Queue: 2, Latency: LoadLatency{PerInFlight: 10 * ms}}, []step{
			arrive(10 * ms), arrive(0), arrive(0),
			starts(1, 2, 20*ms),
			starts(2, 3, 10*ms),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := test.capacity.Load()
			tickets := Ticket(0)
			for i, step := range test.steps {
				if !step.arrive {
					next, ok := l.End(step.end)
					if ok != (step.work >= 0) || next.Ticket != step.starts || ok && next.Work != step.work {
						t.Errorf("step %d: %+v, %v", i, next, ok)
					}
					continue
				}
				a := l.Arrive()
				if (a.Ticket == 0) != (step.work < 0) || a.Ticket != 0 && a.Work != step.work {
					t.Errorf("step %d: %+v", i, a)
				}
				if a.Ticket != 0 {
					if tickets++; a.Ticket != tickets {
						t.Errorf("step %d: ticket %d, want %d", i, a.Ticket, tickets)
					}
				}
			}
		})
	}
}

func TestQuotaTimeline(t *testing.T) {
	m, err := Plan{Rules: []Rule{
		{Match: Match{Method: "POST"}, Fault: Fault{Quota: &Quota{Limit: 2, Per: 10 * s}}},
		{Nth: "5", Fault: Fault{Reset: BeforeAnswer}}, // counts admitted requests only
	}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		at    time.Duration
		req   Request
		want  string
		again time.Duration
	}{
		{1 * s, post, "healthy", 0},
		{2 * s, get, "healthy", 0}, // does not count
		{3 * s, post, "healthy", 0},
		{4 * s, post, "rule 0 #3 429", 6 * s},
		{9 * s, get, "rule 1 #5 reset", 0},
		{9500 * ms, post, "rule 0 #4 429", 500 * ms},
		{10 * s, post, "healthy", 0}, // a retry at the given time is admitted
		{35 * s, post, "healthy", 0},
		{35 * s, post, "healthy", 0},
		{35 * s, post, "rule 0 #8 429", 5 * s},
	} {
		d := m.Next(step.at, step.req)
		if got := describe(d); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
		if d.Fault != nil && d.Fault.RetryAfter != step.again {
			t.Errorf("step %d: again in %s, want %s", i, d.Fault.RetryAfter, step.again)
		}
	}
}
