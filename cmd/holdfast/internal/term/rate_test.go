package term

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	var r Rate
	count := int64(0)
	for i := 1; i <= 40; i++ {
		now := time.Duration(i) * 100 * time.Millisecond
		count += 80
		if i > 20 { // twice as fast
			count += 80
		}
		got := r.Measure(now, count)
		switch {
		case i <= 20 && got != 800, i > 30 && got != 1600:
			t.Errorf("at %v: %d a second", now, got)
		}
	}
}
