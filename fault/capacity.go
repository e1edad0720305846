package fault

import (
	"slices"
	"time"
)

// Capacity limits how much a service does at once. The zero value has no limit
// and adds no time. Requests that a fault answers before the work do not count.
type Capacity struct {
	// Workers is the number of requests that are worked on at once. Zero means
	// no limit.
	Workers int `json:"workers"`
	// Queue is the number of requests that may wait for a worker, first come, first
	// served. A request beyond that is answered with 503. Zero means no queue.
	Queue int `json:"queue"`
	// ServiceTime is the duration of the work for one request.
	ServiceTime time.Duration `json:"service_time"`
	// Latency is added under load.
	Latency LoadLatency `json:"latency"`
	// Abandoned decides about work after its caller has left. Empty means finished.
	Abandoned Abandoned `json:"abandoned"`
}

// LoadLatency grows with the number of requests in flight. It models the cost
// of coordination, which makes an overloaded service collapse.
type LoadLatency struct {
	Base time.Duration `json:"base"`
	// PerInFlight is added once for each request that is admitted and not
	// answered when the work begins, including this request.
	PerInFlight time.Duration `json:"per_in_flight"`
}

// Load tracks the requests of a Capacity. The zero value has no limit.
// [Capacity.Load] makes one for a Capacity. It is not safe for concurrent use.
type Load struct {
	capacity Capacity
	last     Ticket
	working  int
	queue    []Ticket
}

// Ticket identifies a request in a [Load].
type Ticket uint64

// Admission is the answer of [Load.Arrive].
type Admission struct {
	// Ticket is the argument of [Load.End], which must be called once. Zero
	// means that the request is refused.
	Ticket Ticket
	// Waits is true if no worker is free. The End of another request starts
	// this request.
	Waits bool
	// Work is the duration of the work from now on. It is zero if the request waits.
	Work time.Duration
}

// Start is a request that has waited and starts its work now.
type Start struct {
	Ticket Ticket
	Work   time.Duration
}

// Load returns a Load without requests.
func (c Capacity) Load() *Load { return &Load{capacity: c} }

// Arrive admits a request, queues it or refuses it.
func (l *Load) Arrive() Admission {
	c := &l.capacity
	full := c.Workers > 0 && l.working >= c.Workers
	if full && len(l.queue) >= c.Queue {
		return Admission{}
	}
	l.last++
	if full {
		l.queue = append(l.queue, l.last)
		return Admission{Ticket: l.last, Waits: true}
	}
	l.working++
	return Admission{Ticket: l.last, Work: l.work()}
}

// End removes a request: its work is done or dropped, or it stops waiting. It
// returns the request that starts instead, if there is one.
func (l *Load) End(t Ticket) (Start, bool) {
	if i := slices.Index(l.queue, t); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		return Start{}, false
	}
	if len(l.queue) == 0 {
		l.working--
		return Start{}, false
	}
	next := l.queue[0]
	l.queue = l.queue[1:]
	return Start{next, l.work()}, true
}

// InFlight returns the number of requests that are admitted and have not ended.
func (l *Load) InFlight() int { return l.working + len(l.queue) }

// work returns the duration of a request that starts now. The request itself is
// already counted.
func (l *Load) work() time.Duration {
	c := &l.capacity
	return min(c.ServiceTime+c.Latency.Base+time.Duration(l.InFlight())*c.Latency.PerInFlight, MaxLatency)
}
