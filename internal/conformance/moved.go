package conformance

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// movedName is an obstacle that gives the service's name another address after some
// calls. The service at the old address stays up, as one that is being drained does.
type movedName struct {
	after int // calls
	last  int // number of calls at the end that must arrive at the new address
}

func (n movedName) wants() []string {
	return []string{fmt.Sprintf("the last %d at the new address", n.last)}
}

func (n movedName) build(m *meeting) (route, error) {
	next, err := m.start(m.rule, &m.witness)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(m.server.Addr())
	if err != nil {
		return nil, err
	}
	r := &movedRoute{direct{m.server}, n, next, atomic.Pointer[string]{}}
	r.moveTo(m.server)
	m.setup.BaseURL = m.scheme() + net.JoinHostPort("localhost", port)
	m.setup.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, *r.addr.Load())
	}
	if cert := next.Certificate(); cert != nil {
		m.setup.Roots.AddCert(cert)
	}
	return r, nil
}

type movedRoute struct {
	direct
	movedName
	next Server
	addr atomic.Pointer[string] // that the name has now
}

func (r *movedRoute) moveTo(s Server) {
	addr := s.Addr()
	r.addr.Store(&addr)
}

func (r *movedRoute) setPlan(p fault.Plan) error {
	if err := r.next.SetPlan(p); err != nil {
		return err
	}
	return r.server.SetPlan(p)
}

func (r *movedRoute) begin() {
	r.server.Begin()
	r.next.Begin()
}

func (r *movedRoute) before(call int) {
	if call == r.after {
		r.moveTo(r.next)
	}
}

func (r *movedRoute) record() []faultserver.Attempt {
	record := r.server.Record()
	for _, a := range r.next.Record() {
		a.Connection += r.server.Connections()
		record = append(record, a)
	}
	return record
}

func (r *movedRoute) connections() int       { return r.server.Connections() + r.next.Connections() }
func (r *movedRoute) addrs() []string        { return []string{r.server.Addr(), r.next.Addr()} }
func (r *movedRoute) struck(m *meeting) bool { return len(m.calls) > r.after }
func (r *movedRoute) heal() error            { return r.setPlan(fault.Plan{}) }
func (r *movedRoute) close()                 { r.next.Close() }

func (r *movedRoute) judge(m *meeting) []string {
	late := map[string]bool{}
	for _, c := range m.calls[len(m.calls)-r.last:] {
		path, _, _ := strings.Cut(c.Path, "?")
		late[path] = true
	}
	n := 0
	for _, a := range r.server.Record() {
		path, _, _ := strings.Cut(a.Path, "?")
		if late[path] {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of the last %s at the old address", n, count(r.last, "request"))}
}
