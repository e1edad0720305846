package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The enumeration runs all steps of two and three callers of a breaker, and of up to
// four callers of a bulkhead, in every order, until there is no new state. It has
// no limit of depth: the keys leave out what makes no difference, so that the
// states are finitely many.
//
// Each possible kind of edge is in a table here, and the enumeration fails if one
// never occurs. enumeration_plants_test.go checks that it finds known bugs.

// configuration is one search.
type configuration struct {
	name string
	run  func(*testing.T) (states, edges int, taken map[kind]int)
}

func enumerate(t *testing.T, all []configuration, want map[kind]bool, text func(kind) string) {
	var mu sync.Mutex
	ran, taken := 0, map[kind]int{}
	t.Run("all", func(t *testing.T) { // returns at the end of all
		for _, c := range all {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				states, edges, kinds := c.run(t)
				t.Logf("%d states, %d edges, %d kinds of edge", states, edges, len(kinds))
				mu.Lock()
				defer mu.Unlock()
				ran++
				for k, n := range kinds {
					taken[k] += n
				}
			})
		}
	})
	if ran == len(all) { // and not a selection by -run
		expectKinds(t, want, taken, text)
	}
}

func TestEnumerateBreaker(t *testing.T) {
	var all []configuration
	for _, fine := range []bool{false, true} {
		for callers := 2; callers <= most; callers++ {
			for probes := 1; probes <= 2; probes++ {
				m := &breakerModel{callers: callers, probes: probes, fine: fine, merged: callers == 3 && probes == 2}
				all = append(all, configuration{
					fmt.Sprintf("%d callers, %d probes, %s", callers, probes, grain(fine)),
					func(t *testing.T) (int, int, map[kind]int) {
						s := &search[breakerState]{key: m.key, moves: m.moves, rules: m.rules, text: m.text}
						s.run(t, m.start())
						if m.merged { // it allows more than the code does, so its kinds do not count
							return len(s.origin), s.edges, nil
						}
						return len(s.origin), s.edges, s.taken
					},
				})
			}
		}
	}
	enumerate(t, all, breakerKinds(), new(breakerModel).text)
}

func TestEnumerateBulkhead(t *testing.T) {
	var all []configuration
	for _, fine := range []bool{false, true} {
		for _, m := range []bulkheadModel{
			{callers: 2, permits: 1, queue: 0}, // no waiter
			{callers: 2, permits: 1, queue: 1},
			{callers: 2, permits: 2, queue: 1}, // no need to wait
			{callers: 3, permits: 1, queue: 1}, // the queue gets full
			{callers: 3, permits: 1, queue: 2},
			{callers: 3, permits: 2, queue: 1},
			{callers: 4, permits: 2, queue: 2}, // two may be granted at once
		} {
			m.fine = fine
			all = append(all, configuration{
				fmt.Sprintf("%d callers, %d permits, %d may wait, %s", m.callers, m.permits, m.queue, grain(fine)),
				func(t *testing.T) (int, int, map[kind]int) {
					s := &search[bulkheadState]{key: m.key, moves: m.moves, rules: m.rules, text: m.text}
					s.run(t, m.start())
					return len(s.origin), s.edges, s.taken
				},
			})
		}
	}
	enumerate(t, all, bulkheadKinds(), new(bulkheadModel).text)
}

func grain(fine bool) string {
	if fine {
		return "fine"
	}
	return "coarse"
}

// breakerKinds lists every kind of edge.
func breakerKinds() map[kind]bool {
	const (
		panics    = uint8(outcome.Unknown)
		succeeds  = uint8(outcome.Success)
		fails     = uint8(outcome.Transient)
		throttled = uint8(outcome.Throttled)
		permanent = uint8(outcome.Permanent)
		cancelled = uint8(outcome.Canceled)
	)
	type set = []uint8
	table := []struct{ moves, where, how set }{
		// Asking and confirming: the same, but that a probe may still be valid.
		{set{moveAsk, moveConfirm}, set{inClosed}, set{howToLock, howSnapshot, howOvertaken, howAdmitted}},
		{set{moveAsk, moveConfirm}, set{inOpen}, set{howToLock, howOvertaken, howRejected}},
		{set{moveAsk, moveConfirm}, set{inRipe}, set{howToLock, howOvertaken, howAdmitted}},
		{set{moveAsk, moveConfirm}, set{inHalf}, set{howToLock, howAdmitted, howRejected}},
		{set{moveConfirm}, set{inHalf}, set{howProbe}},

		// In closed, outcomes that do not count go to the lock only with an old ticket,
		// a success only if there are failures to reset, a failure always.
		{set{panics, throttled, permanent, cancelled, moveBegin}, set{inClosed}, set{howToLock, howSnapshot, howOvertaken, howOld, howOldProbe}},
		{set{succeeds, moveReturn2, moveNote, moveEndWell}, set{inClosed}, set{howToLock, howSnapshot, howOvertaken, howCurrent, howOld, howOldProbe}},
		{set{fails, moveBreak}, set{inClosed}, set{howToLock, howCurrent, howOld, howOldProbe}},

		// In open all tickets are old.
		{set{panics, throttled, permanent, cancelled, moveReturn2, moveNote, moveBegin}, set{inOpen, inRipe}, set{howToLock, howOvertaken, howOld, howOldProbe}},
		{set{succeeds, fails, moveEndWell, moveBreak}, set{inOpen, inRipe}, set{howToLock, howOld, howOldProbe}},

		{set{panics, succeeds, fails, throttled, permanent, cancelled, moveNote, moveBegin}, set{inHalf}, set{howToLock, howProbe, howLate, howOld, howOldProbe}},
		{set{moveReturn2, moveEndWell, moveBreak}, set{inHalf}, set{howToLock, howReturned, howOld, howOldProbe}},

		{set{moveGetLost}, set{inClosed}, set{howCurrent, howOld, howOldProbe}},
		{set{moveGetLost}, set{inOpen, inRipe}, set{howOld, howOldProbe}},
		{set{moveGetLost}, set{inHalf}, set{howProbe, howLate, howOld, howOldProbe}},

		{set{moveWait, movePass, movePublish}, set{inClosed, inOpen, inRipe, inHalf}, set{howPlain}},
		{set{moveReach}, set{inOpen, inHalf}, set{howPlain}},
	}
	kinds := map[kind]bool{}
	for _, row := range table {
		for _, move := range row.moves {
			for _, where := range row.where {
				for _, how := range row.how {
					kinds[kind{move, where, how}] = true
				}
			}
		}
	}
	return kinds
}

func bulkheadKinds() map[kind]bool {
	table := map[uint8][]uint8{
		moveLoad:     {gotFree, gotNone},
		moveSwap:     {gotFree, gotRaced},
		moveEnqueue:  {gotQueued, gotFree, gotFull},
		moveGranted:  {gotNothing},
		moveTimedOut: {gotOut, gotGrant},
		moveEnded:    {gotOut, gotGrant},
		moveRelease:  {gotAlone, gotWaiting},
		moveGrant:    {gotNothing, gotOne, gotTwo}, // the permit may be taken, or a second one may be free
		moveRound:    {gotNothing, gotOne},
		moveExcess:   {gotPanic},
	}
	kinds := map[kind]bool{}
	for move, hows := range table {
		for _, how := range hows {
			kinds[kind{move: move, how: how}] = true
		}
	}
	return kinds
}
