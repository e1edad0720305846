package fault

import "time"

// Window is the time from From up to, and without, Until, both counted from the
// plan's start. A zero Until means for ever.
type Window struct {
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// Repeat makes a window flap: of every Every, counted from the window's From,
// the first For is in it and the rest is not. Zero does not flap.
type Repeat struct {
	Every time.Duration `json:"every"`
	// For is above 0 and below Every.
	For time.Duration `json:"for"`
}

func (w Window) holds(now time.Duration) bool {
	return now >= w.From && (w.Until == 0 || now < w.Until)
}

// timing is when a rule is in force: its window, and how that flaps.
type timing struct {
	when   Window
	repeat Repeat
}

func (t timing) holds(now time.Duration) bool {
	return t.when.holds(now) && (t.repeat.Every == 0 || (now-t.when.From)%t.repeat.Every < t.repeat.For)
}

// change is the first instant after now at which holds may turn; false if there
// is none.
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
		if edge > now && (next == 0 || edge < next) { // not >, where the sum has overflowed
			next = edge
		}
	}
	return next, next > 0
}
