package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

// needsDialect reports whether a fault is one of what an API means: an answer that is
// healthy HTTP, which a client without knowledge of the API cannot tell from any
// other. The rules are for clients of HTTP.
func needsDialect(id fault.ID) bool {
	return strings.HasPrefix(string(id), "api.") || strings.HasPrefix(string(id), "stream.")
}

// Every fault of HTTP has a rule, every rule has a fault, a reason and a source, and
// every expectation is distinguishable from its opposite.
func TestRules(t *testing.T) {
	catalog := fault.Catalog()
	known := func(id fault.ID) bool {
		return slices.ContainsFunc(catalog, func(e fault.Entry) bool { return e.ID == id })
	}
	rules, seen := Rules(), map[string]bool{}
	for _, entry := range catalog {
		if !needsDialect(entry.ID) && !slices.ContainsFunc(rules, func(r Rule) bool { return r.Fault == entry.ID }) {
			t.Errorf("%s has no rule", entry.ID)
		}
	}
	for _, r := range rules {
		if seen[r.ID()] {
			t.Errorf("%s is the name of two rules", r.ID())
		}
		seen[r.ID()] = true
		if r.Between == nil && !r.H2 && !known(r.Fault) {
			t.Errorf("%s: there is no fault %s", r.ID(), r.Fault)
		}
		if r.Between == nil && r.H2 && !strings.HasPrefix(string(r.Fault), "h2.") {
			t.Errorf("%s is not a fault of HTTP/2", r.ID())
		}
		if r.Why == "" || len(r.Sources) == 0 || slices.Contains(r.Sources, "") {
			t.Errorf("%s gives no reason or no source", r.ID())
		}
		if err := r.Plan.Validate(); err != nil {
			t.Errorf("%s: %v", r.ID(), err)
		}
		for contender, reason := range r.Losses {
			if contender == "" || reason == "" {
				t.Errorf("%s: %q loses because of %q", r.ID(), contender, reason)
			}
		}
		switch r.Want {
		case Answered, Refused, Honest, Undetectable:
		default:
			t.Errorf("%s wants %q", r.ID(), r.Want)
		}
		if r.Most != 0 && r.Least > r.Most {
			t.Errorf("%s wants at least %d and at most %d requests", r.ID(), r.Least, r.Most)
		}
	}
	if Bound >= Usual.Deadline {
		t.Error("a client that only the caller's deadline ends is within the bound")
	}
}
