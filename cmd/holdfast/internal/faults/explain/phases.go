package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// writePhases describes the faults between each edge and the next.
func writePhases(w io.Writer, terminal term.Terminal, connections, rules, pace []part) {
	at := edges(slices.Concat(connections, rules, pace))
	for i, from := range at {
		if i == maxPhases {
			fmt.Fprintf(w, "\nand %s\n", format.Plural(len(at)-i, "more phase"))
			return
		}
		title := "from " + moment(from) + " on"
		switch {
		case len(at) == 1:
			title = "at all times"
		case i+1 < len(at):
			title = moment(from) + " to " + moment(at[i+1])
		}
		fmt.Fprintf(w, "\n%s\n", terminal.Paint(term.Bold, title))
		for _, p := range active(connections, from) {
			writePart(w, terminal, p)
		}
		selected := active(rules, from)
		for _, p := range selected {
			writePart(w, terminal, p)
		}
		wait := describePace(active(pace, from))
		switch {
		case len(selected) > 0 && !selected[len(selected)-1].all:
			fmt.Fprintln(w, "  the rest: healthy")
		case len(selected) == 0 && wait == "":
			fmt.Fprintln(w, "  every request: healthy, at once")
		case len(selected) == 0:
			fmt.Fprint(w, term.Wrap(terminal.Columns(), "  ", "every request: healthy, after "+wait))
		}
		if len(selected) > 0 && wait != "" {
			fmt.Fprint(w, term.Wrap(terminal.Columns(), "  ", "each, struck or not, waits first: "+wait))
		}
	}
}

// describePace describes the latency of requests. It is empty if there is none.
func describePace(paces []part) string {
	var each []string
	for _, p := range paces {
		text := p.effect
		if only := strings.TrimPrefix(p.selector+turns(p), everyRequest); only != "" {
			text += " " + strings.TrimPrefix(only, ", ")
		}
		each = append(each, text)
	}
	if n := len(paces); n > 0 && !paces[n-1].all {
		each = append(each, "not at all")
	}
	return strings.Join(each, ", else ")
}

// edges are the instants at which a window opens or closes, in order. The first is 0.
func edges(all []part) []time.Duration {
	at := []time.Duration{0}
	for _, p := range all {
		at = append(at, p.when.From, p.when.Until)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// active returns the parts that are open from an edge on, up to the first that selects
// everything.
func active(list []part, from time.Duration) []part {
	var open []part
	for _, p := range list {
		if !p.open(from) {
			continue
		}
		open = append(open, p)
		if p.all {
			break
		}
	}
	return open
}

// writePart describes a part, and adds its place and its IDs.
func writePart(w io.Writer, terminal term.Terminal, p part) {
	fmt.Fprint(w, term.Wrap(terminal.Columns(), "  ", p.selector+turns(p)+": "+p.effect))
	tail := p.label
	for _, id := range p.ids {
		tail += " · " + string(id)
	}
	for line := range strings.Lines(term.Wrap(terminal.Columns(), "    ", tail)) {
		fmt.Fprintln(w, terminal.Paint(term.Dim, strings.TrimSuffix(line, "\n")))
	}
}

// turns describes the times at which a part that flaps is on.
func turns(p part) string {
	if !p.flaps() {
		return ""
	}
	return fmt.Sprintf(", for %s of every %s", moment(p.repeat.For), moment(p.repeat.Every))
}
