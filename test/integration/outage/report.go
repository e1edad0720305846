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

// cell returns a median, with its interval if there are enough runs.
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

// number formats x with three significant digits.
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

// table returns the results for a terminal.
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

// document returns the text of docs/outage.md.
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

A service answers in 2 ms and then fails for {failure} with 503. One in ten of these answers comes after the work was done. Meanwhile {rate} calls arrive each second: a new call does not wait for earlier calls, and each has its own goroutine. Four of five calls are a GET. The others are a POST without a key from the caller.

All clients have the same settings: {retries} retries after {base}, doubling up to {max}. If a client has a breaker, it opens after {threshold} failures for {open}. ` + "`test/rivals`" + ` has the setup of each client. ` + "`make outage`" + ` prints this table and writes this page and ` + "`test/integration/out/outage.json`" + `.

{date}, {go}, {cpus} CPUs, {runs} runs: {versions}.

{rows}
The figures are medians over the runs. With six or more runs, the 95 % interval of the median (sign test) follows. Each run has its own schedule, the same for all clients. The outage starts at a different point of a breaker's {open} in each run, so no client is lucky in all of them.

| Client | Difference |
|---|---|
| **holdfast** | its breaker counts an operation with any number of attempts as one failure, so it opens after {threshold} failed calls. The breakers of the other clients are inside the retries and open after {threshold} failed attempts |
| **holdfast, attempts counted** | the same client with ` + "`Breaker.CountAttempts`" + `. Compare this one with the other clients |
| **holdfast, one probe** | also counts attempts, and sends a half-open breaker's probes one at a time (` + "`Breaker.HalfOpenMaxCalls: 1`" + `), as resty does. The others send up to three |

| Column | Meaning |
|---|---|
| **attempts per call** | requests that reached the service during the outage, per call in the outage. 1 is the load without retries and without a breaker. A breaker brings it near 0 |
| **done twice** | work of POSTs that was done a second time. It is 0 for a client that does not retry a POST without a key, and for a client that retries it with a key of its own |
| **p50 ms, p99 ms** | duration of the calls that were made during the outage, answered or not. With an open breaker, nearly all calls are rejected at once |
| **back to 95 %, ms** | time from the end of the outage until 95 % of the calls within a quarter of a second are answered. An open breaker notices that the service is back only with its next probe, on average after half of {open} |
| **connections** | connections opened in total |
| **CPU µs per call** | CPU time of the client and the service together |
`
