package demo

import (
	"slices"
	"testing"
	"time"
)

func TestArrivals(t *testing.T) {
	due := arrivals(1, 15*time.Second)
	if len(due) != 12_000 {
		t.Fatalf("%d arrivals, want 12,000", len(due))
	}
	if !slices.IsSorted(due) || due[0] < 0 || due[len(due)-1] >= 15*time.Second {
		t.Errorf("arrivals from %v to %v, want them in order within 15 s", due[0], due[len(due)-1])
	}
	if !slices.Equal(due, arrivals(1, 15*time.Second)) {
		t.Error("the same seed gave other arrivals")
	}
	if slices.Equal(due, arrivals(2, 15*time.Second)) {
		t.Error("another seed gave the same arrivals")
	}
}
