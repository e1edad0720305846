package explain

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// Limits of the output. A plan may have thousands of rules.
const (
	maxRows   = 60
	maxPhases = 40
	maxLabel  = 28
)

// chart draws a row for each part below one time axis.
func chart(w io.Writer, terminal term.Terminal, all []part) {
	room := 0
	for _, p := range all[:min(len(all), maxRows)] {
		room = max(room, min(utf8.RuneCountInString(p.label), maxLabel))
	}
	unit := axis(all)
	cells := (terminal.Columns() - room - 4) / 4 * 4
	line := strings.Repeat(" ", room+2)
	for i := range 4 {
		line += fmt.Sprintf("%-*s", cells/4, moment(time.Duration(i)*unit))
	}
	fmt.Fprintln(w, terminal.Paint(term.Dim, line+"→"))
	for i, p := range all {
		if i == maxRows {
			fmt.Fprintf(w, "and %s\n", format.Plural(len(all)-i, "more row"))
			return
		}
		fmt.Fprintf(w, "%-*s  %s\n", room, format.Truncate(p.label, room), bar(p, 4*unit, cells))
	}
}

// bar has a cell for each interval of the axis: full if the part applies all the time, half
// full if it applies a part of the time.
func bar(p part, span time.Duration, cells int) string {
	const samples = 8
	var b strings.Builder
	for i := range cells {
		applies := 0
		for s := range samples {
			if p.applies(time.Duration(float64(span) * float64(i*samples+s) / float64(cells*samples))) {
				applies++
			}
		}
		switch applies {
		case 0:
			b.WriteString("·")
		case samples:
			b.WriteString("█")
		default:
			b.WriteString("▒")
		}
	}
	return b.String()
}

// axis returns a quarter of the time axis, a round number. The axis shows all changes, and
// two turns of each part that flaps.
func axis(all []part) time.Duration {
	last := time.Duration(0)
	for _, p := range all {
		last = max(last, p.when.From+p.when.From/4, p.when.Until)
		if turns := p.when.From + 2*p.repeat.Every; p.flaps() && turns > 0 {
			last = max(last, turns)
		}
	}
	least := max(last/4+last/40, 1)
	for unit := time.Duration(1); ; unit *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if unit*factor >= least {
				return unit * factor
			}
		}
		if unit > least { // the next would overflow
			return least
		}
	}
}

// moment writes a time of the plan without rounding: "0 s", "250 ms", "1.5 s", "1h30m0s".
func moment(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatFloat(float64(d)/1e6, 'f', -1, 64) + " ms"
	case d < 10*time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
	}
	return d.String()
}
