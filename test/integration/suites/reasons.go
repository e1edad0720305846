package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// reasonsJSON says why tests differ.
//
//go:embed reasons.json
var reasonsJSON []byte

// The kinds of reasons.
var kinds = []string{
	"documented", // a promise of holdfast's documents, which the test rules out
	"defect",     // of holdfast, to be mended
	"limit",      // of this comparison: the test looks at what the hook replaces
}

// reason is why the tests of a suite with names that match an expression differ.
type reason struct {
	Suite  string `json:"suite"`
	Tests  string `json:"tests"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`

	tests *regexp.Regexp
	used  bool
}

type reasons []*reason

func readReasons(text []byte) (all reasons, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("reasons.json: %w", err)
	}
	for i, r := range all {
		if r.tests, err = regexp.Compile("^(?:" + r.Tests + ")$"); err != nil {
			return nil, fmt.Errorf("reasons.json: entry %d: %w", i, err)
		}
		if !slices.Contains(kinds, r.Kind) {
			return nil, fmt.Errorf("reasons.json: entry %d has kind %q: must be one of %q", i, r.Kind, kinds)
		}
		known := slices.ContainsFunc(suites(), func(s suite) bool { return s.Name == r.Suite })
		if r.Reason == "" || r.Tests == "" || !known {
			return nil, fmt.Errorf("reasons.json: entry %d: suite %q must be the name of a suite, and tests and reason must be set", i, r.Suite)
		}
	}
	return all, nil
}

// explain sets the reasons of the differences and, where they are known, of the unsteady
// tests.
func (all reasons) explain(r *result) {
	for i := range r.Differences {
		d := &r.Differences[i]
		d.Kind, d.Reason = all.of(r.Suite, d.Test)
	}
	for i := range r.Unsteady {
		u := &r.Unsteady[i]
		u.Kind, u.Reason = all.of(r.Suite, u.Test)
	}
}

// of returns the first reason that matches.
func (all reasons) of(suite, test string) (kind, why string) {
	for _, r := range all {
		if r.Suite == suite && r.tests.MatchString(test) {
			r.used = true
			return r.Kind, r.Reason
		}
	}
	return "", ""
}

// unused returns the reasons that no difference needs.
func (all reasons) unused() (names []string) {
	for _, r := range all {
		if !r.used {
			names = append(names, r.Suite+": "+r.Tests)
		}
	}
	return names
}
