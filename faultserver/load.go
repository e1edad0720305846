package faultserver

import (
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// load is what the service can do at once, with those who wait for it. The
// server's mutex guards it.
type load struct {
	*fault.Load
	abandoned fault.Abandoned
	slows     bool
	waiting   map[fault.Ticket]chan time.Duration // told how long the work takes, once it begins
}

func newLoad(c *fault.Capacity) *load {
	if c == nil {
		return nil
	}
	return &load{Load: c.Load(), abandoned: c.Abandoned, slows: c.Latency.PerInFlight > 0,
		waiting: make(map[fault.Ticket]chan time.Duration)}
}

// work takes the request through the service; false if it was refused, and
// answered.
func (x *exchange) work() bool {
	l := x.run.load
	if l == nil {
		return true
	}
	admission, turn := x.arrive(l)
	if admission.Ticket == 0 {
		x.strikeStatus(&fault.Fault{Status: http.StatusServiceUnavailable})
		return false
	}
	done := true
	if admission.Waits {
		select {
		case admission.Work = <-turn:
		case <-x.left(l):
			done = false
		case <-x.s.closing:
			done = false
		}
	}
	if done {
		done = x.take(admission.Work, x.left(l))
	}
	x.leave(l, admission.Ticket)
	if !done {
		x.disconnect()
	}
	return true
}

// arrive asks for a place and notes what that costs the request.
func (x *exchange) arrive(l *load) (fault.Admission, <-chan time.Duration) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	admission := l.Arrive()
	var turn chan time.Duration
	var ids []fault.ID
	switch {
	case admission.Ticket == 0:
		x.run.record.Amend(x.seq, func(a *Attempt) { a.Status = http.StatusServiceUnavailable })
		ids = append(ids, fault.IDCapacityRefuse)
	case admission.Waits:
		turn = make(chan time.Duration, 1) // who makes room does not wait
		l.waiting[admission.Ticket] = turn
		ids = append(ids, fault.IDCapacityQueue)
	}
	if admission.Ticket != 0 && l.slows {
		ids = append(ids, fault.IDCapacityLoad)
	}
	if len(ids) > 0 {
		x.run.record.Amend(x.seq, func(a *Attempt) { a.Faults = slices.Concat(a.Faults, ids) })
	}
	return admission, turn
}

// leave makes room for the next.
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

// left is closed when the caller has left, if that ends the work.
func (x *exchange) left(l *load) <-chan struct{} {
	if l.abandoned == fault.AbandonedDropped {
		return x.r.Context().Done()
	}
	return nil
}
