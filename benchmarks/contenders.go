package main

import (
	"context"
	"errors"
	"runtime"

	"github.com/holdfast-go/holdfast/test/rivals/guards"
)

// work is the function that a contender guards. By default it does nothing. The
// tests pass work that fails, hangs or counts, and check that the guards act.
type work = guards.Work

//go:noinline
func nothing(context.Context) (int, error) { return 1, nil }

// selects is work as most of it is: it waits for an answer, and looks at its
// context meanwhile. The answer is there already.
func selects(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-answer:
		return 1, nil
	}
}

var answer = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// yields lets other goroutines run while it holds its permit, so that they have to
// wait for one.
func yields(context.Context) (int, error) {
	runtime.Gosched()
	return 1, nil
}

var errDown = errors.New("down")

// thirdTime works every third time.
func thirdTime() work {
	calls := 0
	return func(context.Context) (int, error) {
		if calls++; calls%3 != 0 {
			return 0, errDown
		}
		return calls, nil
	}
}

// contender is one library's way of doing one thing. rig is that of guards.Guard.
type contender struct {
	name string
	rig  func(do work) func(n int) error
	// elsewhere measures the contender in another process; nil for this one.
	elsewhere meter
}

// rival is a guard of another library.
func rival(g guards.Guard) contender { return contender{name: g.Name, rig: g.Rig} }

// The settings that all contenders share.
const (
	threshold      = guards.Threshold
	openTimeout    = guards.OpenTimeout
	permits        = guards.Permits
	retries        = guards.Retries
	attemptTimeout = guards.AttemptTimeout
	crowd          = 64 // callers at once, where there are many
)

// load is how a contender is driven.
type load struct {
	procs   int // CPUs
	callers int // goroutines; one for each CPU, if 0
}

// race compares contenders that do the same thing. The lead is measured in turn with
// each of the others.
type race struct {
	name string
	load
	gauge     gauge
	work      func() work // nothing, if nil
	lead      contender
	maxAllocs *float64 // of the lead, per operation
	others    []entrant
	// toLead inverts the comparison: the others are compared with the lead.
	toLead bool
}

// entrant is one of the others, and the bars for its comparison with the lead. A nil
// bar means that the figure is only shown.
type entrant struct {
	contender
	bar        *float64 // for the gauge
	moreAllocs *float64 // for the extra allocations of the side that is compared
	load       *load    // the race's, if nil
}

func (r race) title() string { return r.name }

// races is the table; the bars are the project's own.
//
// Every contender gets the same context, context.Background(): the cost of
// registering with a parent that can be cancelled is the parent's.
var races = []race{
	{
		name: "breaker closed, 1 CPU", load: load{procs: 1}, lead: holdfastBreaker, maxAllocs: new(0.0),
		others: []entrant{
			{contender: rival(guards.GobreakerClosed), bar: new(0.1)}, {contender: rival(guards.FailsafeBreaker)}, {contender: rival(guards.ResiliencyBreaker)}, {contender: rival(guards.HystrixClosed)},
		},
	},
	{
		name: "breaker closed, 2 CPUs", load: load{procs: 2}, lead: holdfastBreaker,
		others: []entrant{
			{contender: rival(guards.GobreakerClosed), bar: new(0.1)},
			{contender: rival(guards.FailsafeBreaker)},
			{contender: contender{name: "holdfast, 1 CPU", rig: holdfastBreaker.rig}, bar: new(1.0), load: &load{procs: 1}},
		},
	},
	{
		name: "breaker open, 1 CPU", load: load{procs: 1}, lead: holdfastOpen, maxAllocs: new(0.0),
		others: []entrant{{contender: rival(guards.GobreakerOpen), bar: new(1.0)}, {contender: rival(guards.FailsafeOpen)}, {contender: rival(guards.ResiliencyOpen)}, {contender: rival(guards.HystrixOpen)}},
	},
	{
		name: "breaker open, 2 CPUs", load: load{procs: 2}, lead: holdfastOpen,
		others: []entrant{{contender: rival(guards.GobreakerOpen), bar: new(1.0)}, {contender: rival(guards.FailsafeOpen)}},
	},
	{
		name: "bulkhead, free permit", load: load{procs: 1}, lead: holdfastBulkhead, maxAllocs: new(0.0),
		others: []entrant{{contender: rival(guards.SemaphoreFree), bar: new(0.6)}, {contender: rival(guards.FailsafeBulkhead)}, {contender: rival(guards.ResiliencySemaphore)}},
	},
	{
		name: "bulkhead, 64 callers, 1 CPU", load: load{1, crowd}, work: func() work { return yields }, lead: holdfastPatientBulkhead,
		others: []entrant{{contender: rival(guards.SemaphoreFree), bar: new(1.0)}, {contender: rival(guards.FailsafeBulkhead)}},
	},
	{
		name: "bulkhead, 64 callers, 2 CPUs", load: load{2, crowd}, work: func() work { return yields }, lead: holdfastPatientBulkhead,
		others: []entrant{{contender: rival(guards.SemaphoreFree), bar: new(1.0)}, {contender: rival(guards.FailsafeBulkhead)}},
	},
	{
		name: "the same with a limit for the wait, 1 CPU", load: load{1, crowd}, work: func() work { return yields }, lead: holdfastBulkhead,
		others: []entrant{{contender: rival(guards.SemaphoreTimed), bar: new(1.0)}, {contender: rival(guards.ResiliencySemaphore)}},
	},
	{
		name: "retry, first try works", load: load{procs: 1}, lead: holdfastRetry, maxAllocs: new(1.0),
		others: []entrant{
			{contender: rival(guards.BackoffRetry), bar: new(0.5)}, {contender: rival(guards.FailsafeRetry)}, {contender: rival(guards.ResiliencyRetry)}, {contender: rival(guards.AvastRetry)},
		},
	},
	{
		name: "retry, third try works, no wait", load: load{procs: 1}, work: thirdTime, lead: holdfastAtOnce,
		others: []entrant{
			{contender: rival(guards.BackoffAtOnce)}, {contender: rival(guards.FailsafeAtOnce), bar: new(1.0)}, {contender: rival(guards.ResiliencyAtOnce)}, {contender: rival(guards.AvastAtOnce)},
		},
	},
	{
		name: "breaker, retry, bulkhead, attempt timeout", load: load{procs: 1}, lead: holdfastStack, maxAllocs: new(2.0),
		others: []entrant{
			{contender: rival(guards.AssembledStack), bar: new(0.25)}, {contender: rival(guards.FailsafeStack), bar: new(0.125)},
			{contender: rival(guards.ResiliencyStack)}, {contender: rival(guards.HystrixStack)},
		},
	},
	{
		name: "the same around a function that selects on Done", load: load{procs: 1}, work: func() work { return selects }, lead: holdfastStack,
		others: []entrant{{contender: rival(guards.AssembledStack), bar: new(1.0)}, {contender: rival(guards.FailsafeStack), bar: new(0.4)}},
	},
	{
		name: "the same with a silent logger", load: load{procs: 1}, gauge: more, lead: holdfastLoggedStack,
		others: []entrant{{contender: contender{name: "without", rig: holdfastStack.rig}, bar: new(100.0), moreAllocs: new(0.0)}},
	},
	{
		name: "client around a transport that answers at once", load: load{procs: 1}, gauge: more, lead: holdfastLoggedClient,
		others: []entrant{{contender: holdfastUncounted, bar: new(100.0), moreAllocs: new(0.0)}},
	},
	{
		name: "Registry.Get, 1 CPU", load: load{procs: 1}, lead: registryGet, maxAllocs: new(0.0),
		others: []entrant{{contender: syncMapLoad, bar: new(2.0)}},
	},
	{
		name: "Registry.Get, 2 CPUs", load: load{procs: 2}, lead: registryGet,
		others: []entrant{
			{contender: syncMapLoad},
			{contender: contender{name: "Registry.Get, 1 CPU", rig: registryGet.rig}, bar: new(1.0), load: &load{procs: 1}},
		},
	},
}

// httpRaces go over loopback sockets to a server in a process of its own, so that
// its CPU time is not theirs. They are judged by CPU time: what a round trip
// takes is mostly the kernel's, and how long it takes is the machine's.
var httpRaces = []race{
	{
		name: "HTTP/1.1 round trip, 1 caller", load: load{2, 1}, gauge: cpu, lead: bareHTTP, toLead: true,
		others: []entrant{
			{contender: holdfastDo, bar: new(1.15), moreAllocs: new(14.0)},
			{contender: holdfastGet, bar: new(1.15), moreAllocs: new(20.0)},
			{contender: holdfastDoInDeadline, moreAllocs: new(14.0)},
		},
	},
	{
		name: "HTTP/1.1 round trip, 64 callers", load: load{2, crowd}, gauge: cpu, lead: bareHTTP, toLead: true,
		others: []entrant{
			{contender: holdfastDo, bar: new(1.15)},
			{contender: holdfastGet, bar: new(1.15)},
			{contender: retryableHTTP},
			{contender: restyHTTP},
			{contender: failsafeHTTP},
			{contender: heimdallHTTP},
		},
	},
	{
		name: "one Read of a response body", load: load{procs: 1}, gauge: more, lead: bareBody, toLead: true,
		others: []entrant{{contender: holdfastBody, bar: new(100.0), moreAllocs: new(0.0)}},
	},
}
