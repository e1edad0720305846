package shell

import (
	"slices"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// What must hold of the bulkhead, in every state and on every edge.
const (
	ruleLimit      = "never more than the limit in use"
	ruleAllBack    = "all slots come back"
	ruleInOrder    = "waiters are served in order, and nobody passes them"
	ruleForgotten  = "nobody who waits is forgotten"
	ruleNoTrace    = "a leaver leaves no trace"
	ruleBit        = "the waiting bit stands exactly as long as somebody is in line"
	ruleQueueBound = "as many as may wait do, and no more"
	ruleOverdraw   = "a slot given back twice is noticed"
)

func (m *bulkheadModel) rules(s *bulkheadState) string {
	w := bulkhead.Word(s.word)
	held, waiting, acting := 0, 0, false
	for i := range s.callers {
		switch c := &s.callers[i]; {
		case c.stage == holding, c.stage == inLine && c.served:
			held++
		case c.stage == inLine:
			waiting++
		case c.stage == gave, c.stage == serving:
			acting = true
		}
	}
	switch {
	case w.InUse() > m.slots || held > m.slots:
		return ruleLimit
	case w.InUse() != held:
		return ruleAllBack
	case waiting > 0 && held < m.slots && !acting:
		return ruleForgotten
	case (w != w.Calm()) != (waiting > 0):
		return ruleBit
	}
	return ""
}

// traces: the machine's queue, the channels and the model's line are the same
// people. It is asked after each step, when the handle is at hand.
func (m *bulkheadModel) traces(n *bulkheadState, h *Bulkhead) string {
	var line []bulkhead.Ticket
	for _, who := range n.line {
		if who > 0 {
			line = append(line, n.callers[who-1].ticket)
		}
	}
	var waiting []bulkhead.Ticket
	for _, w := range h.line {
		waiting = append(waiting, w.ticket)
	}
	for _, t := range line {
		if !slices.Contains(waiting, t) {
			return ruleForgotten
		}
	}
	queue := lookBulkhead(&h.machine).queue
	if !slices.Equal(queue, line) || !slices.Equal(waiting, line) {
		return ruleNoTrace
	}
	return ""
}
