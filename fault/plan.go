// Package fault describes faults of a service. A plan decides, from a seed, which
// fault strikes request n at a given time.
//
// A [Plan] is data, written in Go or read from JSON by [Parse]. [Plan.Compile]
// makes a [Machine] of it, which decides for each request what happens to it.
// The machine is pure: the time since the start is an argument, and chance is a
// hash of the seed, the rule and the request's number, so that concurrency does
// not change which requests are struck. It uses no clock, lock or socket.
// Package faultserver runs it on real sockets.
//
// # Which requests a rule strikes
//
// Every rule counts the requests that fit its Match and its When, from 1, including
// those that an earlier rule strikes: "nth 3" is the third such request whatever
// else the plan contains. The first rule with a matching Nth and Probability
// strikes. A request that no rule strikes gets a healthy answer.
//
// A connection rule counts and selects connections in the same way. Rules with
// Refuse depend on time only.
//
// # When a request is struck
//
// A request first waits for the latency of the plan's Pace plus the latency of
// the fault. Then, without Commit, the fault strikes before the service has
// done anything. With Commit, or with a fault within the answer's body, the
// service does its work first and the caller does not learn about it.
//
// # A plan in JSON
//
//	{
//	  "version": 1, "seed": 7,
//	  "pace": [
//	    {"when": {"until": "9s"}, "latency": {"fixed": "8ms"}},
//	    {"latency": {"lognormal": {"median": "16ms", "p99": "80ms"}}}
//	  ],
//	  "connections": [
//	    {"when": {"from": "1s"}, "repeat": {"every": "20s", "for": "500ms"}, "fault": {"refuse": true}},
//	    {"nth": "3", "fault": {"reset": true}}
//	  ],
//	  "rules": [
//	    {"match": {"path": "/v1/*"}, "nth": "1-2", "fault": {"status": 503, "retry_after": "2s"}},
//	    {"when": {"from": "3s", "until": "6s"}, "probability": 0.2, "fault": {"status": 503}},
//	    {"when": {"from": "6s", "until": "9s"}, "fault": {"mix": [
//	      {"weight": 1, "fault": {"reset": "before_answer"}},
//	      {"weight": 1, "fault": {"reset": "before_answer", "commit": true}}
//	    ]}},
//	    {"match": {"method": "POST", "header": {"X-Shard": "b"}}, "fault": {"cut": {"after": 100, "by": "rst"}}},
//	    {"match": {"shard": {"query": "tenant", "of": 8, "is": [3]}}, "fault": {"h1": "garbage"}},
//	    {"nth": "500-", "fault": {"statuses": [500, 500, 200]}}
//	  ],
//	  "capacity": {"workers": 8, "queue": 64, "service_time": "20ms", "latency": {"per_in_flight": "2ms"}}
//	}
package fault

import "time"

// Limits of a plan. They are far above the needs of a test and protect the
// process from plans of unknown origin.
const (
	MaxPlanBytes = 1 << 20   // of JSON, for Parse
	MaxRules     = 1000      // rules, connection rules, and entries of Pace
	MaxChoices   = 100       // choices of one mix
	MaxStatuses  = 10_000    // statuses of one sequence
	MaxBody      = 1 << 20   // bytes of a fault's body
	MaxLatency   = time.Hour // of one wait; longer samples are cut to it
	MaxProblems  = 1000      // in one Error
	MaxSize      = 1 << 30   // bytes of a fault's Size
	MaxShards    = 1_000_000 // shards of one key
	MaxInService = 1_000_000 // workers and queue of a capacity
)

// Plan lists the faults of a service. The zero Plan is a healthy service.
type Plan struct {
	// Version of the format: 1. Zero means 1.
	Version int `json:"version"`
	// Seed of all random choices. Two servers with the same plan and the same
	// requests behave the same.
	Seed uint64 `json:"seed"`
	// As is the provider that the server answers like. Empty means none: the faults
	// API and Stream then need a server that has one.
	As Provider `json:"as"`
	// Pace is the service's own latency, by time and request. The first entry that
	// fits a request applies; without one there is no wait. It also applies to
	// requests that a fault strikes, in addition to the fault's latency.
	Pace []Pace `json:"pace"`
	// Connections are the rules for connections. The first that selects a
	// connection strikes it.
	Connections []ConnRule `json:"connections"`
	// Rules are the rules for requests. The first that selects a request strikes it.
	Rules []Rule `json:"rules"`
	// Capacity limits how much the service does at once. Nil means no limit.
	Capacity *Capacity `json:"capacity"`
}

// Pace is the healthy latency of some requests or some time.
type Pace struct {
	Match   Match   `json:"match"`
	When    Window  `json:"when"`
	Repeat  Repeat  `json:"repeat"`
	Latency Latency `json:"latency"`
}

// Decision describes what happens to one request.
type Decision struct {
	// Rule is the index of the rule that strikes the request, or -1 for none.
	Rule int
	// N is the request's number among those that fit that rule, counted from 1.
	// It is 0 if no rule strikes.
	N uint64
	// Delay is the time that the request waits first.
	Delay time.Duration
	// Fault strikes the request after Delay. Nil means a healthy answer. It is
	// resolved: Statuses, Mix and Latency are replaced by the Status, the
	// choice and the Delay of this request. It is shared: do not change it.
	Fault *Fault
	// IDs lists the faults that apply, in order of time. It is empty for a
	// request without a fault, and shared: do not change it.
	IDs []ID
	// Quota is the state of the first quota that counted the request. Nil: none did.
	Quota *QuotaState
}

// Machine applies a plan to one request after another. [Plan.Compile] makes
// one. It counts requests and is not safe for concurrent use.
type Machine struct {
	seed        uint64
	pace        []pace
	connections []connRule
	rules       []rule
	requests    uint64
}

// Compile validates the plan and returns a machine at its start. The machine
// keeps the plan's slices, maps and pointers: do not change their contents. The
// error is an [*Error] with every problem.
func (p Plan) Compile() (*Machine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{seed: p.Seed}
	for _, entry := range p.Pace {
		m.pace = append(m.pace, pace{entry.Match, timing{entry.When, entry.Repeat}, entry.Latency})
	}
	for _, r := range p.Connections {
		m.connections = append(m.connections, compileConnRule(r))
	}
	for i, r := range p.Rules {
		m.rules = append(m.rules, compileRule(i, r))
	}
	return m, nil
}

// Next decides what happens to a request that arrives at now, the time since
// the plan's start. Now may repeat or go backwards: it only selects which
// windows are open.
func (m *Machine) Next(now time.Duration, req Request) Decision {
	m.requests++
	d := Decision{Rule: -1, Delay: m.paceOf(now, req)}
	for i := range m.rules {
		r := &m.rules[i]
		if !r.timing.holds(now) || !r.match.fits(req) {
			continue
		}
		// Every rule that fits counts, including those after the rule that
		// strikes, so that "nth" does not depend on the order of rules.
		r.n++
		if d.Rule >= 0 {
			continue
		}
		s, quota := r.strikes(now, m.seed, r.n)
		if d.Quota == nil {
			d.Quota = quota
		}
		if s == nil {
			continue
		}
		d.Rule, d.N, d.Fault, d.IDs = i, r.n, s.fault, s.ids
		d.Delay = min(d.Delay+s.latency.sample(draw{m.seed, i, r.n, drawLatency}.u()), MaxLatency)
	}
	return d
}

func (m *Machine) paceOf(now time.Duration, req Request) time.Duration {
	for i := range m.pace {
		p := &m.pace[i]
		if p.timing.holds(now) && p.match.fits(req) {
			return p.latency.sample(draw{m.seed, i, m.requests, drawPace}.u())
		}
	}
	return 0
}

type pace struct {
	match   Match
	timing  timing
	latency Latency
}
