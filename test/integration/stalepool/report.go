package main

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/interval"
	"github.com/holdfast-go/holdfast/internal/relay"
	"github.com/holdfast-go/holdfast/test/rivals"
)

// result is one contender's runs of one cell.
type result struct {
	Cell   cell      `json:"cell"`
	Client string    `json:"client"`
	Runs   []figures `json:"runs"`
	kind   rivals.Kind
}

func (r *result) isHoldfast() bool { return strings.HasPrefix(r.Client, "holdfast") }

// of returns the median of a figure and its interval: that of the sign test, or with
// fewer than six runs the lowest and the highest value.
func (r *result) of(figure func(figures) float64) (mid, low, high float64) {
	xs := make([]float64, len(r.Runs))
	lowest, highest := math.Inf(1), math.Inf(-1)
	for i, f := range r.Runs {
		xs[i] = figure(f)
		lowest, highest = min(lowest, xs[i]), max(highest, xs[i])
	}
	if mid, low, high = interval.OfMedian(xs); math.IsInf(low, -1) {
		low, high = lowest, highest
	}
	return mid, low, high
}

func failed(f figures) float64 { return float64(f.Failed) }
func opened(f figures) float64 { return float64(f.Opened) }
func told(f figures) float64   { return float64(f.Told) }
func seen(f figures) float64   { return float64(f.Served) + float64(f.Stale) }

// first is infinite without a success.
func first(f figures) float64 {
	if f.First < 0 {
		return math.Inf(1)
	}
	return f.First
}

// slack is the difference of times that the machine may make.
const slack = 10 // ms

// mark is a cell in which holdfast is worse than the best of the others, or does not
// tell what the service saw.
type mark struct {
	cell   cell
	client string
	why    string
}

// judge compares holdfast with the best of the others in each figure.
func judge(results []result) []mark {
	var marks []mark
	for i := range results {
		ours := &results[i]
		if !ours.isHoldfast() {
			continue
		}
		var others []*result
		for j := range results {
			if theirs := &results[j]; !theirs.isHoldfast() && theirs.Cell == ours.Cell {
				others = append(others, theirs)
			}
		}
		if why := worse(ours, others); len(why) > 0 {
			marks = append(marks, mark{ours.Cell, ours.Client, strings.Join(why, "; ")})
		}
	}
	return marks
}

func worse(ours *result, others []*result) (why []string) {
	fails, _, _ := ours.of(failed)
	dials, _, _ := ours.of(opened)
	_, soonest, _ := ours.of(first)
	fewest, fastest, least := math.Inf(1), math.Inf(1), math.Inf(1)
	for _, o := range others {
		n, _, _ := o.of(failed)
		fewest = min(fewest, n)
		_, _, latest := o.of(first)
		fastest = min(fastest, latest)
		if n <= fails {
			n, _, _ := o.of(opened)
			least = min(least, n)
		}
	}
	if fails > fewest {
		why = append(why, fmt.Sprintf("%s of %d calls failed, %s of the best", number(fails), calls, number(fewest)))
	}
	if soonest > fastest+slack && !math.IsInf(soonest, 1) {
		why = append(why, fmt.Sprintf("first success after %s ms, %s of the best", number(soonest), number(fastest)))
	}
	if dials > least {
		why = append(why, fmt.Sprintf("%s connections opened, %s of the best", number(dials), number(least)))
	}
	for _, f := range ours.Runs {
		if !honest(ours.Cell, f) {
			why = append(why, fmt.Sprintf("tells of %d attempts, and %s requests were sent", f.Told, number(seen(f))))
			break
		}
	}
	return why
}

// honest reports whether a client tells as many attempts as it sent requests. A stale
// connection of HTTP/1.1 carries one request. One of HTTP/2 may carry several, which
// the relay cannot count.
func honest(c cell, f figures) bool {
	if c.Proto == "HTTP/2" {
		return f.Told >= f.Served+int64(f.Stale)
	}
	return f.Told == f.Served+int64(f.Stale)
}

// text is one field of the table.
func text(r *result) string {
	fails, _, _ := r.of(failed)
	sent, _, _ := r.of(seen)
	said, _, _ := r.of(told)
	dials, _, _ := r.of(opened)
	says := "–"
	if said >= 0 {
		says = number(said)
	}
	return fmt.Sprintf("%s · %s/%s · %s · %s", number(fails), says, number(sent), number(dials), span(r.of(first)))
}

// span is a time with its interval, if that is wider than what is shown.
func span(mid, low, high float64) string {
	switch {
	case math.IsInf(mid, 1):
		return "never"
	case number(low) == number(high):
		return number(mid) + " ms"
	}
	return fmt.Sprintf("%s (%s to %s) ms", number(mid), number(low), number(high))
}

// number has two digits that count, and no fraction from ten on.
func number(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "∞"
	case x >= 10 || x == math.Trunc(x):
		return fmt.Sprintf("%.0f", x)
	default:
		return fmt.Sprintf("%.1f", x)
	}
}

// group is a table of the page: one fault and one protocol.
type group struct {
	fault   relay.Fault
	proto   string
	columns []string
	clients []string
	fields  map[[2]string]string // by client and column
}

func groups(results []result, marks []mark, sign string) []group {
	var all []group
	for i := range results {
		r := &results[i]
		if n := len(all); n == 0 || all[n-1].fault != r.Cell.Fault || all[n-1].proto != r.Cell.Proto {
			all = append(all, group{fault: r.Cell.Fault, proto: r.Cell.Proto, fields: map[[2]string]string{}})
		}
		g := &all[len(all)-1]
		column := r.Cell.column()
		if n := len(g.columns); n == 0 || g.columns[n-1] != column {
			g.columns = append(g.columns, column)
		}
		if len(g.columns) == 1 {
			g.clients = append(g.clients, r.Client)
		}
		field := text(r)
		for _, m := range marks {
			if m.cell == r.Cell && m.client == r.Client {
				field = sign + field
				break
			}
		}
		g.fields[[2]string{r.Client, column}] = field
	}
	return all
}

const sign = "▼ "

// table is for a terminal.
func table(results []result, marks []mark) string {
	var b strings.Builder
	for _, g := range groups(results, marks, sign) {
		fmt.Fprintf(&b, "\n%-26s", fmt.Sprint(g.fault, ", ", g.proto))
		for _, c := range g.columns {
			fmt.Fprintf(&b, " %-38s", c)
		}
		for _, client := range g.clients {
			fmt.Fprintf(&b, "\n%-26s", client)
			for _, c := range g.columns {
				fmt.Fprintf(&b, " %-38s", g.fields[[2]string{client, c}])
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\ncalls failed of %d · attempts told/requests sent · connections opened · time to the first success\n", calls)
	for _, m := range marks {
		fmt.Fprintf(&b, "%s%s, %s: %s\n", sign, m.cell, m.client, m.why)
	}
	return b.String()
}

// document is docs/stalepool.md.
func document(results []result, marks []mark, kinds []rivals.Kind, runs int) string {
	var versions []string
	for _, k := range kinds {
		versions = append(versions, k.Name+" "+k.Contender().Version)
	}
	var tables strings.Builder
	for _, g := range groups(results, marks, sign) {
		fmt.Fprintf(&tables, "\n### %s, %s\n\n| |", headings[g.fault], g.proto)
		for _, c := range g.columns {
			fmt.Fprintf(&tables, " %s |", c)
		}
		tables.WriteString("\n|---|" + strings.Repeat("---|", len(g.columns)) + "\n")
		for _, client := range g.clients {
			fmt.Fprintf(&tables, "| %s |", client)
			for _, c := range g.columns {
				fmt.Fprintf(&tables, " %s |", g.fields[[2]string{client, c}])
			}
			tables.WriteString("\n")
		}
	}
	verdict := "holdfast is worse than the best of the others in no cell, and tells of as many attempts as it sends requests.\n"
	if len(marks) > 0 {
		verdict = "Cells in which holdfast is worse than the best of the others:\n\n"
		for _, m := range marks {
			verdict += fmt.Sprintf("- %s, %s: %s\n", m.cell, m.client, m.why)
		}
	}
	return strings.NewReplacer(
		"{date}", time.Now().UTC().Format(time.DateOnly),
		"{go}", runtime.Version(), "{cpus}", fmt.Sprint(runtime.NumCPU()),
		"{runs}", fmt.Sprint(runs), "{dark}", fmt.Sprint(max(1, runs/3)), "{versions}", strings.Join(versions, " · "),
		"{tables}", tables.String(), "{verdict}", verdict,
		"{pooled}", fmt.Sprint(pooled), "{calls}", fmt.Sprint(calls), "{attempt}", terms.Attempt.String(),
		"{retries}", fmt.Sprint(retries), "{base}", terms.Base.String(), "{max}", terms.Max.String(), "{slack}", fmt.Sprint(slack),
	).Replace(page)
}

var headings = [...]string{relay.Reset: "Reset at the next use", relay.Finish: "FIN while idle", relay.Dark: "Dark"}

const page = `# Pools that go stale

A client keeps connections for the next call. Meanwhile a firewall or a load balancer may forget them, or the service may end them. The service is well, and new connections work: how does the next call find out?

Each client fills its pool with {pooled} connections, or over HTTP/2 with one that carries {pooled} streams. A relay on loopback then makes all of them stale, in one of three ways. {calls} calls follow, one after another. An attempt may take {attempt}. With retries, there are {retries} after {base}, doubling up to {max}. A POST carries an Idempotency-Key. ` + "`test/rivals`" + ` has the setup of each client. ` + "`make stalepool`" + ` prints these tables and writes this page and ` + "`test/integration/out/stalepool.json`" + `. It fails if a cell is marked.

| Fault | What becomes of a stale connection |
|---|---|
| **reset** | the client's next bytes are answered with RST |
| **finish** | it ends with FIN, and the client has time to notice |
| **dark** | every byte is dropped, in both directions |

Each field has four figures: failed calls of {calls} · attempts that the client tells / requests that it sent · connections opened · time to the first success. A request counts as sent if the service saw it, or if a stale connection took it: a stale connection of HTTP/1.1 takes one, one of HTTP/2 is counted once. A client that tells fewer attempts sends requests unseen.

{date}, {go}, {cpus} CPUs, {runs} runs, {dark} of dark cells: {versions}. Figures are medians over the runs, times with the 95 % interval of the median (sign test), or with fewer than six runs from the lowest to the highest.

{verdict}
▼ marks a cell in which holdfast has more failed calls than the best of the other clients, opens more connections than the best of those that fail as little, has its first success later by more than {slack} ms and outside the intervals, or tells of another number of attempts than of requests that it sent.

## Figures
{tables}`
