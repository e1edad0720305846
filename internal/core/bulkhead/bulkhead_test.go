package bulkhead

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A8: the queue is bounded and in order of arrival, and a cancelled waiter
// leaves it.
func TestTimeline(t *testing.T) {
	b := New(Config{Permits: 1, Queue: 3, MaxWait: 5 * time.Second})
	enqueue := func(after time.Duration) Ticket {
		t.Helper()
		ticket, until, ok := b.Enqueue(noon.Add(after))
		if want := noon.Add(after + 5*time.Second); !ok || !until.Equal(want) {
			t.Fatalf("in the queue %v, until %v, want %v", ok, until, want)
		}
		return ticket
	}
	dequeue := func(want Ticket) {
		t.Helper()
		if got, ok := b.Dequeue(); !ok || got != want {
			t.Fatalf("removed %d (%v), want %d", got, ok, want)
		}
	}
	first, second, third := enqueue(0), enqueue(time.Second), enqueue(2*time.Second)
	if first != 1 || second != 2 || third != 3 {
		t.Errorf("tickets %d %d %d, want 1 2 3", first, second, third)
	}
	if _, _, ok := b.Enqueue(noon); ok || b.Waiting() != 3 {
		t.Errorf("a fourth may wait (%v), %d wait", ok, b.Waiting())
	}
	dequeue(first)
	if b.Remove(first) {
		t.Error("a waiter was removed after it got its permit")
	}
	fourth := enqueue(3 * time.Second) // first has left: its place is free
	if !b.Remove(third) || b.Remove(third) {
		t.Error("a waiter must be removed once")
	}
	dequeue(second)
	dequeue(fourth) // third has left
	if got, ok := b.Dequeue(); ok || b.Waiting() != 0 {
		t.Errorf("the queue is empty, but gave %d", got)
	}
}

// A queue of length zero rejects all; without MaxWait a wait has no limit.
func TestConfig(t *testing.T) {
	b := New(Config{Permits: 1})
	if _, _, ok := b.Enqueue(noon); ok {
		t.Error("a waiter in a queue of length zero")
	}
	b = New(Config{Permits: 1, Queue: 1})
	if _, until, ok := b.Enqueue(noon); !ok || !until.IsZero() {
		t.Errorf("in the queue %v, until %v", ok, until)
	}
}

// The clock may stand still or run backwards: the order is that of arrival.
func TestClock(t *testing.T) {
	b := New(Config{Permits: 1, Queue: 3, MaxWait: time.Second})
	var order []Ticket
	for _, after := range []time.Duration{0, 0, -time.Hour} {
		ticket, until, _ := b.Enqueue(noon.Add(after))
		if !until.Equal(noon.Add(after + time.Second)) {
			t.Errorf("may wait until %v", until)
		}
		order = append(order, ticket)
	}
	for _, want := range order {
		if got, _ := b.Dequeue(); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestClone(t *testing.T) {
	b := New(Config{Permits: 1, Queue: 3})
	b.Enqueue(noon)
	b.Enqueue(noon)
	c := b.Clone()
	c.Remove(1)
	c.Enqueue(noon)
	if !slices.Equal(b.queue.Values(), []Ticket{1, 2}) || !slices.Equal(c.queue.Values(), []Ticket{2, 3}) {
		t.Errorf("the original has the queue %v, the clone %v", b.queue.Values(), c.queue.Values())
	}
}
