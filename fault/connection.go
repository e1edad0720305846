package fault

import (
	"slices"
	"time"
)

// ConnRule selects connections and names the fault that strikes them before the
// first request.
type ConnRule struct {
	// Name describes the rule for readers of the plan. It has no effect.
	Name string `json:"name"`
	// Nth selects by number among the connections that are accepted within
	// When, in the form of [Rule.Nth].
	Nth string `json:"nth"`
	// When selects by time since the plan's start. Zero means always.
	When Window `json:"when"`
	// Repeat makes When periodic.
	Repeat Repeat `json:"repeat"`
	// Probability that a selected connection is struck, above 0 and at most 1.
	// Zero means 1; JSON omits the key instead.
	Probability float64 `json:"probability" zero:"refused"`
	// Fault strikes the selected connections.
	Fault ConnFault `json:"fault"`
}

// ConnFault is one fault of a connection. Exactly one of Refuse, Hang, Close,
// Reset, TLS and H2 is set. If none is set, Latency must be: the connection is
// then served late and without a fault.
type ConnFault struct {
	// Refuse closes the listener, so that connecting fails. It depends on time only,
	// without Nth and Probability, since the server does not see refused connections
	// and cannot count them. It has precedence over every other rule.
	Refuse bool `json:"refuse"`
	// Hang accepts the connection and never answers. It lasts until the client
	// leaves or the server is closed.
	Hang bool `json:"hang"`
	// Close accepts the connection and ends it with a FIN, without reading.
	Close bool `json:"close"`
	// Reset accepts the connection and ends it with a RST, without reading.
	Reset bool `json:"reset"`
	// TLS strikes in the handshake. The server must speak TLS.
	TLS TLS `json:"tls"`
	// H2 strikes in the frames of HTTP/2. It is MaxConcurrent1 or PingSilence.
	H2 H2 `json:"h2"`
	// Latency passes before the server reads from the client and before the
	// fault strikes.
	Latency *Latency `json:"latency"`
}

// ConnDecision describes what happens to one connection.
type ConnDecision struct {
	// Rule is the index of the rule that strikes the connection, or -1 for none.
	Rule int
	// N is the connection's number in that rule's window, counted from 1. It is
	// 0 if no rule strikes.
	N uint64
	// Delay is the time that the connection waits first.
	Delay time.Duration
	// Fault strikes the connection after Delay. Nil means a healthy connection.
	// It is resolved and shared: do not change it.
	Fault *ConnFault
	// IDs lists the faults that apply. It is shared: do not change it.
	IDs []ID
}

// NextConnection decides what happens to a connection that is accepted at now,
// the time since the plan's start.
func (m *Machine) NextConnection(now time.Duration) ConnDecision {
	d := ConnDecision{Rule: -1}
	for i := range m.connections {
		r := &m.connections[i]
		if r.refuses || !r.timing.holds(now) {
			continue
		}
		r.n++
		switch {
		case d.Rule >= 0, r.n < r.nth.first, r.n > r.nth.last:
			continue
		case r.probability < 1 && (draw{m.seed, i, r.n, drawConnProbability}).u() >= r.probability:
			continue
		}
		d.Rule, d.N, d.Fault, d.IDs = i, r.n, r.fault, r.ids
		d.Delay = min(r.latency.sample(draw{m.seed, i, r.n, drawConnLatency}.u()), MaxLatency)
	}
	return d
}

// Refusing reports whether the service refuses connections at now, and the
// first instant after now at which that may change. The instant is 0 if it
// never changes. Refusing changes nothing and may be called while another
// goroutine uses the machine.
func (m *Machine) Refusing(now time.Duration) (refusing bool, change time.Duration) {
	for i := range m.connections {
		r := &m.connections[i]
		if !r.refuses {
			continue
		}
		refusing = refusing || r.timing.holds(now)
		if at, ok := r.timing.change(now); ok && (change == 0 || at < change) {
			change = at
		}
	}
	return refusing, change
}

// connRule is a compiled ConnRule.
type connRule struct {
	timing      timing
	nth         span
	probability float64
	refuses     bool
	fault       *ConnFault // nil: late, but healthy
	latency     Latency
	ids         []ID
	n           uint64 // connections within timing so far
}

func compileConnRule(r ConnRule) connRule {
	nth, _ := parseNth(r.Nth) // Validate has checked it
	c := connRule{timing: timing{r.When, r.Repeat}, nth: nth, probability: r.Probability,
		refuses: r.Fault.Refuse, ids: slices.Clip(r.Fault.ids())}
	if c.probability == 0 {
		c.probability = 1
	}
	if r.Fault.Latency != nil {
		c.latency = *r.Fault.Latency
	}
	if len(r.Fault.actions()) > 0 {
		c.fault = &r.Fault
	}
	return c
}

// actions lists the fields that are set, of which a fault may have one.
func (f *ConnFault) actions() []string {
	var acts actions
	acts.add(f.Refuse, "refuse")
	acts.add(f.Hang, "hang")
	acts.add(f.Close, "close")
	acts.add(f.Reset, "reset")
	acts.add(f.TLS != "", "tls")
	acts.add(f.H2 != "", "h2")
	return acts
}

func (f *ConnFault) ids() []ID {
	var ids idList
	ids.add(f.Latency != nil, IDSlowAccept)
	ids.add(f.Refuse, IDRefuse)
	ids.add(f.Hang, IDConnHang)
	ids.add(f.Close, IDCloseOnAccept)
	ids.add(f.Reset, IDResetOnAccept)
	ids.add(f.TLS != "", ID("tls."+f.TLS))
	ids.add(f.H2 != "", ID("h2."+f.H2))
	return ids
}
