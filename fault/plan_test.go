package fault

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

// describe returns a short form of a decision: "rule 0 #2 503 +8ms".
func describe(d Decision) string {
	var words []string
	if d.Rule >= 0 {
		words = append(words, fmt.Sprintf("rule %d #%d", d.Rule, d.N))
	}
	if f := d.Fault; f == nil {
		words = append(words, "healthy")
	} else {
		switch {
		case f.Status != 0:
			words = append(words, fmt.Sprint(f.Status))
		case f.Hang != "":
			words = append(words, "hang")
		case f.Reset != "":
			words = append(words, "reset")
		case f.Close != "":
			words = append(words, "close")
		case f.Cut != nil:
			words = append(words, "cut")
		}
		if f.Commit {
			words = append(words, "committed")
		}
	}
	if d.Delay > 0 {
		words = append(words, "+"+d.Delay.String())
	}
	return strings.Join(words, " ")
}

var (
	get  = Request{Method: "GET", Path: "/health"}
	post = Request{Method: "POST", Path: "/v1/embeddings", Header: map[string][]string{"X-Shard": {"a", "b"}}}
)

func query(name string, values ...string) Request {
	return Request{Method: "GET", Path: "/", Query: map[string][]string{name: values}}
}

// TestShardsAreFNV1a: the hash is part of the meaning of a plan.
func TestShardsAreFNV1a(t *testing.T) {
	for _, key := range []string{"", "a", "b", "tenant-17", "\xff"} {
		h := fnv.New64a()
		h.Write([]byte(key))
		if fnv1a(key) != h.Sum64() {
			t.Errorf("%q: %x, want %x", key, fnv1a(key), h.Sum64())
		}
	}
}

func TestPlanTimelines(t *testing.T) {
	type step struct {
		at   time.Duration
		req  Request
		want string
	}
	reset := Fault{Reset: BeforeAnswer}
	tests := []struct {
		name  string
		plan  Plan
		steps []step
	}{
		{"the zero plan is a healthy service", Plan{}, []step{
			{0, get, "healthy"},
			{time.Hour, post, "healthy"},
		}},
		{"a sequence fails twice, then the rule strikes no more", Plan{Rules: []Rule{
			{Fault: Fault{Statuses: []int{503, 500, 200}}},
			{Fault: reset},
		}}, []step{
			{0, get, "rule 0 #1 503"},
			{0, get, "rule 0 #2 500"},
			{0, get, "rule 0 #3 healthy"}, // 200 exempts it from later rules
			{0, get, "rule 1 #4 reset"},   // finished: the next rule applies
		}},
		{"a sequence begins with the first request that nth selects", Plan{Rules: []Rule{
			{Nth: "2-", Fault: Fault{Statuses: []int{503}}},
		}}, []step{
			{0, get, "healthy"},
			{0, get, "rule 0 #2 503"},
			{0, get, "healthy"},
		}},
		{"nth: one, a range, an open end", Plan{Rules: []Rule{
			{Nth: "2", Fault: Fault{Status: 500}},
			{Nth: "3-4", Fault: Fault{Status: 502}},
			{Nth: "6-", Fault: Fault{Status: 504}},
		}}, []step{
			{0, get, "healthy"},
			{0, get, "rule 0 #2 500"},
			{0, get, "rule 1 #3 502"}, // the rule also counts requests of earlier rules
			{0, get, "rule 1 #4 502"},
			{0, get, "healthy"},
			{0, get, "rule 2 #6 504"},
			{0, get, "rule 2 #7 504"},
		}},
		{"only requests that fit are counted", Plan{Rules: []Rule{
			{Match: Match{Method: "POST"}, Nth: "2", Fault: reset},
		}}, []step{
			{0, post, "healthy"},
			{0, get, "healthy"},
			{0, get, "healthy"},
			{0, post, "rule 0 #2 reset"},
		}},
		{"only requests within the window are counted", Plan{Rules: []Rule{
			{When: Window{1 * s, 2 * s}, Nth: "1", Fault: reset},
		}}, []step{
			{0, get, "healthy"},
			{1 * s, get, "rule 0 #1 reset"},
			{1 * s, get, "healthy"},
		}},
		{"a window holds its beginning, not its end", Plan{Rules: []Rule{
			{When: Window{5 * s, 10 * s}, Fault: reset},
		}}, []step{
			{5*s - 1, get, "healthy"},
			{5 * s, get, "rule 0 #1 reset"},
			{10*s - 1, get, "rule 0 #2 reset"},
			{10 * s, get, "healthy"},
			{7 * s, get, "rule 0 #3 reset"}, // time goes backwards
			{7 * s, get, "rule 0 #4 reset"}, // time stands still
		}},
		{"a window without an end", Plan{Rules: []Rule{
			{When: Window{From: 5 * s}, Fault: reset},
		}}, []step{
			{0, get, "healthy"},
			{1000 * time.Hour, get, "rule 0 #1 reset"},
		}},
		{"paths: exact, prefix, all", Plan{Rules: []Rule{
			{Match: Match{Path: "/v1/embeddings"}, Nth: "1", Fault: Fault{Status: 501}},
			{Match: Match{Path: "/v1/*"}, Nth: "2", Fault: Fault{Status: 502}},
			{Match: Match{Path: "/v1"}, Fault: Fault{Status: 503}},
			{Match: Match{Path: "*"}, Nth: "3", Fault: Fault{Status: 504}},
		}}, []step{
			{0, post, "rule 0 #1 501"},
			{0, post, "rule 1 #2 502"},
			{0, get, "rule 3 #3 504"},
		}},
		{"headers: any of its values, any value, any case of the name", Plan{Rules: []Rule{
			{Match: Match{Header: map[string]string{"x-shard": "b"}}, Nth: "1", Fault: Fault{Status: 501}},
			{Match: Match{Header: map[string]string{"X-Shard": "*"}}, Nth: "2", Fault: Fault{Status: 502}},
			{Match: Match{Header: map[string]string{"X-Shard": "a", "X-Other": "*"}}, Fault: Fault{Status: 503}},
		}}, []step{
			{0, get, "healthy"},
			{0, post, "rule 0 #1 501"},
			{0, post, "rule 1 #2 502"},
			{0, post, "healthy"},
		}},
		{"healthy exempts from later rules", Plan{Rules: []Rule{
			{Match: Match{Path: "/health"}, Fault: Fault{Healthy: true}},
			{Fault: reset},
		}}, []step{
			{0, get, "rule 0 #1 healthy"},
			{0, post, "rule 1 #2 reset"},
		}},
		{"pace by time, and a fault's own latency on top", Plan{
			Pace: []Pace{
				{When: Window{Until: 9 * s}, Latency: Latency{Fixed: 8 * ms}},
				{Match: Match{Method: "POST"}, Latency: Latency{Fixed: 16 * ms}},
			},
			Rules: []Rule{
				{Nth: "2", Fault: Fault{Latency: &Latency{Fixed: 100 * ms}}},
				{Nth: "3", Fault: Fault{Status: 503, Latency: &Latency{Fixed: 100 * ms}}},
				{Nth: "4", Fault: reset},
			},
		}, []step{
			{0, get, "healthy +8ms"},
			{0, get, "rule 0 #2 healthy +108ms"},
			{0, get, "rule 1 #3 503 +108ms"},
			{0, get, "rule 2 #4 reset +8ms"},
			{9 * s, get, "healthy"},
			{9 * s, post, "healthy +16ms"},
		}},
		{"flapping: one second in four, counted from the window's beginning", Plan{Rules: []Rule{
			{When: Window{From: 2 * s, Until: 11 * s}, Repeat: Repeat{4 * s, 1 * s}, Fault: reset},
		}}, []step{
			{0, get, "healthy"},
			{2 * s, get, "rule 0 #1 reset"},
			{3 * s, get, "healthy"},
			{6*s - 1, get, "healthy"},
			{6 * s, get, "rule 0 #2 reset"},
			{10*s + 999*ms, get, "rule 0 #3 reset"},
			{11 * s, get, "healthy"},
		}},
		{"a pace that flaps", Plan{Pace: []Pace{
			{Repeat: Repeat{2 * s, 1 * s}, Latency: Latency{Fixed: 9 * ms}},
			{Latency: Latency{Fixed: 1 * ms}},
		}}, []step{
			{0, get, "healthy +9ms"},
			{1 * s, get, "healthy +1ms"},
			{2 * s, get, "healthy +9ms"},
		}},
		{"parameters of the query: any of its values, any value, the exact name", Plan{Rules: []Rule{
			{Match: Match{Query: map[string]string{"a": "2"}}, Nth: "1", Fault: Fault{Status: 501}},
			{Match: Match{Query: map[string]string{"a": "*"}}, Nth: "2", Fault: Fault{Status: 502}},
			{Match: Match{Query: map[string]string{"A": "*"}}, Fault: Fault{Status: 503}},
			{Match: Match{Query: map[string]string{"a": "1", "b": "*"}}, Fault: Fault{Status: 504}},
		}}, []step{
			{0, get, "healthy"},
			{0, query("a", "1", "2"), "rule 0 #1 501"},
			{0, query("a", "1", "2"), "rule 1 #2 502"},
			{0, query("a", "1", "2"), "healthy"},
		}},
		{"one shard of many is down, always for the same keys", Plan{Rules: []Rule{
			{Match: Match{Shard: &Shard{Query: "tenant", Of: 4, Is: []int{2}}}, Fault: Fault{Status: 501}},
			{Match: Match{Shard: &Shard{Header: "x-shard", Of: 4, Is: []int{0, 1, 2, 3}}}, Fault: Fault{Status: 502}},
		}}, []step{
			{0, query("tenant", "c"), "rule 0 #1 501"}, // FNV-1a("c") mod 4 is 2
			{0, query("tenant", "a"), "healthy"},       // 0
			{0, query("tenant", "c", "a"), "rule 0 #2 501"},
			{0, query("tenant", "a", "c"), "healthy"},
			{0, query("other", "c"), "healthy"},
			{0, get, "healthy"},
			{0, post, "rule 1 #1 502"}, // has a key in its header
		}},
		{"a wait has a bound", Plan{
			Pace:  []Pace{{Latency: Latency{Fixed: MaxLatency}}},
			Rules: []Rule{{Fault: Fault{Latency: &Latency{Fixed: MaxLatency}}}},
		}, []step{
			{0, get, "rule 0 #1 healthy +1h0m0s"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := test.plan.Compile()
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range test.steps {
				if got := describe(m.Next(step.at, step.req)); got != step.want {
					t.Errorf("step %d at %s: %s, want %s", i, step.at, got, step.want)
				}
			}
		})
	}
}

// mixed uses every kind of chance except a lognormal latency, which may differ
// between processors by a nanosecond.
var mixed = Plan{
	Seed: 7,
	Pace: []Pace{{Latency: Latency{Uniform: &Uniform{8 * ms, 40 * ms}}}},
	Rules: []Rule{
		{Probability: 0.2, Fault: Fault{Status: 503}},
		{Match: Match{Method: "GET"}, Probability: 0.1, Fault: Fault{Latency: &Latency{Uniform: &Uniform{0, 90 * ms}}}},
		{Probability: 0.5, Fault: Fault{Mix: []Choice{
			{3, Fault{Reset: BeforeAnswer, Commit: true}},
			{1, Fault{Close: BeforeAnswer}},
			{6, Fault{Healthy: true}},
		}}},
	},
}

// TestChanceDoesNotDependOnConcurrency: the order of calls gives a request its
// number, but the seed alone decides which numbers are struck, and how.
func TestChanceDoesNotDependOnConcurrency(t *testing.T) {
	const requests = 10_000
	run := func(workers int) []string {
		m, err := mixed.Compile()
		if err != nil {
			t.Fatal(err)
		}
		var (
			mu   sync.Mutex
			wg   sync.WaitGroup
			seen []string
		)
		for range workers {
			wg.Go(func() {
				for {
					mu.Lock()
					if len(seen) == requests {
						mu.Unlock()
						return
					}
					seen = append(seen, describe(m.Next(0, get)))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(seen)
		return seen
	}
	serial, parallel := run(1), run(64)
	if !slices.Equal(serial, parallel) {
		t.Error("64 goroutines met different faults than one")
	}

	// The meaning of a seed is part of the format: existing plans must keep
	// their behaviour.
	h := fnv.New64a()
	for _, line := range serial {
		fmt.Fprintln(h, line)
	}
	if got, want := h.Sum64(), uint64(0x1b56479e878be95e); got != want {
		t.Errorf("seed 7 means %#x, was %#x", got, want)
	}
}

func TestChanceHitsItsShare(t *testing.T) {
	m, err := mixed.Compile()
	if err != nil {
		t.Fatal(err)
	}
	const requests = 100_000
	count := map[string]int{}
	for range requests {
		d := m.Next(0, post)
		what := "untouched"
		if d.Rule >= 0 {
			d.N, d.Delay = 0, 0
			what = describe(d)
		}
		count[what]++
	}
	// Rule 0 takes 0.2, rule 2 half of the remaining 0.8, split 3:1:6. The seed
	// is fixed, so the test is deterministic; the tolerance is five standard
	// deviations.
	for what, want := range map[string]float64{
		"rule 0 #0 503":             0.2,
		"rule 2 #0 reset committed": 0.12,
		"rule 2 #0 close":           0.04,
		"rule 2 #0 healthy":         0.24,
		"untouched":                 0.4,
	} {
		if got := float64(count[what]) / requests; got < want-0.008 || got > want+0.008 {
			t.Errorf("%s: %.4f of the requests, want %.2f", what, got, want)
		}
	}
	if len(count) != 5 {
		t.Errorf("outcomes: %v", count)
	}
}

func TestOtherSeedsHitOthers(t *testing.T) {
	hits := func(seed uint64) (hits []uint64) {
		m, err := Plan{Seed: seed, Rules: []Rule{{Probability: 0.5, Fault: Fault{Status: 500}}}}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for range 64 {
			if d := m.Next(0, get); d.Rule == 0 {
				hits = append(hits, d.N)
			}
		}
		return hits
	}
	if slices.Equal(hits(1), hits(2)) {
		t.Error("seeds 1 and 2 hit the same requests")
	}
	if !slices.Equal(hits(1), hits(1)) {
		t.Error("seed 1 hit different requests")
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	m, err := mixed.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { m.Next(0, post) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A quota tells what it has left, to admitted and to rejected requests, and to none that
// it does not count.
func TestQuotaState(t *testing.T) {
	m, err := Plan{Rules: []Rule{
		{Match: Match{Path: "/a"}, Fault: Fault{Quota: &Quota{Limit: 2, Per: 10 * time.Second}}},
		{Nth: "2-", Fault: Fault{Quota: &Quota{Limit: 9, Per: time.Hour}}}, // not the first that counts /a
		{Match: Match{Path: "/a"}, Fault: Fault{Status: 500}},
	}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at   time.Duration
		path string
		rule int
		want *QuotaState
	}{
		{0, "/b", -1, nil}, // the second rule begins with its second request
		{1 * time.Second, "/a", 2, &QuotaState{2, 1, 9 * time.Second}},              // admitted, and struck by a later rule
		{4 * time.Second, "/a", 2, &QuotaState{2, 0, 6 * time.Second}},              // the last of the period
		{9 * time.Second, "/a", 0, &QuotaState{2, 0, time.Second}},                  // rejected
		{10 * time.Second, "/a", 2, &QuotaState{2, 1, 10 * time.Second}},            // the next period
		{11 * time.Second, "/b", -1, &QuotaState{9, 5, time.Hour - 11*time.Second}}, // the second quota: three of /a were admitted to it
	} {
		d := m.Next(step.at, Request{Path: step.path})
		if d.Rule != step.rule || (d.Quota == nil) != (step.want == nil) || d.Quota != nil && *d.Quota != *step.want {
			t.Errorf("%s at %s: rule %d, %+v; want rule %d, %+v", step.path, step.at, d.Rule, d.Quota, step.rule, step.want)
		}
	}
}

func TestNeedProvider(t *testing.T) {
	plan := Plan{Rules: []Rule{
		{Fault: Fault{Status: 500}},
		{Fault: Fault{Mix: []Choice{{1, Fault{Stream: StreamCut}}, {1, Fault{Healthy: true}}, {1, Fault{API: APIOverloaded}}}}},
		{Fault: Fault{API: APIRateLimit}},
	}}
	want := []string{"rules[1].fault.mix[0].fault.stream", "rules[1].fault.mix[2].fault.api", "rules[2].fault.api"}
	if got := plan.NeedProvider(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := (&Fault{Stream: StreamPings}).EventCount(); n != 3 {
		t.Errorf("%d events by default", n)
	}
}
