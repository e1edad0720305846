package fault

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestConnectionTimelines(t *testing.T) {
	type step struct {
		at   time.Duration
		want string
	}
	describe := func(d ConnDecision) string {
		if d.Rule < 0 {
			return "healthy"
		}
		return fmt.Sprint("rule ", d.Rule, " #", d.N, " ", d.IDs, " +", d.Delay)
	}
	reset, hang := ConnFault{Reset: true}, ConnFault{Hang: true}
	tests := []struct {
		name  string
		rules []ConnRule
		steps []step
	}{
		{"none", nil, []step{{0, "healthy"}, {time.Hour, "healthy"}}},
		{"first match wins, and every rule counts", []ConnRule{
			{Nth: "2", Fault: reset},
			{Nth: "2-3", Fault: hang},
		}, []step{
			{0, "healthy"},
			{0, "rule 0 #2 [conn.rst_on_accept] +0s"},
			{0, "rule 1 #3 [conn.hang] +0s"},
			{0, "healthy"},
		}},
		{"only those within the window count", []ConnRule{
			{When: Window{1 * s, 2 * s}, Nth: "1", Fault: reset},
		}, []step{
			{0, "healthy"},
			{1 * s, "rule 0 #1 [conn.rst_on_accept] +0s"},
			{1 * s, "healthy"},
		}},
		{"a rule that refuses counts no connections", []ConnRule{
			{Fault: ConnFault{Refuse: true}},
			{Nth: "1", Fault: reset},
		}, []step{
			{0, "rule 1 #1 [conn.rst_on_accept] +0s"}, // possible at the start of a window
			{0, "healthy"},
		}},
		{"late, and late and then struck", []ConnRule{
			{Nth: "1", Fault: ConnFault{Latency: &Latency{Fixed: s}}},
			{Fault: ConnFault{Close: true, Latency: &Latency{Fixed: 2 * s}}},
		}, []step{
			{0, "rule 0 #1 [conn.slow_accept] +1s"},
			{0, "rule 1 #2 [conn.slow_accept conn.fin_on_accept] +2s"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := Plan{Connections: test.rules}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range test.steps {
				if got := describe(m.NextConnection(step.at)); got != step.want {
					t.Errorf("step %d at %s: %s, want %s", i, step.at, got, step.want)
				}
			}
		})
	}
}

func TestConnectionsByChance(t *testing.T) {
	hits := func(seed uint64) (hits []uint64) {
		m, err := Plan{Seed: seed, Connections: []ConnRule{{Probability: 0.25, Fault: ConnFault{Reset: true}}}}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			if d := m.NextConnection(0); d.Rule == 0 {
				hits = append(hits, d.N)
			}
		}
		return hits
	}
	one := hits(1)
	if share := float64(len(one)) / 10_000; share < 0.23 || share > 0.27 {
		t.Errorf("%v of the connections", share)
	}
	if !slices.Equal(one, hits(1)) || slices.Equal(one, hits(2)) {
		t.Error("the seed alone must decide which connections are hit")
	}
}

func TestRefusing(t *testing.T) {
	m, err := Plan{Connections: []ConnRule{
		{When: Window{1 * s, 3 * s}, Fault: ConnFault{Refuse: true}},
		{Fault: ConnFault{Hang: true}}, // has no effect on refusing
		{When: Window{10 * s, 13 * s}, Repeat: Repeat{2 * s, 500 * ms}, Fault: ConnFault{Refuse: true}},
	}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at       time.Duration
		refusing bool
		change   time.Duration
	}{
		{0, false, 1 * s},
		{1 * s, true, 3 * s},
		{3 * s, false, 10 * s},
		{10 * s, true, 10500 * ms},
		{10500 * ms, false, 12 * s},
		{12 * s, true, 12500 * ms},
		{12500 * ms, false, 13 * s}, // the window's end counts as a change although refusing stays false
		{13 * s, false, 0},
		{-1 * s, false, 1 * s},
	} {
		if refusing, change := m.Refusing(step.at); refusing != step.refusing || change != step.change {
			t.Errorf("at %s: %v until %s, want %v until %s", step.at, refusing, change, step.refusing, step.change)
		}
	}
}

// TestChangesAreComplete: refusing stays the same between two changes.
func TestChangesAreComplete(t *testing.T) {
	for _, timing := range []timing{
		{when: Window{}},
		{when: Window{From: 7}},
		{when: Window{From: 7, Until: 40}},
		{when: Window{From: 3, Until: 41}, repeat: Repeat{10, 4}},
		{when: Window{From: 5}, repeat: Repeat{10, 9}},
	} {
		at, sure := time.Duration(0), true
		for at < 100 {
			next, ok := timing.change(at)
			if !ok {
				next, sure = 100, false
			}
			if next <= at {
				t.Fatalf("%+v: after %d comes %d", timing, at, next)
			}
			for now := at; now < next; now++ {
				if timing.holds(now) != timing.holds(at) {
					t.Errorf("%+v changes at %d, not foreseen at %d", timing, now, at)
				}
			}
			at = next
			if !sure {
				break
			}
		}
	}
}
