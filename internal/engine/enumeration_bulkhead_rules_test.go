package engine

import (
	"slices"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// The rules that hold in every state of the bulkhead and on every edge.
const (
	ruleLimit      = "never more than the limit in use"
	ruleAllBack    = "all permits come back"
	ruleInOrder    = "permits are granted in order, and no caller overtakes"
	ruleForgotten  = "no waiter is forgotten"
	ruleNoTrace    = "nothing is left of a waiter that gives up"
	ruleBit        = "the waiters bit is set exactly while there are waiters"
	ruleQueueBound = "the queue gets as long as its bound, and no longer"
	ruleExcess     = "a permit released twice is noticed"
)

func (m *bulkheadModel) rules(s *bulkheadState) string {
	published := bulkhead.Snapshot(s.snapshot)
	held, waits, acting := 0, 0, false
	for i := range s.callers {
		switch c := &s.callers[i]; {
		case c.stage == holding, c.stage == waiting && c.granted:
			held++
		case c.stage == waiting:
			waits++
		case c.stage == gave, c.stage == granting:
			acting = true
		}
	}
	switch {
	case published.InUse() > m.permits || held > m.permits:
		return ruleLimit
	case published.InUse() != held:
		return ruleAllBack
	case waits > 0 && held < m.permits && !acting:
		return ruleForgotten
	case (published != published.WithoutWaiters()) != (waits > 0):
		return ruleBit
	}
	return ""
}

// traces checks that the machine's queue, the handle's waiters and the model's line
// are the same. It is called after each step.
func (m *bulkheadModel) traces(n *bulkheadState, h *Bulkhead) string {
	var line []bulkhead.Ticket
	for _, i := range n.line {
		if i > 0 {
			line = append(line, n.callers[i-1].ticket)
		}
	}
	var waiting []bulkhead.Ticket
	for _, w := range h.waiters.Values() {
		waiting = append(waiting, w.ticket)
	}
	for _, t := range line {
		if !slices.Contains(waiting, t) {
			return ruleForgotten
		}
	}
	queue := lookBulkhead(&h.machine).queue.Values()
	if !slices.Equal(queue, line) || !slices.Equal(waiting, line) {
		return ruleNoTrace
	}
	return ""
}
