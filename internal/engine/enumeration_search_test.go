package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// key is the canonical form of a state: from two states with the same key the same
// steps are possible.
type key [24]byte

// kind classifies the edges of the state graph. The models define the numbers; the
// tables in enumeration_test.go list the kinds that must occur.
type kind struct{ move, where, how uint8 }

// edge is a kind and the caller that makes the step.
type edge struct {
	kind
	who int
}

// emit receives an edge, the state that it leads to, and the rule that the step
// broke, empty if it broke none.
type emit[S any] func(by edge, next *S, broken string)

// search visits all states of a model, breadth first.
type search[S any] struct {
	key   func(*S) key
	moves func(*S, emit[S])
	rules func(*S) string // checks a state; the broken rule, or empty
	text  func(kind) string

	seen   map[key]bool
	origin []origin // of each state, in the order in which they were found
	taken  map[kind]int
	edges  int
	broken map[string]string // the first way to break each rule
}

// origin is the edge by which a state was first reached, on a shortest path.
type origin struct {
	parent int
	by     edge
}

const (
	// tooManyStates is ten times the states of the largest configuration. A search
	// that reaches it has a key with a number that grows.
	tooManyStates = 1_000_000
	// After these many broken rules, or states once a rule is broken, a search ends.
	enoughBroken     = 4
	statesOnceBroken = 100_000
)

func (s *search[S]) run(t *testing.T, start S) {
	s.seen, s.taken, s.broken = map[key]bool{s.key(&start): true}, map[kind]int{}, map[string]string{}
	s.origin = []origin{{parent: -1}}
	if rule := s.rules(&start); rule != "" {
		t.Fatalf("broken at the start: %s", rule)
	}
	first, layer := 0, []S{start} // layer holds the states from number first
	for len(layer) > 0 {
		var next []S
		for i := range layer {
			s.moves(&layer[i], func(by edge, n *S, broken string) {
				s.edges++
				s.taken[by.kind]++
				if broken != "" {
					s.breaks(broken, first+i, by)
					return
				}
				k := s.key(n)
				if s.seen[k] {
					return
				}
				s.seen[k] = true
				if rule := s.rules(n); rule != "" {
					s.breaks(rule, first+i, by)
					return // no need to continue from a broken state
				}
				s.origin = append(s.origin, origin{first + i, by})
				next = append(next, *n)
			})
			if len(s.broken) >= enoughBroken || len(s.broken) > 0 && len(s.origin) > statesOnceBroken {
				next = nil
				break
			}
			if len(s.origin) > tooManyStates {
				t.Fatalf("the search does not close: more than %d states", tooManyStates)
			}
		}
		first, layer = first+len(layer), next
	}
	for _, rule := range slices.Sorted(maps.Keys(s.broken)) {
		t.Errorf("broken: %s\n%s", rule, s.broken[rule])
	}
}

// breaks keeps the path to the step that broke a rule.
func (s *search[S]) breaks(rule string, at int, by edge) {
	if s.broken[rule] != "" {
		return
	}
	way := []edge{by}
	for ; s.origin[at].parent >= 0; at = s.origin[at].parent {
		way = append(way, s.origin[at].by)
	}
	slices.Reverse(way)
	var b strings.Builder
	for i, e := range way {
		fmt.Fprintf(&b, "\t%2d. caller %d: %s\n", i+1, e.who, s.text(e.kind))
	}
	s.broken[rule] = b.String()
}

// expectKinds fails if a listed kind of edge never occurred, or an unlisted one did.
func expectKinds(t *testing.T, want map[kind]bool, taken map[kind]int, text func(kind) string) {
	t.Helper()
	byText := func(a, b kind) int { return strings.Compare(text(a), text(b)) }
	for _, k := range slices.SortedFunc(maps.Keys(want), byText) {
		if taken[k] == 0 {
			t.Errorf("never taken: %s", text(k))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(taken), byText) {
		if !want[k] {
			t.Errorf("taken %d times, but not in the table: %s", taken[k], text(k))
		}
	}
}
