package demo

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// The behaviour of the service.
const (
	usual      = 8 * time.Millisecond // for an answer
	slow       = 2 * usual            // for an answer during the recovery
	flakiness  = 0.2                  // share of 503 in the flaky phase
	retryAfter = time.Second          // in the throttled phase
)

// script is the sequence of phases. All times are scaled to its length.
type script struct {
	length time.Duration
	phases []phase
	// openFor is the open time of the breaker: 500 ms of the usual 15 s.
	openFor time.Duration
	// throttling is when every request is answered with a 429. It is shorter than the
	// Retry-After of these answers, so that a client that waits loses no call.
	throttling fault.Window
}

type phase struct {
	name, text string
	fault.Window
}

// usualLength is the length for which the times in newScript are given.
const usualLength = 15 * time.Second

func newScript(length time.Duration) script {
	at := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(length) / float64(usualLength))
	}
	s := script{
		length:  length,
		openFor: at(500 * time.Millisecond),
		phases: []phase{
			{name: "healthy", text: "answers in 8 ms"},
			{name: "flaky", text: "one answer in five is a 503"},
			{name: "outage", text: "resets, half of them after the work was done"},
			{name: "recovery", text: "the service is back, at twice its usual latency"},
			{name: "throttled", text: "429, Retry-After 1 s"},
		},
	}
	begins := []time.Duration{0, 3 * time.Second, 6 * time.Second, 10 * time.Second, 12 * time.Second, usualLength}
	for i := range s.phases {
		s.phases[i].Window = fault.Window{From: at(begins[i]), Until: at(begins[i+1])}
	}
	s.throttling = fault.Window{From: s.throttled().From, Until: s.throttled().From + at(700*time.Millisecond)}
	return s
}

func (s script) flaky() phase     { return s.phases[1] }
func (s script) outage() phase    { return s.phases[2] }
func (s script) recovery() phase  { return s.phases[3] }
func (s script) throttled() phase { return s.phases[4] }

// at is the phase of an instant.
func (s script) at(instant time.Duration) int {
	for i, p := range s.phases {
		if inWindow(p.Window, instant) {
			return i
		}
	}
	return len(s.phases) - 1
}

// plan is the script as a plan of the fault server.
func (s script) plan(seed uint64) fault.Plan {
	reset := fault.Fault{Reset: fault.BeforeAnswer}
	resetAfterWork := fault.Fault{Reset: fault.BeforeAnswer, Commit: true}
	return fault.Plan{
		Seed: seed,
		Pace: []fault.Pace{
			{When: s.recovery().Window, Latency: fault.Latency{Fixed: slow}},
			{Latency: fault.Latency{Fixed: usual}},
		},
		Rules: []fault.Rule{
			{Name: "flaky", When: s.flaky().Window, Probability: flakiness, Fault: fault.Fault{Status: 503}},
			{Name: "outage", When: s.outage().Window, Fault: fault.Fault{Mix: []fault.Choice{
				{Weight: 1, Fault: reset}, {Weight: 1, Fault: resetAfterWork},
			}}},
			{Name: "throttled", When: s.throttling, Fault: fault.Fault{Status: 429, RetryAfter: retryAfter}},
		},
	}
}

// inWindow reports whether an instant is in a window.
func inWindow(w fault.Window, at time.Duration) bool { return at >= w.From && at < w.Until }
