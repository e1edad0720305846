package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

// result is the result of a race.
type result struct {
	race   race
	lead   figures // medians over all pairs of the race
	duels  []duel
	allocs verdict // on maxAllocs; empty without it
}

type duel struct {
	entrant entrant
	figures
	estimate
	extra  float64 // extra allocations of the judged side
	allocs verdict // on extra; empty without a bar
}

// figures are per operation.
type figures struct {
	ns, cpu, bytes, allocs float64
}

func printHead(w io.Writer, pairs int) {
	fmt.Fprintf(w, "holdfast bench · %s %s/%s, %d CPUs · pairs A B A B, %d to %d\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), pairs, maxPairs)
	for v := versions(); len(v) > 0; {
		line := v[:min(5, len(v))]
		v = v[len(line):]
		fmt.Fprintln(w, strings.Join(line, " · "))
	}
	now, since := clockPrice()
	fmt.Fprintf(w, "a look at the clock: time.Now %.0f ns, time.Since %.0f ns\n", now, since)
	fmt.Fprintf(w, "ratio: holdfast's time to that line's, median and 95 %% interval, where the race says nothing else\n\n")
	fmt.Fprintf(w, "%-34s %8s %8s %6s %6s   %6s  %-16s %-12s %5s  %s\n",
		"per operation", "ns", "cpu ns", "B", "allocs", "ratio", "95 % interval", "bar", "pairs", "verdict")
}

// clockPrice returns the machine's cost of reading the clock in ns, the best of
// a few runs. It differs between machines more than any other cost, and a bar
// in absolute time depends on it.
func clockPrice() (now, since float64) {
	const looks = 100_000
	best := func(look func(time.Time)) float64 {
		least := math.Inf(1)
		for range 5 {
			begin := time.Now()
			for range looks {
				look(begin)
			}
			least = min(least, float64(time.Since(begin))/looks)
		}
		return least
	}
	return best(func(time.Time) { _ = time.Now() }), best(func(t time.Time) { _ = time.Since(t) })
}

// quantity describes the compared quantity if it differs from the head's.
func (r race) quantity() string {
	switch {
	case r.gauge == more && r.toLead:
		return ": CPU time above the first line's"
	case r.gauge == more:
		return ": holdfast's CPU time above that line's"
	case r.gauge == cpu && r.toLead:
		return ": ratio of CPU time to the first line's"
	}
	return ""
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s%s\n", r.race.name, r.race.quantity())
	tail := ""
	if r.race.maxAllocs != nil {
		tail = comparison("", "", fmt.Sprintf("≤ %g allocs", *r.race.maxAllocs), "", r.allocs)
	}
	printLine(w, r.race.lead.name, r.lead, tail)
	for _, d := range r.duels {
		figure, bar := "%.3f", "≤ %g"
		if r.race.gauge == more {
			figure, bar = "%+.0f", "≤ %+g ns"
		}
		if d.entrant.bar == nil {
			bar = ""
		} else {
			bar = fmt.Sprintf(bar, *d.entrant.bar)
		}
		printLine(w, d.entrant.name, d.figures, comparison(fmt.Sprintf(figure, d.value),
			fmt.Sprintf(figure+" to "+figure, d.low, d.high), bar, fmt.Sprint(d.pairs), d.verdict))
		if d.allocs != "" {
			fmt.Fprintf(w, "%-66s%s\n", "    its allocations", comparison(fmt.Sprintf("%+.4g", d.extra), "", fmt.Sprintf("≤ %+g", *d.entrant.moreAllocs), "", d.allocs))
		}
	}
}

func comparison(figure, interval, bar, pairs string, v verdict) string {
	return fmt.Sprintf("   %6s  %-16s %-12s %5s  %s", figure, interval, bar, pairs, v)
}

func printLine(w io.Writer, name string, f figures, tail string) {
	line := fmt.Sprintf("  %-32s %8s %8s %6.0f %6.4g%s", name, nanos(f.ns), nanos(f.cpu), f.bytes, f.allocs, tail)
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

func nanos(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// printVerdict ends the report and reports whether all bars are met.
func printVerdict(w io.Writer, findings []finding, file string) bool {
	bars, unmet := 0, []string{}
	for _, row := range rows(findings) {
		if row.Bar == nil {
			continue
		}
		bars++
		switch {
		case row.Verdict == holds:
		case row.Low == nil:
			unmet = append(unmet, fmt.Sprintf("%s, %s: %s %g, bar %g: %s", row.Name, row.Contender, row.Gauge, *row.Value, *row.Bar, row.Verdict))
		default:
			unmet = append(unmet, fmt.Sprintf("%s, %s: %s %.3f to %s (%.3f to %.3f), bar %g: %s",
				row.Name, row.Contender, row.Gauge, *row.Value, row.To, *row.Low, *row.High, *row.Bar, row.Verdict))
		}
	}
	fmt.Fprintln(w)
	if len(unmet) == 0 {
		fmt.Fprintf(w, "Holds: all %d bars. Figures in %s.\n", bars, file)
		return true
	}
	fmt.Fprintf(w, "Does not hold: %d of %d bars. Figures in %s.\n", len(unmet), bars, file)
	for _, line := range unmet {
		fmt.Fprintf(w, "  %s\n", line)
	}
	return false
}

// row is one entry of bench.json. The first figures are the contender's, per
// operation; zero if they were not measured. value is the gauge's figure of
// contender compared with to. null and "" mean none.
//
//	"time", "cpu"      the ratio of the times
//	"extra ns"         the difference of the CPU times
//	"allocs"           the contender's own
//	"extra allocs"     the difference
//	"extra goroutines" the difference
type row struct {
	Name      string   `json:"name"`
	Contender string   `json:"contender"`
	NS        float64  `json:"ns"`
	CPUNS     float64  `json:"cpu_ns"`
	Bytes     float64  `json:"bytes"`
	Allocs    float64  `json:"allocs"`
	To        string   `json:"to"`
	Gauge     string   `json:"gauge"`
	Value     *float64 `json:"value"`
	Low       *float64 `json:"low"`
	High      *float64 `json:"high"`
	Bar       *float64 `json:"bar"`
	Verdict   verdict  `json:"verdict"`
}

var gaugeNames = [...]string{elapsed: "time", cpu: "cpu", more: "extra ns"}

func (r result) rows() []row {
	line := func(contender string, f figures) row {
		return row{Name: r.race.name, Contender: contender, NS: f.ns, CPUNS: f.cpu, Bytes: f.bytes, Allocs: f.allocs}
	}
	lead := line(r.race.lead.name, r.lead)
	if r.race.maxAllocs != nil {
		lead.Gauge, lead.Value, lead.Bar, lead.Verdict = "allocs", &r.lead.allocs, r.race.maxAllocs, r.allocs
	}
	all := []row{lead}
	for _, d := range r.duels {
		judged, other := line(r.race.lead.name, r.lead), line(d.entrant.name, d.figures)
		all = append(all, other)
		if r.race.toLead {
			judged, other = other, judged
		}
		judged.To = other.Contender
		if d.allocs != "" {
			allocs := judged
			allocs.Gauge, allocs.Value, allocs.Bar, allocs.Verdict = "extra allocs", &d.extra, d.entrant.moreAllocs, d.allocs
			all = append(all, allocs)
		}
		judged.Gauge, judged.Value, judged.Low, judged.High = gaugeNames[r.race.gauge], &d.value, &d.low, &d.high
		judged.Bar, judged.Verdict = d.entrant.bar, d.verdict
		all = append(all, judged)
	}
	return all
}

func rows(findings []finding) (all []row) {
	for _, f := range findings {
		all = append(all, f.rows()...)
	}
	return all
}

func writeJSON(path string, findings []finding) error {
	data, err := json.MarshalIndent(rows(findings), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

const fence = "```\n"

// writePage writes the report into the first fenced block of a page.
func writePage(path, report string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(page), fence)
	_, after, ends := strings.Cut(rest, "\n"+fence)
	if !begins || !ends {
		return fmt.Errorf("%s: has no block between lines of %q for the report", path, strings.TrimSpace(fence))
	}
	return os.WriteFile(path, []byte(before+fence+strings.TrimRight(report, "\n")+"\n"+fence+after), 0o644)
}
