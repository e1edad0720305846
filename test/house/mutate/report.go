package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The statuses of a change in gremlins' report.
const (
	killed     = "KILLED"
	lived      = "LIVED"
	timedOut   = "TIMED OUT"
	notViable  = "NOT VIABLE"
	notCovered = "NOT COVERED"
)

// A tally counts changes by their status.
type tally map[string]int

// noticed is the percentage of the changes that a test noticed. Changes that do
// not compile or that make the tests endless are not counted. It is 0 if none is left.
func (t tally) noticed() float64 {
	all := t[killed] + t[lived] + t[notCovered]
	if all == 0 {
		return 0
	}
	return 100 * float64(t[killed]) / float64(all)
}

// files are the tallies of one part, by file name.
type files map[string]tally

func (f files) total() tally {
	sum := tally{}
	for _, t := range f {
		for status, n := range t {
			sum[status] += n
		}
	}
	return sum
}

// read reads gremlins' report of one part.
func read(report []byte) (files, error) {
	var out struct {
		Files []struct {
			Name      string `json:"file_name"`
			Mutations []struct{ Status string }
		}
	}
	if err := json.Unmarshal(report, &out); err != nil {
		return nil, err
	}
	all := files{}
	for _, f := range out.Files {
		all[f.Name] = tally{}
		for _, m := range f.Mutations {
			all[f.Name][m.Status]++
		}
	}
	return all, nil
}

// table has a line for each file and each part.
func table(parts []part, results []files) string {
	var b strings.Builder
	row := func(name string, t tally) {
		fmt.Fprintf(&b, "%-42s %7d %8d %7d %15d %6.1f %%\n",
			name, t[killed], t[lived]+t[notCovered], t[timedOut], t[notViable], t.noticed())
	}
	fmt.Fprintf(&b, "%-42s %7s %8s %7s %15s\n", "", "noticed", "survived", "endless", "does not build")
	for i, p := range parts {
		for _, name := range slices.Sorted(maps.Keys(results[i])) {
			row("  "+p.dir+"/"+name, results[i][name])
		}
		row(p.dir, results[i].total())
	}
	return b.String()
}

// check returns an error that names every part below its threshold.
func check(parts []part, results []files) error {
	var low []error
	for i, p := range parts {
		if got := results[i].total().noticed(); got < p.least {
			low = append(low, fmt.Errorf("%s: the tests notice %.1f %% of the changes, less than %g %%", p.dir, got, p.least))
		}
	}
	return errors.Join(low...)
}
