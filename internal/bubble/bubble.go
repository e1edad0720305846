// Package bubble reports the bubble of testing/synctest in which code runs. Real sockets
// and the objects of another bubble fail there in ways that do not name the cause: a test
// that never ends, or a fatal error of the runtime.
package bubble

import (
	"bytes"
	"runtime"
	"strconv"
	"time"
)

// beginning is before the clock of every program that runs now. That of a bubble starts
// in the year 2000.
const beginning = 2020

// Inside reports whether the caller is in a bubble. Without one it costs a look at the clock.
func Inside() bool { return time.Now().Year() < beginning && ID() != 0 }

// ID returns the number of the caller's bubble, 0 outside of all. It reads the trace of the
// goroutine, the only place that has it. If a later version of Go writes it in another way,
// it is 0.
func ID() int {
	var trace [96]byte
	head, _, _ := bytes.Cut(trace[:runtime.Stack(trace[:], false)], []byte{'\n'})
	return parse(head)
}

// parse reads the number from "goroutine 7 [running, synctest bubble 2]:".
func parse(head []byte) int {
	_, rest, ok := bytes.Cut(head, []byte("synctest bubble "))
	if !ok {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte{']'})
	n, _ := strconv.Atoi(string(digits))
	return n
}
