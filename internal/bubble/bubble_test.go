package bubble

import (
	"testing"
	"testing/synctest"
	"time"
)

// This fails with a version of Go that describes a bubble in another way.
func TestID(t *testing.T) {
	if ID() != 0 || Inside() {
		t.Errorf("outside, the bubble is %d, inside: %v", ID(), Inside())
	}
	seen := map[int]bool{}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			of := make(chan int)
			go func() { of <- ID() }()
			id := ID()
			if id == 0 || !Inside() || <-of != id {
				t.Errorf("in a bubble, it is %d, inside: %v", id, Inside())
			}
			seen[id] = true
			time.Sleep(25 * 365 * 24 * time.Hour)
			if ID() != id {
				t.Errorf("after many years it is %d, want %d", ID(), id)
			}
		})
	}
	if len(seen) != 2 {
		t.Errorf("two bubbles have the numbers %v", seen)
	}
}

func TestParse(t *testing.T) {
	for head, want := range map[string]int{
		"goroutine 7 [running, synctest bubble 12]:":                12,
		"goroutine 7 [running, synctest bubble 12, or anything]:":   0,
		"goroutine 7 [running]:":                                    0,
		"goroutine 7 [running, synctest bubble in another form 1]:": 0,
		"": 0,
	} {
		if got := parse([]byte(head)); got != want {
			t.Errorf("%q is bubble %d, want %d", head, got, want)
		}
	}
}
