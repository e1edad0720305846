package main

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// What the service is like.
const (
	usual      = 8 * time.Millisecond // what an answer takes
	slow       = 2 * usual            // while it recovers
	flakiness  = 0.2                  // of the answers are a 503 while it is flaky
	retryAfter = time.Second          // what it asks for when it is throttled
)

// script is the bad quarter of a minute: five phases, which all shrink or grow
// with its length.
type script struct {
	length time.Duration
	phases []phase
	// openFor is the breaker's: 500 ms of the usual 15 s.
	openFor time.Duration
	// refusing is how long every request is answered with a 429. It is shorter
	// than what those ask for, so that whoever obeys loses nothing.
	refusing fault.Window
}

type phase struct {
	name, text string
	fault.Window
}

// usualLength is what the times of a script are given for.
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
	s.refusing = fault.Window{From: s.throttled().From, Until: s.throttled().From + at(700*time.Millisecond)}
	return s
}

func (s script) flaky() phase { return s.phases[1] }

func (s script) outage() phase { return s.phases[2] }

func (s script) recovery() phase { return s.phases[3] }

func (s script) throttled() phase { return s.phases[4] }

// at gives the phase that an instant lies in.
func (s script) at(instant time.Duration) int {
	for i, p := range s.phases {
		if in(p.Window, instant) {
			return i
		}
	}
	return len(s.phases) - 1
}

// plan is the script as the fault server reads it.
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
			{Name: "throttled", When: s.refusing, Fault: fault.Fault{Status: 429, RetryAfter: retryAfter}},
		},
	}
}

// in says whether an instant lies in a window.
func in(w fault.Window, at time.Duration) bool { return at >= w.From && at < w.Until }
