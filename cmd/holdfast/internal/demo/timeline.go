package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// timeline writes the phases and events of one client while they happen, in the order of
// time. The line of a phase includes the results of its calls, so it is written when the
// last of them has ended, or without results as soon as the phase has an event. On a
// terminal a live line shows the current state.
type timeline struct {
	live         term.Line
	script       script
	descriptions bool // of the phases

	tally   tally
	changes chan stateChange // of the breaker

	began    time.Time
	breaker  *holdfast.Breaker // nil for the bare client
	stop     chan struct{}
	finished chan struct{}

	// The rest belongs to the goroutine of run until it has finished.
	phase      int    // the current phase, -1 before the first
	pending    []line // not written yet
	state      holdfast.State
	reopenings int           // after failed probes, since the last opening or flush
	reopenedAt time.Duration // the last of them
	rate       term.Rate
}

// line is a line of the timeline: of a phase, or of an event within one.
type line struct {
	at    time.Duration
	phase int // -1 for an event
	text  string
}

const (
	writeEvery = 20 * time.Millisecond
	drawEvery  = 5 // the live line, in units of writeEvery
)

func newTimeline(out io.Writer, terminal term.Terminal, d comparison) *timeline {
	t := &timeline{
		live: term.Line{Out: out, Terminal: terminal}, script: d.script, descriptions: true, phase: -1,
		// more than the changes of a breaker in the longest script
		changes: make(chan stateChange, 4096),
		stop:    make(chan struct{}), finished: make(chan struct{}),
	}
	for i, p := range d.script.phases[:len(d.script.phases)-1] {
		t.tally.phases[i].until = p.Until
	}
	for _, due := range d.due {
		t.tally.phases[d.script.at(due)].expected++
	}
	return t
}

// begin starts the timeline. The caller must call end or abandon.
func (t *timeline) begin(began time.Time, breaker *holdfast.Breaker) {
	t.began, t.breaker = began, breaker
	go t.run()
}

// end completes the timeline once all calls have ended. result is the result of the last
// phase; if it is empty, the result is that of the tally.
func (t *timeline) end(result string) {
	close(t.stop)
	<-t.finished
	t.enter(t.script.length)
	t.flushReopenings()
	t.write(result)
	t.writeLine(max(time.Since(t.began), t.script.length), "done", "", "")
}

// abandon stops the timeline before its end.
func (t *timeline) abandon() {
	close(t.stop)
	<-t.finished
	t.live.Clear()
}

// run writes lines until stop is closed.
func (t *timeline) run() {
	defer close(t.finished)
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case c := <-t.changes:
			t.change(c)
		case <-ticker.C:
			t.enter(time.Since(t.began))
		case <-t.stop:
			for len(t.changes) > 0 {
				t.change(<-t.changes)
			}
			return
		}
		t.write("")
		if t.live.Terminal.Live && n%drawEvery == 0 {
			t.draw()
		}
	}
}

// enter begins the phases that have begun by now.
func (t *timeline) enter(now time.Duration) {
	for t.phase+1 < len(t.script.phases) && t.script.phases[t.phase+1].From <= now {
		t.flushReopenings()
		t.phase++
		t.pending = append(t.pending, line{at: t.script.phases[t.phase].From, phase: t.phase})
	}
}

// event adds the line of an event.
func (t *timeline) event(at time.Duration, format string, args ...any) {
	t.pending = append(t.pending, line{at: at, phase: -1, text: fmt.Sprintf(format, args...)})
}

// change adds the line of a change of the breaker's state.
func (t *timeline) change(c stateChange) {
	t.enter(c.at)
	before := t.state
	t.state = c.to
	switch {
	case c.to == holdfast.Open && before == holdfast.Closed:
		t.event(c.at, "circuit breaker opened after %d failed calls; next probe in %s", c.failures, format.Duration(t.script.openFor))
		t.reopenings = 0
	case c.to == holdfast.Open:
		if t.reopenings++; t.reopenings == 1 {
			t.event(c.at, "probe failed; open again")
		}
		t.reopenedAt = c.at
	case c.to == holdfast.Closed:
		t.flushReopenings()
		if after := c.at - t.script.recovery().From; after >= 0 {
			t.event(c.at, "circuit breaker closed after %d probes, %s after recovery", probes, format.Duration(after))
		} else {
			t.event(c.at, "circuit breaker closed after %d probes", probes)
		}
	}
}

// flushReopenings adds one line for all failed probes after the first: a line for each
// would repeat the same text.
func (t *timeline) flushReopenings() {
	if more := t.reopenings - 1; more > 0 {
		t.event(t.reopenedAt, "and %s", format.Plural(more, "more time"))
		t.reopenings = 1
	}
}

// write writes the lines that are ready. The last phase is ready if result, its result,
// is not empty.
func (t *timeline) write(result string) {
	for len(t.pending) > 0 {
		l := t.pending[0]
		switch hasEvent := len(t.pending) > 1 && t.pending[1].phase < 0; {
		case l.phase < 0:
			t.writeLine(l.at, "", l.text, "")
		case hasEvent:
			t.writePhase(l, "")
		case l.phase == len(t.script.phases)-1 && result != "":
			t.writePhase(l, result)
		case t.tally.phases[l.phase].allEnded():
			t.writePhase(l, t.tally.phases[l.phase].summary())
		default:
			return
		}
		t.pending = t.pending[1:]
	}
}

func (t *timeline) writePhase(l line, result string) {
	p := t.script.phases[l.phase]
	if t.descriptions {
		t.writeLine(l.at, p.name, p.text, result)
	} else {
		t.writeLine(l.at, p.name, result, "")
	}
}

// writeLine writes a finished line.
func (t *timeline) writeLine(at time.Duration, name, text, result string) {
	t.live.Clear()
	if result != "" {
		text = fmt.Sprintf("%-48s  %s", text, result)
	}
	column := fmt.Sprintf("%-10s", name)
	rest := strings.TrimRight("  "+column+"  "+text, " ")
	if name != "" && text != "" {
		rest = "  " + t.live.Terminal.Paint(term.Bold, column) + "  " + text
	}
	fmt.Fprintln(t.live.Out, t.live.Terminal.Paint(term.Dim, format.Elapsed(at))+rest)
}

// draw updates the live line.
func (t *timeline) draw() {
	now := time.Since(t.began)
	state := fmt.Sprintf("%s calls/s · %s in flight",
		format.Number(t.rate.Measure(now, t.tally.started.Load())), format.Number(int(t.tally.outstanding.Load())))
	if t.breaker != nil {
		state += " · breaker " + strings.ReplaceAll(t.breaker.State().String(), "_", "-")
	}
	name := ""
	if t.phase >= 0 {
		name = t.script.phases[t.phase].name
	}
	const width = 20
	full := min(int(width*now/t.script.length), width)
	bar := strings.Repeat("━", full) + strings.Repeat("╌", width-full)
	line := fmt.Sprintf("%s  %-10s  %s  %s", format.Elapsed(now), name, bar, state)
	t.live.Draw(line)
}
