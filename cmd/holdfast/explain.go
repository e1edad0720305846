package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
)

func newFaultsExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain PLAN",
		Short: "Draw a plan as a timeline, and say what a client meets when",
		Long: `Draws a plan, built-in or a file, as a timeline, says phase by phase what a client
meets, and what the ids of its faults mean. Nothing is served.`,
		Example: `  holdfast faults explain outage`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain takes one argument, a built-in plan or a file with one; got %s", format.Plural(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, note, err := loadPlan(args[0])
			if err != nil {
				return badPlan(args[0], err)
			}
			if note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: note: %s\n", note)
			}
			out := cmd.OutOrStdout()
			explain(out, term.Of(out), args[0], plan)
			return nil
		},
	}
}

// part is one entry of a plan: what it selects, when, and what happens then.
type part struct {
	label  string // where it stands, and its name
	when   fault.Window
	repeat fault.Repeat
	whom   string
	all    bool // that fit its time: nothing gets past it
	what   string
	ids    []fault.ID
}

// parts takes a plan apart: connection rules, rules, and the healthy pace.
func parts(plan fault.Plan) (connections, rules, pace []part) {
	for i, r := range plan.Connections {
		p := part{label: label("connections", i, r.Name), when: r.When, repeat: r.Repeat,
			whom: whom("connection", r.Nth, r.Probability, fault.Match{}), what: sayConnection(r.Fault), ids: connectionIDs(r.Fault)}
		p.all = r.Nth == "" && r.Probability == 0 && r.Repeat == fault.Repeat{}
		connections = append(connections, p)
	}
	// Where nobody listens no other rule is asked.
	slices.SortStableFunc(connections, func(a, b part) int { return cmp.Compare(refuses(b), refuses(a)) })
	for i, r := range plan.Rules {
		p := part{label: label("rules", i, r.Name), when: r.When, repeat: r.Repeat,
			whom: whom("request", r.Nth, r.Probability, r.Match), what: sayFault(r.Fault), ids: requestIDs(r.Fault)}
		p.all = p.whom == everyRequest && r.Repeat == fault.Repeat{} && r.Fault.Quota == nil && r.Fault.Statuses == nil
		rules = append(rules, p)
	}
	for i, e := range plan.Pace {
		p := part{label: label("pace", i, ""), when: e.When, repeat: e.Repeat,
			whom: whom("request", "", 0, e.Match), what: sayLatency(e.Latency)}
		p.all = p.whom == everyRequest && e.Repeat == fault.Repeat{}
		pace = append(pace, p)
	}
	return connections, rules, pace
}

func refuses(p part) int {
	if slices.Contains(p.ids, fault.IDRefuse) {
		return 1
	}
	return 0
}

func label(list string, i int, name string) string {
	return strings.TrimSpace(fmt.Sprintf("%s[%d] %s", list, i, format.Excerpt(name)))
}

// explain writes the whole explanation.
func explain(w io.Writer, tty term.Terminal, name string, plan fault.Plan) {
	connections, rules, pace := parts(plan)
	fmt.Fprintf(w, "%s: %s, seed %d\n", tty.Paint(term.Bold, name), size(plan), plan.Seed)
	all := slices.Concat(connections, rules, pace)
	if edges := edges(all); len(edges) > 1 || slices.ContainsFunc(all, part.flaps) {
		fmt.Fprintln(w)
		chart(w, tty, all)
	}
	writePhases(w, tty, connections, rules, pace)
	ids := []fault.ID{}
	for _, p := range all {
		ids = append(ids, p.ids...)
	}
	if plan.Capacity != nil {
		fmt.Fprintf(w, "\n%s\n", tty.Paint(term.Bold, "capacity"))
		for _, line := range sayCapacity(*plan.Capacity) {
			fmt.Fprint(w, term.Wrap(tty.Columns(), "  ", line))
		}
		ids = append(ids, capacityIDs(*plan.Capacity)...)
	}
	writeLegend(w, tty, ids)
}

func (p part) flaps() bool { return p.repeat.Every > 0 }

// holds says whether now is in the part's window and, if it flaps, in its turn.
func (p part) holds(now time.Duration) bool {
	return p.open(now) && (!p.flaps() || (now-p.when.From)%p.repeat.Every < p.repeat.For)
}

func (p part) open(now time.Duration) bool {
	return now >= p.when.From && (p.when.Until == 0 || now < p.when.Until)
}

// edges are the instants at which a window opens or closes, 0 included, in order.
func edges(all []part) []time.Duration {
	at := []time.Duration{0}
	for _, p := range all {
		at = append(at, p.when.From, p.when.Until)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// Bounds of what is drawn; a plan may have thousands of rules.
const (
	mostRows   = 60
	mostPhases = 40
	mostLabel  = 28
)

// chart draws a row for each part over one axis of time.
func chart(w io.Writer, tty term.Terminal, all []part) {
	room := 0
	for _, p := range all[:min(len(all), mostRows)] {
		room = max(room, min(utf8.RuneCountInString(p.label), mostLabel))
	}
	unit := axis(all)
	cells := (tty.Columns() - room - 4) / 4 * 4
	line := strings.Repeat(" ", room+2)
	for i := range 4 {
		line += fmt.Sprintf("%-*s", cells/4, moment(time.Duration(i)*unit))
	}
	fmt.Fprintln(w, tty.Paint(term.Dim, line+"→"))
	for i, p := range all {
		if i == mostRows {
			fmt.Fprintf(w, "and %s\n", format.Plural(len(all)-i, "more row"))
			return
		}
		fmt.Fprintf(w, "%-*s  %s\n", room, format.Truncate(p.label, room), bar(p, 4*unit, cells))
	}
}

// bar is full where the part holds, and half so where it does for some of the time
// that a cell stands for.
func bar(p part, span time.Duration, cells int) string {
	const samples = 8
	var b strings.Builder
	for i := range cells {
		held := 0
		for s := range samples {
			if p.holds(time.Duration(float64(span) * float64(i*samples+s) / float64(cells*samples))) {
				held++
			}
		}
		switch held {
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

// axis gives a round quarter of an axis that shows all that changes, and two turns
// of what flaps.
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

// writePhases says what a client meets between one edge and the next.
func writePhases(w io.Writer, tty term.Terminal, connections, rules, pace []part) {
	at := edges(slices.Concat(connections, rules, pace))
	for i, from := range at {
		if i == mostPhases {
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
		fmt.Fprintf(w, "\n%s\n", tty.Paint(term.Bold, title))
		for _, p := range meets(connections, from) {
			writePart(w, tty, p)
		}
		met := meets(rules, from)
		for _, p := range met {
			writePart(w, tty, p)
		}
		wait := sayPace(meets(pace, from))
		switch {
		case len(met) > 0 && !met[len(met)-1].all:
			fmt.Fprintln(w, "  the rest: healthy")
		case len(met) == 0 && wait == "":
			fmt.Fprintln(w, "  every request: healthy, at once")
		case len(met) == 0:
			fmt.Fprint(w, term.Wrap(tty.Columns(), "  ", "every request: healthy, after "+wait))
		}
		if len(met) > 0 && wait != "" {
			fmt.Fprint(w, term.Wrap(tty.Columns(), "  ", "each, struck or not, waits first: "+wait))
		}
	}
}

// sayPace says how long requests take; empty if they take no time.
func sayPace(paces []part) string {
	var each []string
	for _, p := range paces {
		said := p.what
		if only := strings.TrimPrefix(p.whom+turns(p), everyRequest); only != "" {
			said += " " + strings.TrimPrefix(only, ", ")
		}
		each = append(each, said)
	}
	if n := len(paces); n > 0 && !paces[n-1].all {
		each = append(each, "not at all")
	}
	return strings.Join(each, ", else ")
}

// meets gives the parts that are open from an edge on, up to the first that lets
// nothing past it.
func meets(list []part, from time.Duration) []part {
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

func writePart(w io.Writer, tty term.Terminal, p part) {
	fmt.Fprint(w, term.Wrap(tty.Columns(), "  ", p.whom+turns(p)+": "+p.what))
	tail := p.label
	for _, id := range p.ids {
		tail += " · " + string(id)
	}
	for line := range strings.Lines(term.Wrap(tty.Columns(), "    ", tail)) {
		fmt.Fprintln(w, tty.Paint(term.Dim, strings.TrimSuffix(line, "\n")))
	}
}

func turns(p part) string {
	if !p.flaps() {
		return ""
	}
	return fmt.Sprintf(", for %s of every %s", moment(p.repeat.For), moment(p.repeat.Every))
}

// writeLegend says what the ids mean.
func writeLegend(w io.Writer, tty term.Terminal, ids []fault.ID) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", tty.Paint(term.Bold, "the faults"))
	known := slices.DeleteFunc(catalog(), func(e fault.Entry) bool { return !slices.Contains(ids, e.ID) })
	widest := 0
	for _, e := range known {
		widest = max(widest, len(e.ID))
	}
	for _, e := range known {
		fmt.Fprint(w, term.Wrap(tty.Columns(), fmt.Sprintf("  %-*s  ", widest, e.ID), e.Purpose))
	}
}

// moment writes a time of the plan, which is not rounded: "0 s", "250 ms", "1.5 s",
// "1h30m0s".
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
