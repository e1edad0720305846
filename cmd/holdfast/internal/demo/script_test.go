package demo

import (
	"testing"
	"time"
)

func TestScript(t *testing.T) {
	for _, length := range []time.Duration{3 * time.Second, 15 * time.Second, 60 * time.Second} {
		s := newScript(length)
		if err := s.plan(1).Validate(); err != nil {
			t.Errorf("%v: %v", length, err)
		}
		for i, p := range s.phases {
			from := time.Duration(0)
			if i > 0 {
				from = s.phases[i-1].Until
			}
			if p.From != from || s.at(p.From) != i || s.at(p.Until-1) != i {
				t.Errorf("%v: phase %s from %v to %v is not the %d. without a gap", length, p.name, p.From, p.Until, i)
			}
		}
		if end := s.phases[4].Until; end != length {
			t.Errorf("%v: the last phase ends at %v", length, end)
		}
	}
	// A client that waits after the last 429 must not collect too many calls.
	if s := newScript(usualLength); s.throttling.Until-s.throttling.From >= retryAfter {
		t.Errorf("refusing for %v; must be less than the %v that it asks for", s.throttling.Until-s.throttling.From, retryAfter)
	}
}
