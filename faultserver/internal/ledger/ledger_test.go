package ledger

import "testing"

func TestLedgerIsBounded(t *testing.T) {
	l := bounded[string](3, 4)
	for _, step := range []struct {
		key, operation string
		done           bool
		want           Effects
	}{
		{"1", "a", true, Effects{Done: 1}},
		{"2", "b", true, Effects{Done: 2}},
		{"1", "a", false, Effects{Done: 2}},
		{"2", "b", false, Effects{Done: 2}}, // recognised although its answer is not stored
		{"3", "b", true, Effects{Done: 2, Duplicates: 1}},
		{"4", "c", true, Effects{Done: 2, Duplicates: 1, Untracked: 1}}, // no space for key 4, so c is not tracked
		{"4", "c", true, Effects{Done: 2, Duplicates: 1, Untracked: 2}}, // and this repeat is not called a duplicate
	} {
		answer, done := l.Execute(step.key, step.operation, "abc", 3)
		if done != step.done || answer != "abc" || l.Effects() != step.want {
			t.Errorf("key %s, operation %s: done %v, %q, %+v", step.key, step.operation, done, answer, l.effects)
		}
	}
	if len(l.done) != 2 || len(l.answers) != 3 || l.stored != 3 {
		t.Errorf("%d operations, %d keys, %d bytes", len(l.done), len(l.answers), l.stored)
	}
}
