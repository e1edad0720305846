package main

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/interval"
)

// result is one contender's runs.
type result struct {
	Client  string    `json:"client"`
	Version string    `json:"version"`
	Runs    []figures `json:"runs"`
}

// columns of the table.
var columns = []struct {
	name string
	of   func(figures) float64
}{
	{"attempts per call", func(f figures) float64 { return f.Attempts }},
	{"done twice", func(f figures) float64 { return f.Doubled }},
	{"p50 ms", func(f figures) float64 { return f.P50 }},
	{"p99 ms", func(f figures) float64 { return f.P99 }},
	{"back to 95 %, ms", func(f figures) float64 { return f.Back }},
	{"connections", func(f figures) float64 { return f.Connections }},
	{"CPU µs per call", func(f figures) float64 { return f.CPU }},
}

// cell is a median, and its interval if there are runs enough for one.
func cell(r result, of func(figures) float64) string {
	xs := make([]float64, len(r.Runs))
	for i, f := range r.Runs {
		xs[i] = of(f)
	}
	mid, low, high := interval.OfMedian(xs)
	if math.IsInf(low, -1) || low == high {
		return number(mid)
	}
	return fmt.Sprintf("%s (%s to %s)", number(mid), number(low), number(high))
}

// number has three digits that count.
func number(x float64) string {
	switch {
	case x >= 100 || x == math.Trunc(x):
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3g", x)
	}
}

// table is for a terminal.
func table(results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s", "")
	for _, c := range columns {
		fmt.Fprintf(&b, " %-24s", c.name)
	}
	for _, r := range results {
		fmt.Fprintf(&b, "\n%-26s", r.Client)
		for _, c := range columns {
			fmt.Fprintf(&b, " %-24s", cell(r, c.of))
		}
	}
	return b.String() + "\n"
}

// document is docs/outage.md.
func document(results []result, runs int) string {
	var versions []string
	var rows strings.Builder
	rows.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(&rows, " %s |", c.name)
	}
	rows.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, r := range results {
		versions = append(versions, r.Client+" "+r.Version)
		fmt.Fprintf(&rows, "| %s |", r.Client)
		for _, c := range columns {
			fmt.Fprintf(&rows, " %s |", cell(r, c.of))
		}
		rows.WriteString("\n")
	}
	return strings.NewReplacer(
		"{date}", time.Now().UTC().Format(time.DateOnly),
		"{go}", runtime.Version(), "{cpus}", fmt.Sprint(runtime.NumCPU()),
		"{runs}", fmt.Sprint(runs), "{versions}", strings.Join(versions, " · "),
		"{rows}", rows.String(),
		"{rate}", fmt.Sprint(rate), "{failure}", failure.String(), "{threshold}", fmt.Sprint(threshold), "{open}", openFor.String(),
		"{retries}", fmt.Sprint(terms.Retries), "{base}", terms.Base.String(), "{max}", terms.Max.String(),
	).Replace(page)
}

const page = `# One outage, many clients

A service that answers in 2 ms fails for {failure}: 503, one in ten of them after the work was done. {rate} calls a second arrive all the while, each in a goroutine of its own, whatever became of those before: four in five are a GET, the others a POST without a key of the caller's. All clients are set up to the same terms: {retries} retries after {base}, doubling up to {max}; a breaker, where there is one, that opens after {threshold} failures for {open}. ` + "`make outage`" + ` prints this table and writes this page and ` + "`test/integration/out/outage.json`" + `; ` + "`test/integration/contenders`" + ` has how each is set up.

{date}, {go}, {cpus} CPUs, {runs} runs: {versions}.

{rows}
Medians over the runs, with the 95 % interval of the median (sign test) where there are six runs or more. Every run has a schedule of its own, the same for all, and an outage that begins at another phase of a breaker's {open}, so that no probe is lucky in all of them.

- **holdfast** counts an operation as one failure, however many attempts it took, so that its breaker opens after {threshold} failed calls; the breakers of the others lie inside the retries and open after {threshold} failed attempts. **holdfast, attempts counted** is the same client with ` + "`Breaker.CountAttempts`" + `: like with like. **holdfast, one probe** counts so too, and sends a half-open breaker's probes one at a time (` + "`Breaker.HalfOpenMaxCalls: 1`" + `), as resty does; the others send up to three.
- **attempts per call**: requests that reached the service in the outage, for each call that was due in it. 1 is no mercy and no help; a breaker brings it near 0.
- **done twice**: work of POSTs that was done a second time. Who does not repeat a POST without a key has none, and who repeats it under a key of its own has none either.
- **p50, p99**: how long callers waited whose call was due in the outage, answered or not. With an open breaker nearly all are refused at once.
- **back to 95 %**: after the end of the outage, until of the calls of a quarter of a second 95 % are answered. A breaker that is open when the service comes back cannot know it before its next probe: the {open} are spent to half on average.
- **connections** that were opened in all. **CPU** is the client's and the service's together.
`
