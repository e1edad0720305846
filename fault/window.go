package fault

import "time"

// Window is the time from From, inclusive, to Until, exclusive, since the
// plan's start. A zero Until means no end.
type Window struct {
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// Repeat makes a window periodic: of each period Every, counted from the window's
// From, only the first For belongs to the window. Zero means the whole window.
type Repeat struct {
	Every time.Duration `json:"every"`
	// For is the active part of a period, above 0 and below Every.
	For time.Duration `json:"for"`
}

func (w Window) holds(now time.Duration) bool {
	return now >= w.From && (w.Until == 0 || now < w.Until)
}

// timing is a rule's window and its period.
type timing struct {
	when   Window
	repeat Repeat
}

func (t timing) holds(now time.Duration) bool {
	return t.when.holds(now) && (t.repeat.Every == 0 || (now-t.when.From)%t.repeat.Every < t.repeat.For)
}

// change returns the first instant after now at which holds may change, and
// false if there is none.
func (t timing) change(now time.Duration) (time.Duration, bool) {
	if now < t.when.From {
		return t.when.From, true
	}
	if !t.when.holds(now) {
		return 0, false
	}
	next := t.when.Until // 0: no end
	if t.repeat.Every > 0 {
		into := (now - t.when.From) % t.repeat.Every
		edge := now - into + t.repeat.Every
		if into < t.repeat.For {
			edge = now - into + t.repeat.For
		}
		if edge > now && (next == 0 || edge < next) { // edge <= now after an overflow
			next = edge
		}
	}
	return next, next > 0
}
