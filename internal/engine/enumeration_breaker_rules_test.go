package engine

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The rules that hold in every state of the breaker and on every edge.
const (
	ruleOpenRejects  = "an open breaker admits nothing"
	ruleAtMostN      = "half-open admits at most N at once"
	ruleProbesReturn = "every probe comes back exactly once"
	ruleOldIsNothing = "a ticket of an old epoch changes nothing"
	ruleAnswer       = "an answer's end counts unless its ticket is old, a probe's unless the breaker is open; a good one forgets failures, once"
	ruleLateIsNone   = "a second or late return changes nothing"
	ruleHalfEnds     = "in every half-open state a probe is free or becomes free in time"
	ruleNotByTime    = "half-open never reopens by time alone"
	ruleAgrees       = "the published snapshot agrees with the machine"
	ruleAnswers      = "the snapshot answers as the machine would"
	ruleWhenAgain    = "a rejection has the time of the next try"
	ruleChanges      = "a state changes for its reason alone, and begins an epoch"
	ruleAdmission    = "an operation that may start is admitted, with a valid ticket"
)

// rules checks a state.
func (m *breakerModel) rules(s *breakerState) string {
	b := look(&s.machine)
	if !s.locked && s.snapshot != uint64(s.machine.Snapshot()) {
		return ruleAgrees
	}
	if b.state != breaker.HalfOpen {
		if len(b.probes) != 0 || s.out() != 0 {
			return ruleProbesReturn
		}
	}
	if s.out() > m.probes {
		return ruleAtMostN
	}
	var out []time.Time
	for _, probe := range b.probes {
		if probe.expires.After(s.now) {
			out = append(out, probe.expires)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	if !slices.Equal(out, s.expiries()) {
		return ruleProbesReturn
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
		if len(out) == m.probes {
			one := s.machine.Clone()
			if _, _, _, ok := one.Allow(at, limit); ok {
				return ruleAtMostN
			}
			if !changes || next != out[0] {
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

// expiries are those of the probes that are out, by the model's own knowledge.
func (s *breakerState) expiries() []time.Time {
	var all []time.Time
	for j := range s.callers {
		for _, at := range []time.Time{s.callers[j].expires, s.lost[j]} {
			if !at.IsZero() {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

func (s *breakerState) out() int { return len(s.expiries()) }

// stepped checks a locked step of caller i from s to n.
func (m *breakerModel) stepped(s, n *breakerState, i int, r answer) string {
	before, after, c := look(&s.machine), look(&n.machine), &s.callers[i]
	if r.ok && s.where() == inOpen {
		return ruleOpenRejects
	}
	if broken := changedWell(before, after, c, r.change, s.now); broken != "" {
		return broken
	}
	switch c.phase {
	case ending:
		return ended(before, after, c)
	case returning, noting, beginning:
		switch how := s.how(i); {
		case how == howOld || how == howOldProbe:
			return unchanged(before, after, ruleOldIsNothing)
		case c.phase == beginning && how == howCurrent:
			return unchanged(before, after, ruleAnswer)
		case c.phase != noting && (how == howLate || how == howReturned):
			return unchanged(before, after, ruleLateIsNone)
		}
		return ""
	case confirming:
		if how := s.how(i); how == howProbe || how == howCurrent {
			if !r.ok || r.ticket != c.ticket {
				return ruleAdmission
			}
			return unchanged(before, after, ruleAdmission)
		}
	}
	return m.asked(s, before, after, r)
}

// asked checks a step of a caller without a valid ticket.
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
		return unchanged(before, after, ruleOpenRejects)
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
		case !r.ok && r.retryAt != s.expiries()[0]:
			return ruleWhenAgain
		case !r.ok:
			return unchanged(before, after, ruleAtMostN)
		}
	}
	// The ticket of a probe is valid from now on.
	t := lookTicket(&r.ticket)
	if p := after.probes[t.probe-1]; p.generation != t.generation || !p.expires.Equal(s.now.Add(expiry)) {
		return ruleAdmission
	}
	return ""
}

// changedWell checks the reason of a change of state.
func changedWell(before, after *breakerMirror, c *caller, change breaker.Change, now time.Time) string {
	if before.state == after.state {
		if after.epoch != before.epoch || change.Happened() {
			return ruleChanges
		}
		return ""
	}
	var because bool
	told := c.phase >= returning
	good := c.phase == beginning || c.outcome == outcome.Success || c.outcome == outcome.Permanent
	switch {
	case after.state == breaker.HalfOpen:
		because = before.state == breaker.Open && !told && !now.Before(before.retryAt)
	case after.state == breaker.Open:
		because = told && c.outcome == outcome.Transient &&
			(before.state == breaker.HalfOpen || before.failures+1 >= threshold)
		because = because && after.retryAt.Equal(now.Add(openFor)) && change.RetryAt == after.retryAt
	case after.state == breaker.Closed:
		because = told && before.state == breaker.HalfOpen && after.failures == 0 && good && c.phase != ending && before.successes+1 >= before.cfg.Probes
	}
	if t := lookTicket(&c.ticket); t.epoch != before.epoch && told && (t.probe == 0 || c.phase != ending) {
		return ruleOldIsNothing
	}
	if !because || after.epoch != before.epoch+1 || change.From != before.state || change.To != after.state || change.Epoch != after.epoch {
		return ruleChanges
	}
	return ""
}

// ended checks the end of an answer.
func ended(before, after *breakerMirror, c *caller) string {
	t := lookTicket(&c.ticket)
	counts := t.epoch == before.epoch || t.probe != 0 && before.state != breaker.Open
	switch {
	case !counts, c.outcome == outcome.Success && before.state == breaker.HalfOpen:
		return unchanged(before, after, ruleAnswer)
	case c.outcome == outcome.Success && after.failures != 0,
		c.outcome == outcome.Transient && after.failures != before.failures+1,
		c.outcome == outcome.Transient && before.state == breaker.HalfOpen && after.state != breaker.Open:
		return ruleAnswer
	}
	return ""
}

// unchanged compares all fields, also those that only statistics show.
func unchanged(a, b *breakerMirror, rule string) string {
	if a.state == b.state && a.epoch == b.epoch && a.failures == b.failures && a.successes == b.successes &&
		a.openedAt == b.openedAt && a.retryAt == b.retryAt && a.lastFailure == b.lastFailure && slices.Equal(a.probes, b.probes) {
		return ""
	}
	return rule
}

// An answer of the snapshot is as of its load. If no step is in progress, the machine
// would answer the same; else it would have done so before the step.

func (m *breakerModel) snapshotAdmitted(s *breakerState, t breaker.Ticket) string {
	if s.locked {
		return ""
	}
	if s.where() != inClosed {
		return ruleOpenRejects
	}
	machine := s.machine.Clone()
	if same, _, _, ok := machine.Allow(s.now, limit); !ok || same != t {
		return ruleAnswers
	}
	return unchanged(look(&s.machine), look(&machine), ruleAnswers)
}

func (m *breakerModel) snapshotConfirmed(s *breakerState, i int) string {
	if s.locked {
		return ""
	}
	if s.where() != inClosed {
		return ruleOpenRejects
	}
	machine, t := s.machine.Clone(), s.callers[i].ticket
	if same, _, _, ok := machine.Confirm(s.now, t, limit); !ok || same != t {
		return ruleAnswers
	}
	return unchanged(look(&s.machine), look(&machine), ruleAnswers)
}

func (m *breakerModel) snapshotWasNoOp(s *breakerState, i int, o outcome.Outcome) string {
	if s.locked {
		return ""
	}
	machine := s.machine.Clone()
	machine.Done(s.now, s.callers[i].ticket, o)
	return unchanged(look(&s.machine), look(&machine), ruleAnswers)
}

func (m *breakerModel) snapshotBegan(s *breakerState, i int) string {
	if s.locked {
		return ""
	}
	machine := s.machine.Clone()
	machine.AnswerBegan(s.now, s.callers[i].ticket)
	return unchanged(look(&s.machine), look(&machine), ruleAnswers)
}

func (m *breakerModel) snapshotEnded(s *breakerState, i int, o outcome.Outcome) string {
	if s.locked {
		return ""
	}
	machine := s.machine.Clone()
	machine.AnswerEnded(s.now, s.callers[i].ticket, o)
	return unchanged(look(&s.machine), look(&machine), ruleAnswers)
}
