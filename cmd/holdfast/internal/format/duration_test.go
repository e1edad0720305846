package format

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	const ms = time.Millisecond
	for d, want := range map[time.Duration]string{
		0: "0 ns", 850: "850 ns", 2 * time.Microsecond: "2 µs", 20_540: "21 µs", 9_949 * time.Microsecond: "9.9 ms",
		9_960 * time.Microsecond: "10 ms", 277 * ms: "277 ms", 999_600 * time.Microsecond: "1 s",
		1031 * ms: "1 s", 2100 * ms: "2.1 s", 15 * time.Second: "15 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestElapsed(t *testing.T) {
	if got, want := Elapsed(6150*time.Millisecond), "   6.2 s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
