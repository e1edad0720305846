package shell

import (
	"fmt"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The enumeration: everything that two and three callers can do with a breaker,
// and up to four with a bulkhead, in every order, until no new state turns up.
// There is no depth at which it gives up: what a state leaves out (see the two
// key methods) makes the states finitely many.
//
// What it finds is worth as much as what it takes. So every kind of edge that
// should be possible is in a table here, and it fails if one was never taken;
// and plants_test.go sees to it that it finds known bugs.

// configuration is one search.
type configuration struct {
	name string
	run  func(*testing.T) (states, edges int, taken map[kind]int)
}

func enumerate(t *testing.T, all []configuration, want map[kind]bool, text func(kind) string) {
	var mu sync.Mutex
	ran, taken := 0, map[kind]int{}
	t.Run("all", func(t *testing.T) { // returns when all are done
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
				m := &breakerModel{callers: callers, probes: probes, fine: fine, merged: underRace && callers == 3 && probes == 2}
				all = append(all, configuration{
					fmt.Sprintf("%d callers, %d probe slots, %s", callers, probes, grain(fine)),
					func(t *testing.T) (int, int, map[kind]int) {
						s := &search[breakerState]{key: m.key, moves: m.moves, rules: m.rules, text: m.text}
						s.run(t, m.start())
						if m.merged { // it allows more than there is; its kinds are no measure
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
			{callers: 2, slots: 1, queue: 0}, // nobody may wait
			{callers: 2, slots: 1, queue: 1},
			{callers: 2, slots: 2, queue: 1}, // nobody has to
			{callers: 3, slots: 1, queue: 1}, // the queue's bound is reached
			{callers: 3, slots: 1, queue: 2},
			{callers: 3, slots: 2, queue: 1},
			{callers: 4, slots: 2, queue: 2}, // two may be served at once
		} {
			m.fine = fine
			all = append(all, configuration{
				fmt.Sprintf("%d callers, %d slots, %d may wait, %s", m.callers, m.slots, m.queue, grain(fine)),
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

// breakerKinds lists every kind of edge that there is.
func breakerKinds() map[kind]bool {
	const (
		panics    = uint8(outcome.Unknown)
		succeeds  = uint8(outcome.Success)
		fails     = uint8(outcome.Transient)
		throttled = uint8(outcome.Throttled)
		refused   = uint8(outcome.Permanent)
		cancelled = uint8(outcome.Canceled)
	)
	type set = []uint8
	table := []struct{ moves, where, how set }{
		// Who asks anew, or again: the same, but that a permit may be good still.
		{set{moveAsk, moveConfirm}, set{inClosed}, set{howToLock, howWord, howOvertaken, howAdmitted}},
		{set{moveAsk, moveConfirm}, set{inOpen}, set{howToLock, howOvertaken, howRefused}},
		{set{moveAsk, moveConfirm}, set{inRipe}, set{howToLock, howOvertaken, howAdmitted}},
		{set{moveAsk, moveConfirm}, set{inHalf}, set{howToLock, howAdmitted, howRefused}},
		{set{moveConfirm}, set{inHalf}, set{howPermit}},

		// What does not count while the breaker is closed never goes to the lock
		// there, unless the ticket is old; a success only if there are failures to
		// forget; a failure always.
		{set{panics, throttled, refused, cancelled}, set{inClosed}, set{howToLock, howWord, howOvertaken, howOld}},
		{set{succeeds, moveReturn2, moveNote}, set{inClosed}, set{howToLock, howWord, howOvertaken, howCurrent, howOld}},
		{set{fails, moveNoteAfter}, set{inClosed}, set{howToLock, howCurrent, howOld}},

		// Nothing that is open has a ticket.
		{set{panics, throttled, refused, cancelled, moveReturn2, moveNote}, set{inOpen, inRipe}, set{howToLock, howOvertaken, howOld}},
		{set{succeeds, fails, moveNoteAfter}, set{inOpen, inRipe}, set{howToLock, howOld}},

		{set{panics, succeeds, fails, throttled, refused, cancelled, moveNote}, set{inHalf}, set{howToLock, howPermit, howLate, howOld}},
		{set{moveReturn2, moveNoteAfter}, set{inHalf}, set{howToLock, howReturned, howOld}},

		{set{moveGetLost}, set{inClosed}, set{howCurrent, howOld}},
		{set{moveGetLost}, set{inOpen, inRipe}, set{howOld}},
		{set{moveGetLost}, set{inHalf}, set{howPermit, howLate, howOld}},

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
		moveJoin:     {gotInLine, gotFree, gotFull},
		moveGetSlot:  {gotNothing},
		moveTooLong:  {gotOut, gotServed},
		moveUnwanted: {gotOut, gotServed},
		movePut:      {gotPlain, gotWaiting},
		moveGiven:    {gotNothing, gotOne, gotTwo}, // the slot may be gone, or another may have come free as well
		moveRound:    {gotNothing, gotOne},
		moveOverdraw: {gotPanic},
	}
	kinds := map[kind]bool{}
	for move, hows := range table {
		for _, how := range hows {
			kinds[kind{move: move, how: how}] = true
		}
	}
	return kinds
}
