package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// result is what a race has shown.
type result struct {
	race     race
	holdfast figures // medians over all pairs of the race
	duels    []duel
	allocs   verdict // on maxAllocs; empty without it
}

type duel struct {
	rival rival
	figures
	estimate
}

// figures are per operation.
type figures struct {
	ns, cpu, bytes, allocs float64
}

func printHead(w io.Writer, pairs int) {
	fmt.Fprintf(w, "holdfast bench · %s %s/%s, %d CPUs · pairs A B A B, %d to %d\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), pairs, maxPairs)
	if v := versions(); len(v) > 0 {
		fmt.Fprintln(w, strings.Join(v, " · "))
	}
	fmt.Fprintf(w, "ratio: holdfast's time to that line's, median and 95 %% interval\n\n")
	fmt.Fprintf(w, "%-34s %8s %8s %6s %6s   %6s  %-16s %-10s %5s  %s\n",
		"per operation", "ns", "cpu ns", "B", "allocs", "ratio", "95 % interval", "bar", "pairs", "verdict")
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", r.race.name)
	tail := ""
	if r.race.maxAllocs != nil {
		tail = fmt.Sprintf("   %6s  %-16s %-10s %5s  %s", "", "", fmt.Sprintf("≤ %g allocs", *r.race.maxAllocs), "", r.allocs)
	}
	printLine(w, r.race.holdfast.name, r.holdfast, tail)
	for _, d := range r.duels {
		bar := ""
		if d.rival.bar != nil {
			bar = fmt.Sprintf("≤ %g", *d.rival.bar)
		}
		printLine(w, d.rival.name, d.figures, fmt.Sprintf("   %6.3f  %-16s %-10s %5d  %s",
			d.ratio, fmt.Sprintf("%.3f to %.3f", d.low, d.high), bar, d.pairs, d.verdict))
	}
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

// printVerdict ends the report and says whether all bars are met.
func printVerdict(w io.Writer, results []result, file string) bool {
	bars, unmet := 0, []string{}
	for _, row := range rows(results) {
		if row.Bar == nil {
			continue
		}
		bars++
		switch {
		case row.Verdict == holds:
		case row.Ratio == nil:
			unmet = append(unmet, fmt.Sprintf("%s: %g, bar %g: %s", row.Name, row.Allocs, *row.Bar, row.Verdict))
		default:
			unmet = append(unmet, fmt.Sprintf("%s: %.3f of %s (%.3f to %.3f), bar %g: %s",
				row.Name, *row.Ratio, row.RatioTo, *row.Low, *row.High, *row.Bar, row.Verdict))
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

// row is one line of bench.json. Every figure is the contender's, per operation.
// A row of holdfast's has one rival in ratio_to, or is about its allocations
// (name ends in ": allocations"; bar is their number). A rival's row has figures
// only; null and "" say that there is nothing to say.
type row struct {
	Name      string   `json:"name"`
	Contender string   `json:"contender"`
	NS        float64  `json:"ns"`
	CPUNS     float64  `json:"cpu_ns"`
	Bytes     float64  `json:"bytes"`
	Allocs    float64  `json:"allocs"`
	RatioTo   string   `json:"ratio_to"`
	Ratio     *float64 `json:"ratio"`
	Low       *float64 `json:"low"`
	High      *float64 `json:"high"`
	Bar       *float64 `json:"bar"`
	Verdict   verdict  `json:"verdict"`
}

func rows(results []result) []row {
	var all []row
	for _, r := range results {
		line := func(name, contender string, f figures) row {
			return row{Name: name, Contender: contender, NS: f.ns, CPUNS: f.cpu, Bytes: f.bytes, Allocs: f.allocs}
		}
		if r.race.maxAllocs != nil {
			ours := line(r.race.name+": allocations", r.race.holdfast.name, r.holdfast)
			ours.Bar, ours.Verdict = r.race.maxAllocs, r.allocs
			all = append(all, ours)
		}
		for _, d := range r.duels {
			ours := line(r.race.name, r.race.holdfast.name, r.holdfast)
			ours.RatioTo, ours.Bar, ours.Verdict = d.rival.name, d.rival.bar, d.verdict
			ours.Ratio, ours.Low, ours.High = &d.ratio, &d.low, &d.high
			all = append(all, ours, line(r.race.name, d.rival.name, d.figures))
		}
	}
	return all
}

func writeJSON(path string, results []result) error {
	data, err := json.MarshalIndent(rows(results), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
