package bulkhead

import (
	"math"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A8: a queue that is served in order, bounded, and that a cancelled waiter
// leaves without a trace.
func TestTimeline(t *testing.T) {
	b := New(Config{Slots: 1, Queue: 3, MaxWait: 5 * time.Second})
	join := func(after time.Duration) Ticket {
		t.Helper()
		ticket, until, ok := b.Join(noon.Add(after))
		if want := noon.Add(after + 5*time.Second); !ok || !until.Equal(want) {
			t.Fatalf("joined %v, may wait until %v, want %v", ok, until, want)
		}
		return ticket
	}
	served := func(want Ticket) {
		t.Helper()
		if got, ok := b.Serve(); !ok || got != want {
			t.Fatalf("served %d (%v), want %d", got, ok, want)
		}
	}
	first, second, third := join(0), join(time.Second), join(2*time.Second)
	if first != 1 || second != 2 || third != 3 {
		t.Errorf("tickets are given out in increasing order, from 1: %d %d %d", first, second, third)
	}
	if _, _, ok := b.Join(noon); ok || b.Waiting() != 3 {
		t.Errorf("a fourth may wait (%v), %d wait", ok, b.Waiting())
	}
	served(first)
	if b.Leave(first) {
		t.Error("who was served is no longer in line: the slot is its own")
	}
	fourth := join(3 * time.Second) // first's place in the bound is free
	if !b.Leave(third) || b.Leave(third) {
		t.Error("one leaves once")
	}
	served(second)
	served(fourth) // and not third
	if got, ok := b.Serve(); ok || b.Waiting() != 0 {
		t.Errorf("nobody waits, and %d was served", got)
	}
}

// A queue of no length refuses everyone; a wait without a limit has none.
func TestConfig(t *testing.T) {
	b := New(Config{Slots: 1})
	if _, _, ok := b.Join(noon); ok {
		t.Error("somebody waits where nobody may")
	}
	b = New(Config{Slots: 1, Queue: 1})
	if _, until, ok := b.Join(noon); !ok || !until.IsZero() {
		t.Errorf("joined %v, until %v", ok, until)
	}
}

// "Time may stand still or run backwards": the order is that of joining, not
// that of the clock.
func TestClock(t *testing.T) {
	b := New(Config{Slots: 1, Queue: 3, MaxWait: time.Second})
	var order []Ticket
	for _, after := range []time.Duration{0, 0, -time.Hour} {
		ticket, until, _ := b.Join(noon.Add(after))
		if !until.Equal(noon.Add(after + time.Second)) {
			t.Errorf("may wait until %v", until)
		}
		order = append(order, ticket)
	}
	for _, want := range order {
		if got, _ := b.Serve(); got != want {
			t.Errorf("served %d, want %d", got, want)
		}
	}
}

func TestClone(t *testing.T) {
	b := New(Config{Slots: 1, Queue: 3})
	b.Join(noon)
	b.Join(noon)
	c := b.Clone()
	c.Leave(1)
	c.Join(noon)
	if !slices.Equal(b.queue, []Ticket{1, 2}) || !slices.Equal(c.queue, []Ticket{2, 3}) {
		t.Errorf("the original has %v in line, the clone %v", b.queue, c.queue)
	}
}

func TestWord(t *testing.T) {
	const slots = 2
	var w Word
	take := func(want bool) {
		t.Helper()
		next, ok := w.Take(slots)
		if ok != want {
			t.Fatalf("taken %v of %v", ok, w)
		}
		if ok {
			w = next
		}
	}
	take(true)
	take(true)
	take(false) // two slots, both in use
	if w.InUse() != 2 || !w.Plain() {
		t.Errorf("%d in use, plain %v", w.InUse(), w.Plain())
	}
	w = w.Wait()
	if w.InUse() != 2 || w.Plain() {
		t.Errorf("%d in use, plain %v: somebody waits", w.InUse(), w.Plain())
	}
	if _, free := w.Serve(slots, true); free {
		t.Error("served from no slot")
	}
	w--         // one comes back
	take(false) // it is for who waits
	more, free := w.Serve(slots, false)
	if !free || more.InUse() != 2 || more.Plain() {
		t.Errorf("served %v: %d in use, and another waits (%v)", free, more.InUse(), !more.Plain())
	}
	if w, free = w.Serve(slots, true); !free || w.InUse() != 2 || !w.Plain() {
		t.Errorf("served %v: %d in use, and nobody else waits (%v)", free, w.InUse(), w.Plain())
	}
	if w = w.Wait().Calm(); !w.Plain() {
		t.Error("the last in line left it")
	}
}

// More was given back than was taken: with and without somebody in line.
func TestOverdrawn(t *testing.T) {
	for _, w := range []Word{0, Word(0).Wait()} {
		if w.Overdrawn() {
			t.Errorf("%x is as it should be", w)
		}
		if w--; !w.Overdrawn() || w.Plain() {
			t.Errorf("%x is overdrawn: %v, plain: %v", w, w.Overdrawn(), w.Plain())
		}
	}
	const full Word = math.MaxInt32 // what an int holds where it has 32 bits
	if w := full.Wait(); !full.Plain() || w.Overdrawn() || w.InUse() != math.MaxInt32 {
		t.Errorf("as many slots as there may be: plain %v, overdrawn %v, %d in use", full.Plain(), w.Overdrawn(), w.InUse())
	}
	if w := full + 1; !w.Overdrawn() || w.Plain() {
		t.Errorf("one more: overdrawn %v, plain %v", w.Overdrawn(), w.Plain())
	}
}
