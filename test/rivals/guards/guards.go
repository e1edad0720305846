// Package guards puts the breakers, bulkheads and retries of other libraries
// around a function, all with the same settings. Benchmarks compare holdfast with
// them.
package guards

import (
	"context"
	"errors"
	"time"
)

// Work is the function that a guard calls.
type Work func(context.Context) (int, error)

// Guard is one library's way to guard a function.
type Guard struct {
	Name string
	// Rig builds the parts of the library around do and returns the operation: n
	// calls one after another, safe for concurrent use. It fails if a call ends in
	// an error, or if an open breaker admits it.
	//
	// Each guard is written the way its library is cheapest: Rig builds what can be
	// reused, and the operation does what a caller has to do per call.
	Rig func(do Work) func(n int) error
}

// The settings of all guards.
const (
	Threshold      = 15        // consecutive failures that open a breaker
	OpenTimeout    = time.Hour // longer than a measurement
	Permits        = 16        // calls that a bulkhead admits at once
	Retries        = 3
	AttemptTimeout = time.Minute
)

// ErrAdmitted means that an open breaker admitted a call.
var ErrAdmitted = errors.New("an open breaker admitted a call")

var errDown = errors.New("down")
