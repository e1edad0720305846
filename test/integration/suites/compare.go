package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// again is the number of further runs, bare and through holdfast, of the tests that
// differ.
const again = 2

// result is the comparison of a suite.
type result struct {
	Suite       string       `json:"suite"`
	Version     string       `json:"version"`
	Config      string       `json:"config"`
	Date        string       `json:"date"`
	Seconds     int          `json:"seconds"` // with compilation
	Bare        counts       `json:"bare"`    // of the first of two runs
	Through     counts       `json:"through"`
	RoundTrips  int          `json:"round_trips"` // through holdfast
	Differences []difference `json:"differences"`
	Unsteady    []unsteady   `json:"unsteady"`
}

// counts are numbers of tests, subtests included.
type counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (c *counts) add(all outcomes) {
	for _, o := range all {
		switch o.result {
		case passed:
			c.Passed++
		case failed:
			c.Failed++
		case skipped:
			c.Skipped++
		}
	}
}

// difference is a test that has one result in all bare runs, and another one in all
// runs through holdfast.
type difference struct {
	Test    string `json:"test"`
	Bare    string `json:"bare"`
	Through string `json:"through"`
	Kind    string `json:"kind,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Output  string `json:"output,omitempty"`
}

// unsteady is a test with a result that changes between runs of the same kind.
type unsteady struct {
	Test    string `json:"test"`
	Bare    int    `json:"bare_failed"`
	Through int    `json:"through_failed"`
	Of      int    `json:"bare_runs"`
	OfOther int    `json:"through_runs"`
	Kind    string `json:"kind,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Output  string `json:"output,omitempty"`
}

// compare runs the programs of a suite bare, through holdfast and bare again, and then
// the tests that differ some more times.
func compare(ctx context.Context, s suite, programs []program, config string) (*result, error) {
	r := &result{Suite: s.Name, Version: s.Version, Config: config}
	for _, p := range programs {
		fmt.Fprintf(os.Stderr, "  %s\n", p.pkg)
		var bare, via []outcomes
		timeout := programTimeout
		run := func(config string, only []string) error {
			all, n, err := s.tests(ctx, p, config, only, timeout)
			if err != nil {
				return err
			}
			if config == "" {
				bare = append(bare, all)
			} else {
				via = append(via, all)
				if only == nil {
					r.RoundTrips += n
				}
			}
			return nil
		}
		for _, c := range []string{"", config, ""} {
			began := time.Now()
			if err := run(c, nil); err != nil {
				return nil, err
			}
			if timeout == programTimeout {
				timeout = 2*time.Since(began) + spare
			}
		}
		r.Bare.add(bare[0])
		r.Through.add(via[0])
		if doubtful := differing(bare, via); len(doubtful) > 0 {
			var names []string
			for _, name := range doubtful {
				names = append(names, top(name))
			}
			slices.Sort(names)
			names = slices.Compact(names)
			for range again {
				for _, c := range []string{"", config} {
					if err := run(c, names); err != nil {
						return nil, err
					}
				}
			}
			r.judge(s.prefix(p.pkg), doubtful, bare, via)
		}
	}
	return r, nil
}

// prefix is what the names of a package's tests begin with: nothing for the package
// that has the suite's name.
func (s suite) prefix(pkg string) string {
	base := s.Module
	if base == "" {
		base = s.Packages[0]
	}
	if pkg = strings.TrimPrefix(strings.TrimPrefix(pkg, base), "/"); pkg != "" {
		pkg += "."
	}
	return pkg
}

// differing returns the tests that do not have the same result in all runs. It leaves
// out a test if its subtests say the same, and subtests that did not run because the test
// failed before.
func differing(bare, via []outcomes) []string {
	names := map[string]bool{}
	for _, all := range slices.Concat(bare, via) {
		for name := range all {
			names[name] = true
		}
	}
	differs := map[string]bool{}
	for name := range names {
		for _, all := range slices.Concat(bare[1:], via) {
			if all[name].result != bare[0][name].result {
				differs[name] = true
			}
		}
	}
	var kept []string
	for _, name := range slices.Sorted(maps.Keys(differs)) {
		subtest := func(other string) bool {
			return strings.HasPrefix(other, name+"/") && via[0][other].result == failed && bare[0][other].result != failed
		}
		isParent := false
		for other := range differs {
			isParent = isParent || subtest(other)
		}
		if isParent && via[0][name].result == failed {
			continue
		}
		if parent := parentOf(name); parent != "" && differs[parent] && (via[0][name].result == "" || bare[0][name].result == "") {
			continue
		}
		kept = append(kept, name)
	}
	return kept
}

func parentOf(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ""
	}
	return name[:i]
}

// judge tells the tests that differ from those that are unsteady.
func (r *result) judge(prefix string, doubtful []string, bare, via []outcomes) {
	for _, name := range doubtful {
		bareResult, steady := same(bare, name)
		viaResult, viaSteady := same(via, name)
		output := ""
		for _, all := range via {
			if o := all[name].output; o != "" {
				output = o
			}
		}
		switch {
		case !steady || !viaSteady:
			r.Unsteady = append(r.Unsteady, unsteady{
				Test: prefix + name, Bare: failures(bare, name), Through: failures(via, name),
				Of: len(bare), OfOther: len(via), Output: output,
			})
		case bareResult != viaResult:
			r.Differences = append(r.Differences, difference{Test: prefix + name, Bare: bareResult, Through: viaResult, Output: output})
		}
	}
}

// same returns the result of a test if all runs have the same.
func same(runs []outcomes, name string) (string, bool) {
	for _, all := range runs[1:] {
		if all[name].result != runs[0][name].result {
			return "", false
		}
	}
	if r := runs[0][name].result; r != "" {
		return r, true
	}
	return "does not run", true
}

func failures(runs []outcomes, name string) (n int) {
	for _, all := range runs {
		if all[name].result == failed {
			n++
		}
	}
	return n
}

// String is for a terminal.
func (r *result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %-14s bare %+v, through %+v, %d round trips, %d differences, %d unsteady\n",
		r.Suite, r.Version, r.Bare, r.Through, r.RoundTrips, len(r.Differences), len(r.Unsteady))
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "    %s: bare %s, through holdfast %s: %s\n", d.Test, d.Bare, d.Through, cmp.Or(d.Reason, "NO REASON"))
	}
	for _, u := range r.Unsteady {
		fmt.Fprintf(&b, "    unsteady: %s: fails in %d of %d bare runs, in %d of %d through holdfast: %s\n",
			u.Test, u.Bare, u.Of, u.Through, u.OfOther, cmp.Or(u.Reason, "no reason is known"))
	}
	return b.String()
}
