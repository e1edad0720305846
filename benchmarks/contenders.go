package main

import (
	"context"
	"time"
)

// work is what every contender guards. Here it does nothing; the tests pass
// work that fails, hangs or counts, to see that the guards are really there.
type work func(context.Context) (int, error)

//go:noinline
func nothing(context.Context) (int, error) { return 1, nil }

// contender is one library's way of doing one thing. rig builds its parts
// around do and returns the operation: n calls one after the other, safe from
// several goroutines, an error if a call went other than the race says.
//
// Each is written the way its library is cheapest for this use: what can be
// built once is built in rig, and only what a caller must do per call is timed.
type contender struct {
	name string
	rig  func(do work) func(n int) error
}

// The settings all contenders share.
const (
	threshold      = 15
	openTimeout    = time.Hour // an open breaker stays open while it is measured
	slots          = 16
	retries        = 3
	attemptTimeout = time.Minute
)

// race is one thing done by holdfast and by others.
type race struct {
	name      string
	procs     int
	holdfast  contender
	rivals    []rival
	maxAllocs *float64 // of holdfast, per operation
}

// rival is whom holdfast is compared with, and the bar for the ratio of
// holdfast's time to its own; nil where the figure is only shown.
type rival struct {
	contender
	bar   *float64
	procs int // the race's, if 0
}

// races is the table; the bars are the project's own.
//
// Every contender gets the same context, context.Background(): the cost of
// registering with a parent that can be cancelled is the parent's.
var races = []race{
	{
		name: "breaker closed, 1 CPU", procs: 1, holdfast: holdfastBreaker, maxAllocs: new(0.0),
		rivals: []rival{{contender: gobreakerClosed, bar: new(0.1)}, {contender: failsafeBreaker}},
	},
	{
		name: "breaker closed, 2 CPUs", procs: 2, holdfast: holdfastBreaker,
		rivals: []rival{
			{contender: gobreakerClosed, bar: new(0.1)},
			{contender: failsafeBreaker},
			{contender: contender{"holdfast, 1 CPU", holdfastBreaker.rig}, bar: new(1.0), procs: 1},
		},
	},
	{
		name: "breaker open, 1 CPU", procs: 1, holdfast: holdfastOpen, maxAllocs: new(0.0),
		rivals: []rival{{contender: gobreakerOpen, bar: new(1.0)}, {contender: failsafeOpen}},
	},
	{
		name: "breaker open, 2 CPUs", procs: 2, holdfast: holdfastOpen,
		rivals: []rival{{contender: gobreakerOpen, bar: new(1.0)}, {contender: failsafeOpen}},
	},
	{
		name: "bulkhead, free slot", procs: 1, holdfast: holdfastBulkhead, maxAllocs: new(0.0),
		rivals: []rival{{contender: semaphoreFree, bar: new(0.6)}, {contender: failsafeBulkhead}},
	},
	{
		name: "retry, first try works", procs: 1, holdfast: holdfastRetry, maxAllocs: new(1.0),
		rivals: []rival{{contender: backoffRetry, bar: new(0.5)}, {contender: failsafeRetry}},
	},
	{
		name: "breaker, retry, bulkhead, attempt timeout", procs: 1, holdfast: holdfastStack, maxAllocs: new(2.0),
		rivals: []rival{{contender: assembledStack, bar: new(0.25)}, {contender: failsafeStack, bar: new(0.125)}},
	},
}
