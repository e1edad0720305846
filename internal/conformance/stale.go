package conformance

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// stalePool is an obstacle that makes all connections of the client's pool stale
// at once. Connections that are opened later work.
type stalePool struct{ fault relay.Fault }

const (
	// pooled is the number of connections in the pool: more than a client has
	// attempts, so that it does not get through by using up the stale ones.
	pooled = 8
	// fillTime is the time that each call takes which fills the pool. All of them
	// begin within it, so each has a connection of its own.
	fillTime = 100 * time.Millisecond
	// noticeTime is the time in which a client may notice that an idle connection
	// was closed.
	noticeTime = 250 * time.Millisecond
)

func (p stalePool) wants() []string { return []string{"at most one retry, each attempt told"} }

func (p stalePool) build(m *meeting) (route, error) {
	r, err := relay.New(m.server.Addr())
	if err != nil {
		return nil, err
	}
	m.setup.BaseURL = m.scheme() + r.Addr()
	return &staleRoute{direct{m.server}, p.fault, r}, nil
}

type staleRoute struct {
	direct
	fault relay.Fault
	relay *relay.Relay
}

// prepare fills the pool by calls that are made at once. A connection of HTTP/2
// admits only one of them, so that the pool has several. A client that opens fewer
// has an easier rule.
func (s *staleRoute) prepare(ctx context.Context, m *meeting, client Client) error {
	slow := always(fault.Fault{Latency: &fault.Latency{Fixed: fillTime}})
	if m.rule.H2 {
		slow.Connections = everyConnection(fault.ConnFault{H2: fault.MaxConcurrent1}).Connections
	}
	if err := s.setPlan(slow); err != nil {
		return err
	}
	for i := 0; i < tries && s.relay.Open() <= m.setup.Terms.Retries+1; i++ {
		var running sync.WaitGroup
		for k := range pooled {
			running.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, m.setup.Terms.Deadline)
				defer cancel()
				client.Do(ctx, newCall(&Rule{}, m.setup.BaseURL, fmt.Sprintf("/fill/%d", k)))
			})
		}
		running.Wait()
	}
	s.relay.Stale(s.fault)
	if s.fault == relay.Finish {
		settle(noticeTime, func() bool { return s.relay.Open() == 0 })
	}
	return ctx.Err()
}

// record has an entry without a path for each stale connection that the client
// has used. A stale connection of HTTP/2 may have carried more than one request.
func (s *staleRoute) record() []faultserver.Attempt {
	record := s.server.Record()
	for i := range s.relay.Used() {
		record = append(record, faultserver.Attempt{Connection: -1 - i, Method: "stale", Rule: -1})
	}
	return record
}

func (s *staleRoute) addrs() []string { return []string{s.relay.Addr()} }

// struck is true in any case: a client that has noticed the end of its connections
// does not meet the fault.
func (s *staleRoute) struck(*meeting) bool { return true }

func (s *staleRoute) judge(m *meeting) (wrong []string) {
	if !m.tells {
		return nil
	}
	sent := int64(requests(m.record))
	if most := int64(len(m.calls) + 1); m.told > most {
		wrong = append(wrong, fmt.Sprintf("%s of at most %d", count(int(m.told), "attempt"), most))
	}
	if m.told < sent || m.told > sent && !m.rule.H2 {
		wrong = append(wrong, fmt.Sprintf("tells of %s and has sent %s", count(int(m.told), "attempt"), count(int(sent), "request")))
	}
	return wrong
}

func (s *staleRoute) close() { s.relay.Close() }
