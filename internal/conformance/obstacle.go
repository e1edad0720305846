package conformance

import (
	"context"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// obstacle is what stands between the client and the service, and fails while the
// service is well.
type obstacle interface {
	// build puts it before the meeting's service, and tells the meeting's setup
	// how the client gets there.
	build(m *meeting) (route, error)
	// wants returns what is expected beside the result and the requests.
	wants() []string
}

// route is how a meeting's client reaches the service.
type route interface {
	// prepare brings the client into the state in which the fault strikes.
	prepare(ctx context.Context, m *meeting, client Client) error
	// setPlan replaces the plan of the service.
	setPlan(fault.Plan) error
	// begin starts the record.
	begin()
	// before is called before each call of the rule, with its number from 0.
	before(call int)
	// record returns what the client has sent since begin.
	record() []faultserver.Attempt
	// connections returns the number of connections of the service so far.
	connections() int
	// addrs returns the addresses that the client connects to.
	addrs() []string
	// struck reports whether the client met the fault.
	struck(m *meeting) bool
	// judge returns what is wrong beside the result and the requests.
	judge(m *meeting) []string
	// heal ends the fault.
	heal() error
	close()
}

// direct is the route without an obstacle. The routes of obstacles embed it.
type direct struct{ server Server }

func (d direct) prepare(context.Context, *meeting, Client) error { return nil }
func (d direct) setPlan(p fault.Plan) error                      { return d.server.SetPlan(p) }
func (d direct) begin()                                          { d.server.Begin() }
func (d direct) before(int)                                      {}
func (d direct) record() []faultserver.Attempt                   { return d.server.Record() }
func (d direct) connections() int                                { return d.server.Connections() }
func (d direct) addrs() []string                                 { return []string{d.server.Addr()} }
func (d direct) judge(*meeting) []string                         { return nil }
func (d direct) heal() error                                     { return d.server.SetPlan(fault.Plan{}) }
func (d direct) close()                                          {}

// struck looks into the service's record. The service does not see refused
// connections.
func (d direct) struck(m *meeting) bool {
	if m.rule.Fault == fault.IDRefuse {
		return true
	}
	for _, a := range m.record {
		if a.Met(m.rule.Fault) || m.isShared(a) {
			return true
		}
	}
	return false
}

// build builds the meeting's route.
func (m *meeting) build() (route, error) {
	if m.rule.Between == nil {
		return direct{m.server}, nil
	}
	return m.rule.Between.build(m)
}
