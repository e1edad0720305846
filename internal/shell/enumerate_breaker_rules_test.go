package shell

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// What must hold of the breaker, in every state and on every edge.
const (
	ruleOpenRefuses  = "an open breaker admits nothing"
	ruleAtMostN      = "half-open admits at most N at once"
	ruleSlotsReturn  = "every slot comes back exactly once"
	ruleOldIsNothing = "nothing of an old epoch moves the state"
	ruleLateIsNone   = "a second or late return changes nothing"
	ruleHalfEnds     = "in every half-open state a permit is free or some passing of time frees one"
	ruleNotByTime    = "half-open never reopens by time alone"
	ruleWordAgrees   = "the published word agrees with the machine"
	ruleWordAnswers  = "the word answers as the machine would"
	ruleWhenAgain    = "a refusal says when to come back"
	ruleChanges      = "a state changes for its reason alone, and begins an epoch"
	ruleAdmission    = "who may start is admitted, with a permit that is out"
)

// rules are those of every state.
func (m *breakerModel) rules(s *breakerState) string {
	b := look(&s.machine)
	if !s.locked && s.word != uint64(s.machine.Word()) {
		return ruleWordAgrees
	}
	if b.state != breaker.HalfOpen {
		if len(b.slots) != 0 || s.out() != 0 {
			return ruleSlotsReturn
		}
	}
	if s.out() > m.probes {
		return ruleAtMostN
	}
	var taken []time.Time
	for _, slot := range b.slots {
		if slot.expires.After(s.now) {
			taken = append(taken, slot.expires)
		}
	}
	slices.SortFunc(taken, time.Time.Compare)
	if !slices.Equal(taken, s.permits()) {
		return ruleSlotsReturn
	}

	next, changes := s.machine.Next(s.now)
	far := s.now.Add(100 * beyond)
	switch b.state {
	case breaker.Closed:
		if changes || s.machine.State(far) != breaker.Closed {
			return ruleNotByTime
		}
	case breaker.Open:
		if ripe := !s.now.Before(b.retryAt); changes == ripe || changes && (next != b.retryAt || s.machine.State(next) != breaker.HalfOpen) {
			return ruleHalfEnds
		}
	case breaker.HalfOpen:
		if s.machine.State(far) != breaker.HalfOpen {
			return ruleNotByTime
		}
		at := s.now
		if len(taken) == m.probes {
			one := s.machine.Clone()
			if _, _, _, ok := one.Allow(at, limit); ok {
				return ruleAtMostN
			}
			if !changes || next != taken[0] {
				return ruleHalfEnds
			}
			at = next
		}
		ask := s.machine.Clone()
		if _, _, c, ok := ask.Allow(at, limit); !ok {
			return ruleHalfEnds
		} else if c.Happened() {
			return ruleNotByTime
		}
	}
	return ""
}

// permits are the expiries of the half-open permits that are out, as the model
// knows them.
func (s *breakerState) permits() []time.Time {
	var all []time.Time
	for j := range s.callers {
		for _, at := range []time.Time{s.callers[j].permit, s.lost[j]} {
			if !at.IsZero() {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

func (s *breakerState) out() int { return len(s.permits()) }

// stepped are the rules of a locked step of caller i, from s to n.
func (m *breakerModel) stepped(s, n *breakerState, i int, r answer) string {
	before, after, c := look(&s.machine), look(&n.machine), &s.callers[i]
	if r.ok && s.where() == inOpen {
		return ruleOpenRefuses
	}
	if broken := changedWell(before, after, c, r.change, s.now); broken != "" {
		return broken
	}
	switch c.phase {
	case returning, noting:
		switch how := s.how(i); {
		case how == howOld:
			return unchanged(before, after, ruleOldIsNothing)
		case c.phase == returning && (how == howLate || how == howReturned):
			return unchanged(before, after, ruleLateIsNone)
		}
		return ""
	case confirming:
		if how := s.how(i); how == howPermit || how == howCurrent {
			if !r.ok || r.ticket != c.ticket {
				return ruleAdmission
			}
			return unchanged(before, after, ruleAdmission)
		}
	}
	return m.asked(s, before, after, r)
}

// asked are the rules of somebody who asks without a ticket that is good.
func (m *breakerModel) asked(s *breakerState, before, after *breakerMirror, r answer) string {
	probe := r.ticket.Probe()
	switch s.where() {
	case inClosed:
		if !r.ok || probe {
			return ruleAdmission
		}
		return unchanged(before, after, ruleAdmission)
	case inOpen:
		if r.retryAt != before.retryAt {
			return ruleWhenAgain
		}
		return unchanged(before, after, ruleOpenRefuses)
	case inRipe:
		if !r.ok || !probe || after.state != breaker.HalfOpen {
			return ruleAdmission
		}
	case inHalf:
		switch free := s.out() < m.probes; {
		case r.ok && !free:
			return ruleAtMostN
		case !r.ok && free, r.ok && !probe:
			return ruleAdmission
		case !r.ok && r.retryAt != s.permits()[0]:
			return ruleWhenAgain
		case !r.ok:
			return unchanged(before, after, ruleAtMostN)
		}
	}
	// A permit that is given out has a slot, from now on.
	t := lookTicket(&r.ticket)
	if slot := after.slots[t.probe-1]; slot.generation != t.generation || !slot.expires.Equal(s.now.Add(expiry)) {
		return ruleAdmission
	}
	return ""
}

// changedWell: a state changes only for the reasons there are.
func changedWell(before, after *breakerMirror, c *caller, change breaker.Change, now time.Time) string {
	if before.state == after.state {
		if after.epoch != before.epoch || change.Happened() {
			return ruleChanges
		}
		return ""
	}
	var because bool
	told := c.phase == returning || c.phase == noting
	switch {
	case after.state == breaker.HalfOpen:
		because = before.state == breaker.Open && !told && !now.Before(before.retryAt)
	case after.state == breaker.Open:
		because = told && c.outcome == outcome.Transient &&
			(before.state == breaker.HalfOpen || before.failures+1 >= threshold)
		because = because && after.retryAt.Equal(now.Add(openFor)) && change.RetryAt == after.retryAt
	case after.state == breaker.Closed:
		because = told && before.state == breaker.HalfOpen && after.failures == 0 &&
			(c.outcome == outcome.Success || c.outcome == outcome.Permanent) && before.successes+1 >= before.cfg.Probes
	}
	if lookTicket(&c.ticket).epoch != before.epoch && told {
		return ruleOldIsNothing
	}
	if !because || after.epoch != before.epoch+1 || change.From != before.state || change.To != after.state || change.Epoch != after.epoch {
		return ruleChanges
	}
	return ""
}

// unchanged: not even a number that only statistics show.
func unchanged(a, b *breakerMirror, rule string) string {
	if a.state == b.state && a.epoch == b.epoch && a.failures == b.failures && a.successes == b.successes &&
		a.openedAt == b.openedAt && a.retryAt == b.retryAt && a.lastFailure == b.lastFailure && slices.Equal(a.slots, b.slots) {
		return ""
	}
	return rule
}

// What the word answers counts as of the moment in which it was loaded. If no
// step is in progress, that is what the machine would answer; if one is, it is
// what the machine would have answered before.

func (m *breakerModel) wordAdmitted(s *breakerState, t breaker.Ticket) string {
	if s.locked {
		return ""
	}
	if s.where() != inClosed {
		return ruleOpenRefuses
	}
	machine := s.machine.Clone()
	if same, _, _, ok := machine.Allow(s.now, limit); !ok || same != t {
		return ruleWordAnswers
	}
	return unchanged(look(&s.machine), look(&machine), ruleWordAnswers)
}

func (m *breakerModel) wordConfirmed(s *breakerState, i int) string {
	if s.locked {
		return ""
	}
	if s.where() != inClosed {
		return ruleOpenRefuses
	}
	machine, t := s.machine.Clone(), s.callers[i].ticket
	if same, _, _, ok := machine.Confirm(s.now, t, limit); !ok || same != t {
		return ruleWordAnswers
	}
	return unchanged(look(&s.machine), look(&machine), ruleWordAnswers)
}

func (m *breakerModel) wordWasQuiet(s *breakerState, i int, o outcome.Outcome) string {
	if s.locked {
		return ""
	}
	machine := s.machine.Clone()
	machine.Done(s.now, s.callers[i].ticket, o)
	return unchanged(look(&s.machine), look(&machine), ruleWordAnswers)
}
