package format

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration writes a duration with two digits and one unit: "2.1 s", "277 ms".
func Duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if v := float64(d) / float64(u.unit); v >= 0.9995 {
			if v < 9.95 {
				return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + u.name
			}
			return strconv.FormatFloat(v, 'f', 0, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + " ns"
}

// Elapsed writes the time since the beginning in a column: "   6.2 s".
func Elapsed(d time.Duration) string { return fmt.Sprintf("%6.1f s", d.Seconds()) }
