package faultserver

import (
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// load is the service's capacity and its queue. The server's mutex guards it.
type load struct {
	*fault.Load
	abandoned fault.Abandoned
	slows     bool
	waiting   map[fault.Ticket]chan time.Duration // receives the duration of the work when it begins
}

func newLoad(c *fault.Capacity) *load {
	if c == nil {
		return nil
	}
	return &load{Load: c.Load(), abandoned: c.Abandoned, slows: c.Latency.PerInFlight > 0,
		waiting: make(map[fault.Ticket]chan time.Duration)}
}

// work takes the request through the service. It returns false if the request
// was refused and answered.
func (x *exchange) work() bool {
	l := x.run.load
	if l == nil {
		return true
	}
	admission, start := x.arrive(l)
	if admission.Ticket == 0 {
		full := fault.Fault{Status: http.StatusServiceUnavailable}
		x.added.Refuse(full.Status, time.Now())
		x.strikeStatus(&full)
		return false
	}
	done := true
	if admission.Waits {
		select {
		case admission.Work = <-start:
		case <-x.callerLeft(l):
			done = false
		case <-x.s.closing:
			done = false
		}
	}
	if done {
		done = x.waitUnless(admission.Work, x.callerLeft(l))
	}
	x.leave(l, admission.Ticket)
	if !done {
		x.disconnect()
	}
	return true
}

// arrive asks the load for a worker and records the result.
func (x *exchange) arrive(l *load) (fault.Admission, <-chan time.Duration) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	admission := l.Arrive()
	var start chan time.Duration
	var ids []fault.ID
	switch {
	case admission.Ticket == 0:
		x.run.record.Amend(x.seq, func(a *Attempt) { a.Status = http.StatusServiceUnavailable })
		ids = append(ids, fault.IDCapacityRefuse)
	case admission.Waits:
		start = make(chan time.Duration, 1) // leave must not block
		l.waiting[admission.Ticket] = start
		ids = append(ids, fault.IDCapacityQueue)
	}
	if admission.Ticket != 0 && l.slows {
		ids = append(ids, fault.IDCapacityLoad)
	}
	if len(ids) > 0 {
		x.run.record.Amend(x.seq, func(a *Attempt) { a.Faults = slices.Concat(a.Faults, ids) })
	}
	return admission, start
}

// leave frees the worker or the place in the queue and starts the next request.
func (x *exchange) leave(l *load, t fault.Ticket) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(l.waiting, t)
	if next, ok := l.End(t); ok {
		l.waiting[next.Ticket] <- next.Work
		delete(l.waiting, next.Ticket)
	}
}

// callerLeft is closed when the caller has left, if that ends the work.
func (x *exchange) callerLeft(l *load) <-chan struct{} {
	if l.abandoned == fault.AbandonedDropped {
		return x.r.Context().Done()
	}
	return nil
}
