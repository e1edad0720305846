package breaker

import "testing"

// A snapshot answers as the machine does, or not at all.
func TestSnapshot(t *testing.T) {
	b := New(cfg)
	if b.Snapshot() != 0 {
		t.Error("the snapshot of a new breaker is not zero")
	}
	a, ok := b.Snapshot().Admit()
	if same, _, _, _ := b.Allow(at(0), limit); !ok || a != same {
		t.Error("a closed breaker's snapshot does not admit with the machine's ticket")
	}
	noOp := func(want string) {
		t.Helper()
		got := ""
		for o := unknown; o <= canceled; o++ {
			if b.Snapshot().NoOp(a, o) {
				got += o.String() + " "
			}
		}
		if got != want {
			t.Errorf("no-ops: %q, want %q", got, want)
		}
	}
	if !b.Snapshot().Confirms(a) {
		t.Error("closed still, but the snapshot does not confirm")
	}
	noOp("unknown success throttled permanent canceled ")
	if s := b.Snapshot(); !s.AnswerEndedNoOp(success) || s.AnswerEndedNoOp(transient) {
		t.Error("closed, without failures: a good end of an answer is the only no-op")
	}
	b.Note(at(0), a, transient)
	if !b.Snapshot().Confirms(a) {
		t.Error("a failure in a row keeps the snapshot from confirming")
	}
	noOp("unknown throttled permanent canceled ") // a success resets a count
	if b.Snapshot().AnswerEndedNoOp(success) {
		t.Error("there is a failure to forget, but the snapshot takes the end of an answer for a no-op")
	}

	b.Note(at(0), a, transient)
	b.Note(at(0), a, transient)
	if _, ok := b.Snapshot().Admit(); ok || b.Snapshot().Confirms(a) {
		t.Error("the snapshot of an open breaker admits")
	}
	if epoch, open := b.Snapshot().Open(); !open || epoch != 1 {
		t.Errorf("open: epoch %d, %v", epoch, open)
	}
	noOp("")

	p, _, _, _ := b.Allow(at(10), limit)
	if _, ok := b.Snapshot().Admit(); ok || b.Snapshot().Confirms(p) || b.Snapshot().NoOp(p, canceled) {
		t.Error("the snapshot of a half-open breaker answers")
	}
	b.Done(at(10), p, success)
	p, _, _, _ = b.Allow(at(10), limit)
	b.Done(at(10), p, success)
	if _, open := b.Snapshot().Open(); open || b.Snapshot().Confirms(p) || b.Snapshot().NoOp(p, canceled) {
		t.Error("closed again: the snapshot answers for the probe that closed it")
	}
	noOp("") // a is of the first epoch

	b.Note(at(11), p, transient) // of an older epoch: it does not count
	a, ok = b.Snapshot().Admit()
	if same, _, _, _ := b.Allow(at(11), limit); !ok || a != same || !b.Snapshot().Confirms(a) {
		t.Errorf("closed again: the snapshot admits %v, with %+v of the machine's %+v, and confirms it: %v", ok, a, same, b.Snapshot().Confirms(a))
	}
	noOp("unknown success throttled permanent canceled ")
}
