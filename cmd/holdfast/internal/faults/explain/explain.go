package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/catalog"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
)

// write writes the description of a plan.
func write(w io.Writer, terminal term.Terminal, name string, plan fault.Plan) {
	connections, rules, pace := parts(plan)
	fmt.Fprintf(w, "%s: %s, seed %d\n", terminal.Paint(term.Bold, name), plans.Summary(plan), plan.Seed)
	all := slices.Concat(connections, rules, pace)
	if edges := edges(all); len(edges) > 1 || slices.ContainsFunc(all, part.flaps) {
		fmt.Fprintln(w)
		chart(w, terminal, all)
	}
	writePhases(w, terminal, connections, rules, pace)
	ids := []fault.ID{}
	for _, p := range all {
		ids = append(ids, p.ids...)
	}
	if plan.Capacity != nil {
		fmt.Fprintf(w, "\n%s\n", terminal.Paint(term.Bold, "capacity"))
		for _, line := range describeCapacity(*plan.Capacity) {
			fmt.Fprint(w, term.Wrap(terminal.Columns(), "  ", line))
		}
		ids = append(ids, capacityIDs(*plan.Capacity)...)
	}
	writeLegend(w, terminal, ids)
}

// writeLegend describes the IDs.
func writeLegend(w io.Writer, terminal term.Terminal, ids []fault.ID) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", terminal.Paint(term.Bold, "the faults"))
	known := slices.DeleteFunc(catalog.All(), func(e fault.Entry) bool { return !slices.Contains(ids, e.ID) })
	catalog.WriteTable(w, terminal, "  ", known)
}

// part is one entry of a plan: a rule, a connection rule or a pace.
type part struct {
	label    string // its place in the plan, and its name
	when     fault.Window
	repeat   fault.Repeat
	selector string
	all      bool // it selects everything in its time, so later parts have no effect
	effect   string
	ids      []fault.ID
}

// flaps reports whether the part is on and off in turns.
func (p part) flaps() bool { return p.repeat.Every > 0 }

// applies reports whether the part applies at an instant.
func (p part) applies(now time.Duration) bool {
	return p.open(now) && (!p.flaps() || (now-p.when.From)%p.repeat.Every < p.repeat.For)
}

// open reports whether an instant is in the window of the part.
func (p part) open(now time.Duration) bool {
	return now >= p.when.From && (p.when.Until == 0 || now < p.when.Until)
}

// parts returns the parts of a plan: connection rules, rules, and the pace of healthy
// answers.
func parts(plan fault.Plan) (connections, rules, pace []part) {
	for i, r := range plan.Connections {
		p := part{label: label("connections", i, r.Name), when: r.When, repeat: r.Repeat,
			selector: describeSelector("connection", r.Nth, r.Probability, fault.Match{}), effect: describeConnection(r.Fault), ids: connectionIDs(r.Fault)}
		p.all = r.Nth == "" && r.Probability == 0 && r.Repeat == fault.Repeat{}
		connections = append(connections, p)
	}
	// Without a listener no other rule applies.
	slices.SortStableFunc(connections, func(a, b part) int { return cmp.Compare(refuses(b), refuses(a)) })
	for i, r := range plan.Rules {
		p := part{label: label("rules", i, r.Name), when: r.When, repeat: r.Repeat,
			selector: describeSelector("request", r.Nth, r.Probability, r.Match), effect: describeFault(r.Fault), ids: requestIDs(r.Fault)}
		p.all = p.selector == everyRequest && r.Repeat == fault.Repeat{} && r.Fault.Quota == nil && r.Fault.Statuses == nil
		rules = append(rules, p)
	}
	for i, e := range plan.Pace {
		p := part{label: label("pace", i, ""), when: e.When, repeat: e.Repeat,
			selector: describeSelector("request", "", 0, e.Match), effect: describeLatency(e.Latency)}
		p.all = p.selector == everyRequest && e.Repeat == fault.Repeat{}
		pace = append(pace, p)
	}
	return connections, rules, pace
}

// refuses is 1 for a part that refuses connections, 0 for another.
func refuses(p part) int {
	if slices.Contains(p.ids, fault.IDRefuse) {
		return 1
	}
	return 0
}

// label is the place of a part in the plan, and its name.
func label(list string, i int, name string) string {
	return strings.TrimSpace(fmt.Sprintf("%s[%d] %s", list, i, format.Excerpt(name)))
}
