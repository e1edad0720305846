package fault

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestLatencyAtItsQuantiles(t *testing.T) {
	lognormal := Latency{Lognormal: &Lognormal{50 * ms, 800 * ms}}
	tests := []struct {
		name    string
		latency Latency
		u       float64
		want    time.Duration
	}{
		{"none", Latency{}, 0.5, 0},
		{"fixed", Latency{Fixed: 8 * ms}, 0.99, 8 * ms},
		{"uniform, least", Latency{Uniform: &Uniform{10 * ms, 30 * ms}}, 0, 10 * ms},
		{"uniform, middle", Latency{Uniform: &Uniform{10 * ms, 30 * ms}}, 0.5, 20 * ms},
		{"bimodal, just fast", Latency{Bimodal: &Bimodal{10 * ms, 2 * s, 0.05}}, 0.9499, 10 * ms},
		{"bimodal, just slow", Latency{Bimodal: &Bimodal{10 * ms, 2 * s, 0.05}}, 0.9501, 2 * s},
		{"lognormal, least", lognormal, 0, 0},
		{"lognormal, median", lognormal, 0.5, 50 * ms},
		{"lognormal, p99", lognormal, 0.99, 800 * ms},
		{"lognormal, no spread", Latency{Lognormal: &Lognormal{5 * ms, 5 * ms}}, 0, 5 * ms},
		{"lognormal, cut to the bound", Latency{Lognormal: &Lognormal{ms, MaxLatency}}, math.Nextafter(1, 0), MaxLatency},
	}
	for _, test := range tests {
		got := test.latency.sample(test.u)
		if (got - test.want).Abs() > time.Microsecond {
			t.Errorf("%s: at %v %s, want %s", test.name, test.u, got, test.want)
		}
	}
}

func TestLatencyOverManyRequests(t *testing.T) {
	m, err := Plan{Seed: 1, Pace: []Pace{{Latency: Latency{Lognormal: &Lognormal{50 * ms, 800 * ms}}}}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	waits := make([]time.Duration, 100_000)
	for i := range waits {
		waits[i] = m.Next(0, get).Delay
	}
	slices.Sort(waits)
	for q, want := range map[float64]time.Duration{0.5: 50 * ms, 0.99: 800 * ms} {
		got := waits[int(q*float64(len(waits)))]
		if got < want*95/100 || got > want*105/100 {
			t.Errorf("quantile %v is %s, want about %s", q, got, want)
		}
	}
}
