// Package leak counts goroutines that outlive the code that started them.
package leak

import (
	"runtime"
	"time"
)

// Count returns how many goroutines there are more than before. It waits up to two
// seconds for some to end: a closed connection's end a moment later.
func Count(before int) int {
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if n := runtime.NumGoroutine() - before; n <= 0 || time.Now().After(until) {
			return max(n, 0)
		}
	}
}
