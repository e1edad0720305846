package outcome

import (
	"testing"
	"time"
)

// The zero outcome is Unknown: a missing assignment neither closes nor opens a
// breaker.
func TestZero(t *testing.T) {
	var zero Result
	if zero.Outcome != Unknown {
		t.Errorf("the zero outcome is %v", zero.Outcome)
	}
}

func TestString(t *testing.T) {
	for o, want := range map[Outcome]string{
		Unknown: "unknown", Success: "success", Transient: "transient",
		Throttled: "throttled", Permanent: "permanent", Canceled: "canceled",
		Canceled + 1: "invalid",
	} {
		if got := o.String(); got != want {
			t.Errorf("Outcome(%d) is %q, want %q", uint8(o), got, want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := Spread(30 * time.Second); got != 3*time.Second {
		t.Errorf("got %v", got)
	}
}
