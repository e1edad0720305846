package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// show tells one side's story while it happens, line by line in the order of
// time. The line of a phase says what came of its calls, so it is written when
// the last of them has ended; or as soon as something happens in the phase that
// has a line of its own. On a terminal there is one more line, written again and
// again, of what goes on; elsewhere only finished lines appear.
type show struct {
	live   term.Line
	script script
	texts  bool // say what a phase is like

	tally   tally
	changes chan change // of the breaker, for the story

	began    time.Time
	breaker  *holdfast.Breaker // nil: there is none to watch
	stop     chan struct{}
	finished chan struct{}

	// The rest belongs to the telling goroutine until it has finished.
	phase  int     // that is running; -1 before the first
	lines  []entry // that are still to be written
	state  holdfast.State
	again  entry // breaker openings that are not told one by one; its n says how many
	speeds term.Rate
}

// entry is a line of the story: of a phase, or of an event within one.
type entry struct {
	at    time.Duration
	phase int // -1 for an event
	text  string
	n     int
}

const (
	writeEvery = 20 * time.Millisecond
	drawEvery  = 5 // times as long
)

func newShow(out io.Writer, tty term.Terminal, d demo) *show {
	s := &show{
		live: term.Line{Out: out, Terminal: tty}, script: d.script, texts: true, phase: -1,
		// More than a breaker makes in the longest script.
		changes: make(chan change, 4096),
		stop:    make(chan struct{}), finished: make(chan struct{}),
	}
	for _, due := range d.due {
		s.tally.phases[d.script.at(due)].expected++
	}
	return s
}

// begin starts to tell; end or abandon must follow.
func (s *show) begin(began time.Time, breaker *holdfast.Breaker) {
	s.began, s.breaker = began, breaker
	go s.tell()
}

// end completes the story once all calls have ended. result is what came of the
// last phase; empty means what the tally says.
func (s *show) end(result string) {
	close(s.stop)
	<-s.finished
	s.enter(s.script.length)
	s.flushAgain()
	s.write(result)
	s.line(max(time.Since(s.began), s.script.length), "done", "", "")
}

// abandon stops telling in the middle.
func (s *show) abandon() {
	close(s.stop)
	<-s.finished
	s.live.Clear()
}

func (s *show) tell() {
	defer close(s.finished)
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case c := <-s.changes:
			s.change(c)
		case <-ticker.C:
			s.enter(time.Since(s.began))
		case <-s.stop:
			for len(s.changes) > 0 {
				s.change(<-s.changes)
			}
			return
		}
		s.write("")
		if s.live.Terminal.Live && n%drawEvery == 0 {
			s.draw()
		}
	}
}

// enter begins the phases that have begun by now.
func (s *show) enter(now time.Duration) {
	for s.phase+1 < len(s.script.phases) && s.script.phases[s.phase+1].From <= now {
		s.flushAgain()
		s.phase++
		s.lines = append(s.lines, entry{at: s.script.phases[s.phase].From, phase: s.phase})
	}
}

func (s *show) event(at time.Duration, format string, args ...any) {
	s.lines = append(s.lines, entry{at: at, phase: -1, text: fmt.Sprintf(format, args...)})
}

// change tells a change of the breaker's state.
func (s *show) change(c change) {
	s.enter(c.at)
	before := s.state
	s.state = c.to
	switch {
	case c.to == holdfast.Open && before == holdfast.Closed:
		s.event(c.at, "circuit breaker opened after %d failed calls; next probe in %s", c.failures, format.Duration(s.script.openFor))
		s.again = entry{}
	case c.to == holdfast.Open:
		if s.again.n++; s.again.n == 1 {
			s.event(c.at, "probe failed; open again")
		}
		s.again.at = c.at
	case c.to == holdfast.Closed:
		s.flushAgain()
		if after := c.at - s.script.recovery().From; after >= 0 {
			s.event(c.at, "circuit breaker closed after %d probes, %s after recovery", probes, format.Duration(after))
		} else {
			s.event(c.at, "circuit breaker closed after %d probes", probes)
		}
	}
}

// flushAgain tells of the failed probes after the first together: a line for each
// would say the same.
func (s *show) flushAgain() {
	if more := s.again.n - 1; more > 0 {
		s.event(s.again.at, "and %s", format.Plural(more, "more time"))
		s.again.n = 1
	}
}

// write writes the lines that are ready. result, if not empty, completes the
// last phase.
func (s *show) write(result string) {
	for len(s.lines) > 0 {
		e := s.lines[0]
		switch eventful := len(s.lines) > 1 && s.lines[1].phase < 0; {
		case e.phase < 0:
			s.line(e.at, "", e.text, "")
		case eventful:
			s.phaseLine(e, "")
		case e.phase == len(s.script.phases)-1 && result != "":
			s.phaseLine(e, result)
		case s.tally.phases[e.phase].ended():
			s.phaseLine(e, s.tally.phases[e.phase].result())
		default:
			return
		}
		s.lines = s.lines[1:]
	}
}

func (s *show) phaseLine(e entry, result string) {
	p := s.script.phases[e.phase]
	if s.texts {
		s.line(e.at, p.name, p.text, result)
	} else {
		s.line(e.at, p.name, result, "")
	}
}

// line writes a finished line.
func (s *show) line(at time.Duration, name, text, result string) {
	s.live.Clear()
	if result != "" {
		text = fmt.Sprintf("%-48s  %s", text, result)
	}
	line := s.live.Terminal.Paint(term.Dim, format.Elapsed(at)) + "  " + s.live.Terminal.Paint(term.Bold, fmt.Sprintf("%-10s", name)) + "  " + text
	if name == "" || text == "" {
		line = s.live.Terminal.Paint(term.Dim, format.Elapsed(at)) + strings.TrimRight("  "+fmt.Sprintf("%-10s", name)+"  "+text, " ")
	}
	fmt.Fprintln(s.live.Out, line)
}

// draw writes the live line.
func (s *show) draw() {
	now := time.Since(s.began)
	state := fmt.Sprintf("%s calls/s · %s in flight",
		format.Number(s.speeds.Measure(now, s.tally.started.Load())), format.Number(int(s.tally.outstanding.Load())))
	if s.breaker != nil {
		state += " · breaker " + strings.ReplaceAll(s.breaker.State().String(), "_", "-")
	}
	name := ""
	if s.phase >= 0 {
		name = s.script.phases[s.phase].name
	}
	const width = 20
	full := min(int(width*now/s.script.length), width)
	bar := strings.Repeat("━", full) + strings.Repeat("╌", width-full)
	line := fmt.Sprintf("%s  %-10s  %s  %s", format.Elapsed(now), name, bar, state)
	s.live.Draw(line)
}
