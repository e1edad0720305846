package explain

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

func TestMoment(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Nanosecond: "0.000001 ms", 250 * time.Millisecond: "250 ms", 1500 * time.Millisecond: "1.5 s",
		90 * time.Second: "90 s", 90 * time.Minute: "1h30m0s",
	} {
		if got := moment(d); got != want {
			t.Errorf("moment(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestAxis(t *testing.T) {
	window := func(from, until time.Duration) part { return part{when: fault.Window{From: from, Until: until}} }
	for _, tt := range []struct {
		all  []part
		want time.Duration
	}{
		{[]part{window(5*time.Second, 30*time.Second)}, 10 * time.Second},
		{[]part{window(0, 100*time.Millisecond)}, 50 * time.Millisecond},
		{[]part{window(4*time.Second, 0)}, 2 * time.Second},
		{[]part{{repeat: fault.Repeat{Every: 20 * time.Second, For: time.Second}}}, 20 * time.Second},
	} {
		if got := axis(tt.all); got != tt.want {
			t.Errorf("axis(%+v) = %s, want %s", tt.all, got, tt.want)
		}
	}
	if got := fmt.Sprint(edges([]part{window(5, 9), window(5, 0)})); got != "[0s 5ns 9ns]" {
		t.Errorf("edges are %s", got)
	}
}
