// Package fault is a plan of what goes wrong: which fault strikes request n at
// a given moment, decided from a seed.
//
// A [Plan] is data, written in Go or read from JSON by [Parse]. [Plan.Compile]
// turns it into a [Machine], which answers for one request after another what
// befalls it. The machine is pure: the time since the start comes in as an
// argument, and chance is a hash of the seed, the rule and the request's number,
// so that who is hit does not depend on how many ask at once. It owns no clock,
// lock or socket; package faultserver puts it on real sockets.
//
// # Which requests a rule strikes
//
// Every rule counts the requests that fit its Match and its When, from 1, also
// those that an earlier rule takes: "nth 3" is the third such request whatever
// else the plan says. Of the rules whose Nth and Probability admit the request
// the first wins. A request that no rule takes is answered as a healthy service
// would.
//
// A connection rule counts and selects connections in the same way; those that
// refuse go by time alone.
//
// # When a request is struck
//
// A request first waits its latency: that of the plan's Pace, plus that of the
// fault. Then, without Commit, the fault strikes before the service has done
// anything. With Commit, or where the fault lies in the answer's body, the
// service does its work first and the caller does not learn of it.
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

// Limits of a plan. They are far above what a test needs and keep a plan that
// comes from outside from taking the process down.
const (
	MaxPlanBytes = 1 << 20   // of JSON, for Parse
	MaxRules     = 1000      // rules, connection rules, and entries of Pace
	MaxChoices   = 100       // choices of one mix
	MaxStatuses  = 10_000    // statuses of one sequence
	MaxBody      = 1 << 20   // bytes of a fault's body
	MaxLatency   = time.Hour // of one wait; a longer sample is cut to it
	MaxProblems  = 1000      // that one Error lists
	MaxSize      = 1 << 30   // bytes of what is too large on purpose
	MaxShards    = 1_000_000 // shards of one key
	MaxInService = 1_000_000 // workers, and places in the queue, of a capacity
)

// Plan says what a service suffers. The zero Plan is a healthy service.
type Plan struct {
	// Version of the format: 1, which is also what zero means.
	Version int `json:"version"`
	// Seed of every chance in the plan. Two servers with the same plan and the
	// same requests do the same.
	Seed uint64 `json:"seed"`
	// Pace is how long the service takes when it is well, by time and request.
	// The first entry that fits a request counts; none means no wait. It is paid
	// by every request, also by one that a fault then strikes, and a fault's own
	// latency comes on top.
	Pace []Pace `json:"pace"`
	// Connections in order: the first that admits a connection strikes it.
	Connections []ConnRule `json:"connections"`
	// Rules in order: the first that admits a request strikes it.
	Rules []Rule `json:"rules"`
	// Capacity is how much the service can do at once; nil has no limit.
	Capacity *Capacity `json:"capacity"`
}

// Pace is the healthy latency of some requests, or of all for some time.
type Pace struct {
	Match   Match   `json:"match"`
	When    Window  `json:"when"`
	Repeat  Repeat  `json:"repeat"`
	Latency Latency `json:"latency"`
}

// Decision is what befalls one request.
type Decision struct {
	// Rule is the index of the rule that took the request, -1 if none did.
	Rule int
	// N is the request's number among those that fit that rule, from 1; 0 if
	// no rule took it.
	N uint64
	// Delay is how long the request waits before anything else happens.
	Delay time.Duration
	// Fault strikes the request after Delay; nil is a healthy answer. It is
	// settled: Statuses, Mix and Latency have become the Status, the choice and
	// the Delay that fell to this request. It is shared: do not change it.
	Fault *Fault
	// IDs names what was applied, in the order in which it happens. It is empty
	// for a request that meets no fault, and shared: do not change it.
	IDs []ID
}

// Machine follows a plan request by request. Make one with [Plan.Compile]. It
// holds counts and is not safe for concurrent use: whoever shares it locks it.
type Machine struct {
	seed        uint64
	pace        []pace
	connections []connRule
	rules       []rule
	requests    uint64
}

// Compile checks the plan and makes a machine that stands at its beginning. The
// machine reads the plan's slices, maps and pointers as it goes: do not change
// what they hold. The error is an [*Error] that lists every problem.
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

// Next decides what befalls the request that arrives at now, counted from the
// plan's start. A now that stands still or runs backwards is an ordinary time:
// it changes which windows are open, nothing else.
func (m *Machine) Next(now time.Duration, req Request) Decision {
	m.requests++
	d := Decision{Rule: -1, Delay: m.paceOf(now, req)}
	for i := range m.rules {
		r := &m.rules[i]
		if !r.timing.holds(now) || !r.match.fits(req) {
			continue
		}
		// Every rule that fits counts, also behind the one that wins, so that
		// "nth" means the same wherever the rule stands.
		r.n++
		if d.Rule >= 0 {
			continue
		}
		s := r.strikes(now, m.seed, r.n)
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
