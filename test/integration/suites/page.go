package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// group is the differences of a suite that have one reason.
type group struct {
	kind, reason, bare, through string
	tests                       []string
}

func (r *result) groups() (all []group) {
	for _, d := range r.Differences {
		i := slices.IndexFunc(all, func(g group) bool {
			return g.kind == d.Kind && g.reason == d.Reason && g.bare == d.Bare && g.through == d.Through
		})
		if i < 0 {
			all, i = append(all, group{d.Kind, d.Reason, d.Bare, d.Through, nil}), len(all)
		}
		all[i].tests = append(all[i].tests, d.Test)
	}
	return all
}

func (c counts) String() string {
	return fmt.Sprintf("%d · %d · %d", c.Passed, c.Failed, c.Skipped)
}

// document is docs/suites.md.
func document(results []*result) string {
	var summary, details, unsteady, leftOut strings.Builder
	var bare, via counts
	var roundTrips, differ, moving int
	var took time.Duration
	first, latest := results[0].Date, ""
	for _, r := range results {
		took += time.Duration(r.Seconds) * time.Second
		first, latest = min(first, r.Date), max(latest, r.Date)
		fmt.Fprintf(&summary, "| %s | %s | %s | %s | %d | %d | %d |\n",
			r.Suite, r.Version, r.Bare, r.Through, r.RoundTrips, len(r.Differences), len(r.Unsteady))
		bare.sum(r.Bare)
		via.sum(r.Through)
		roundTrips, differ, moving = roundTrips+r.RoundTrips, differ+len(r.Differences), moving+len(r.Unsteady)
		if len(r.Differences) > 0 {
			fmt.Fprintf(&details, "\n### %s\n\n| Tests | Bare | Through holdfast | Kind | Reason |\n|---|---|---|---|---|\n", r.Suite)
			for _, g := range r.groups() {
				fmt.Fprintf(&details, "| %s | %s | %s | %s | %s |\n",
					code(g.tests), g.bare, g.through, cmp.Or(g.kind, "-"), cmp.Or(g.reason, "**none is known**"))
			}
		}
		for _, u := range r.Unsteady {
			fmt.Fprintf(&unsteady, "| %s | %s | %d of %d | %d of %d | %s | %s |\n", r.Suite, code([]string{u.Test}),
				u.Bare, u.Of, u.Through, u.OfOther, cmp.Or(u.Kind, "-"), cmp.Or(u.Reason, "none is known"))
		}
	}
	fmt.Fprintf(&summary, "| **all** | | %s | %s | %d | %d | %d |\n", bare, via, roundTrips, differ, moving)
	for _, s := range suites() {
		if s.why != "" {
			fmt.Fprintf(&leftOut, "- %s: %s\n", s.Name, s.why)
		}
	}
	if details.Len() == 0 {
		details.WriteString("\nNo test differs.\n")
	}
	moves := "All tests have the same result in all runs of a kind.\n"
	if unsteady.Len() > 0 {
		moves = "| Suite | Test | Fails bare | Fails through holdfast | Kind | Reason |\n|---|---|---|---|---|---|\n" + unsteady.String()
	}
	date := first
	if latest != first {
		date += " to " + latest
	}
	return strings.NewReplacer(
		"{date}", date, "{go}", runtime.Version(), "{cpus}", fmt.Sprint(runtime.NumCPU()),
		"{took}", took.Round(time.Minute).String(), "{config}", results[0].Config, "{suites}", fmt.Sprint(len(results)), "{runs}", fmt.Sprint(2+again),
		"{summary}", summary.String(), "{details}", details.String(), "{unsteady}", moves, "{leftOut}", leftOut.String(),
		"{again}", fmt.Sprint(again),
	).Replace(page)
}

func (c *counts) sum(d counts) {
	c.Passed, c.Failed, c.Skipped = c.Passed+d.Passed, c.Failed+d.Failed, c.Skipped+d.Skipped
}

// code writes names as code that a table can hold.
func code(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "`" + strings.ReplaceAll(n, "|", `\|`) + "`"
	}
	return strings.Join(quoted, ", ")
}

const page = `# Other people's tests through holdfast

The [SDK transport](sdks.md) is meant to be a drop-in that other people's code does not notice. This page puts that to the test: it runs {suites} public Go test suites, bare and with every round trip of their ` + "`http.Client`" + `s through holdfast. A test that has another result through holdfast is listed with its reason.

` + "`make suites`" + ` downloads the modules, runs their tests, and writes this page and ` + "`test/integration/out/suites.json`" + `, which has the output of each test that differs. It fails if a difference has no reason in ` + "`test/integration/suites/reasons.json`" + `. ` + "`make suites ARGS='-suite connect'`" + ` runs one suite, and keeps the results of the others.

## How it works

- Each test program is compiled once, with a copy of ` + "`net/http`" + ` in which ` + "`http.Client`" + ` asks a hook for its RoundTripper. The copy is made from the installed Go, and the command fails if it does not find the place. In a bare run there is no hook.
- The hook gives every RoundTripper, and every origin, a client of holdfast with ` + "`WithTransport`" + ` around the RoundTripper, and ` + "`Client.Transport()`" + ` of it to the ` + "`http.Client`" + `. The breaker, the bulkhead, the retries and all limits are on. All settings are the defaults, but for the waits between attempts, which are 1 to 10 ms. A module's own retries stay on, because its tests are about them.
- A function as a RoundTripper cannot be compared, so it gets a new client for each request.
- A suite runs bare, through holdfast and bare again. Tests that differ run {again} times more of each kind. A test **differs** if it has one result in all bare runs and another one in all runs through holdfast. Other changes are **unsteady**.
- Tests run with ` + "`-short`" + `. Subtests count.

Not covered: code that calls ` + "`RoundTrip`" + ` of a transport without an ` + "`http.Client`" + `, and code that asks an ` + "`http.Client`" + ` for its ` + "`Transport`" + ` field, which stays as it was. ` + "`httputil.ReverseProxy`" + ` and elastic-transport-go call ` + "`RoundTrip`" + ` themselves, so these calls are patched too. Requests of ` + "`net/http`" + `'s own tests to a transport without a client stay bare. Some tests that are slow by themselves are left out:

{leftOut}
## Results

{date}, {go}, {cpus} CPUs, {took} with compilation, summed over the suites; configuration {config}. The versions are those of ` + "`test/integration/suites/suite.go`" + `. The numbers of tests are passed · failed · skipped. Round trips are those that went through holdfast.

| Suite | Version | Bare | Through holdfast | Round trips | Differ | Unsteady |
|---|---|---|---|---|---|---|
{summary}
## Differences

| Kind | Meaning |
|---|---|
| documented | the test rules out what holdfast's documents promise, such as retries |
| defect | a fault of holdfast |
| limit | the test looks at what the hook replaces, or at what no other RoundTripper around a transport can keep |
{details}
## Unsteady tests

{unsteady}`
