package fault

import (
	"slices"
	"time"
)

// ConnRule selects connections and says what strikes them before any request
// exists.
type ConnRule struct {
	// Name is for the reader of the plan; nothing depends on it.
	Name string `json:"name"`
	// Nth selects by number among the connections that are accepted within When,
	// as [Rule.Nth] does among requests.
	Nth string `json:"nth"`
	// When selects by time since the plan's start; zero is always. Repeat makes
	// that flap.
	When   Window `json:"when"`
	Repeat Repeat `json:"repeat"`
	// Probability, above 0 and at most 1, that a connection which is selected so
	// far is struck. Zero means 1; in JSON it is left out instead.
	Probability float64 `json:"probability" zero:"refused"`
	// Fault strikes the selected connections.
	Fault ConnFault `json:"fault"`
}

// ConnFault is one thing that goes wrong with a connection. Exactly one of
// Refuse, Hang, Close, Reset, TLS and H2 is set, or none of them beside a
// Latency, which then is the whole fault: a connection that is served late.
type ConnFault struct {
	// Refuse has nobody listen, so that connecting fails. It goes by time alone,
	// without Nth and Probability: who is refused is not seen, and so cannot be
	// counted. It comes before every other rule.
	Refuse bool `json:"refuse"`
	// Hang accepts and never answers, whatever is sent, until the caller leaves
	// or the server is closed.
	Hang bool `json:"hang"`
	// Close accepts and ends the connection with a FIN, reading nothing.
	Close bool `json:"close"`
	// Reset accepts and ends the connection with a RST, reading nothing.
	Reset bool `json:"reset"`
	// TLS strikes in the handshake; the server must speak TLS.
	TLS TLS `json:"tls"`
	// H2 strikes in the frames of HTTP/2: MaxConcurrent1 or PingSilence.
	H2 H2 `json:"h2"`
	// Latency passes before anything that the client sends is read, and before
	// the fault strikes.
	Latency *Latency `json:"latency"`
}

// ConnDecision is what befalls one connection.
type ConnDecision struct {
	// Rule is the index of the rule that took the connection, -1 if none did.
	Rule int
	// N is the connection's number among those in that rule's window, from 1; 0
	// if no rule took it.
	N uint64
	// Delay is how long the connection waits before anything else happens.
	Delay time.Duration
	// Fault strikes the connection after Delay; nil is a healthy one. It is
	// settled and shared: do not change it.
	Fault *ConnFault
	// IDs names what was applied. Shared: do not change it.
	IDs []ID
}

// NextConnection decides what befalls the connection that is accepted at now,
// counted from the plan's start.
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

// Refusing says whether nobody listens at now, and when that may change: the
// first instant after now, or 0 if it stays so. It changes nothing and may be
// called while another goroutine uses the machine.
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

// connRule is a ConnRule made ready.
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
	nth, _ := parseNth(r.Nth) // Validate has seen it
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

// actions names the fields of which a connection's fault may have one.
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
