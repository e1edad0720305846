package fault

import (
	"slices"
	"time"
)

// Capacity is how much a service can do at once. Its zero value has no limit
// and takes no time. Only requests that reach the service count: those that
// meet no fault, or one that strikes after the work.
type Capacity struct {
	// Workers is how many requests are worked on at once; 0 is without bound.
	Workers int `json:"workers"`
	// Queue is how many more may wait for a worker, first come, first served. A
	// request beyond that is answered with 503. Zero lets none wait.
	Queue int `json:"queue"`
	// ServiceTime is how long the work for one request takes, and Latency how
	// much longer under load.
	ServiceTime time.Duration `json:"service_time"`
	Latency     LoadLatency   `json:"latency"`
	// Abandoned is what becomes of work whose caller has left. Empty means that
	// it is finished.
	Abandoned Abandoned `json:"abandoned"`
}

// LoadLatency grows with the number of requests in flight: what coordination
// costs, and how a service collapses when it is overloaded.
type LoadLatency struct {
	Base time.Duration `json:"base"`
	// PerInFlight is added for every request that has been admitted and not been
	// answered when the work begins, this one included.
	PerInFlight time.Duration `json:"per_in_flight"`
}

// Load follows a Capacity request by request. Its zero value has no limit; make
// one with [Capacity.Load]. It is not safe for concurrent use: whoever shares it
// locks it.
type Load struct {
	capacity Capacity
	last     Ticket
	working  int
	queue    []Ticket
}

// Ticket is a request's place with a [Load].
type Ticket uint64

// Admission is what a Load says to a request that arrives.
type Admission struct {
	// Ticket is what to call [Load.End] with, once; 0 if the request is refused.
	Ticket Ticket
	// Waits says that there is no worker yet: an End of another request will
	// start this one.
	Waits bool
	// Work is how long the work takes from now on, if it does not wait.
	Work time.Duration
}

// Start is a request that has waited and is worked on from now on.
type Start struct {
	Ticket Ticket
	Work   time.Duration
}

// Load makes a Load that has nothing to do.
func (c Capacity) Load() *Load { return &Load{capacity: c} }

// Arrive admits a request, lets it wait or refuses it.
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

// End takes a request out: its work is done, or was dropped, or it waits no
// more. It gives the request that starts instead, if there is one.
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

// InFlight is how many requests have been admitted and have not ended.
func (l *Load) InFlight() int { return l.working + len(l.queue) }

// work is how long a request takes that starts now and has been counted.
func (l *Load) work() time.Duration {
	c := &l.capacity
	return min(c.ServiceTime+c.Latency.Base+time.Duration(l.InFlight())*c.Latency.PerInFlight, MaxLatency)
}
