package ledger

import "slices"

// Record keeps the last attempts in a ring that grows up to as many as it keeps.
type Record[Attempt any] struct {
	keep int
	ring []Attempt
	next uint64 // number of the next attempt, from 0; it lies at number % keep
}

// NewRecord makes a Record that keeps so many attempts, 0 for none.
func NewRecord[Attempt any](keep int) *Record[Attempt] { return &Record[Attempt]{keep: keep} }

// Add notes an attempt and gives its number.
func (r *Record[Attempt]) Add(a Attempt) uint64 {
	seq := r.next
	r.next++
	switch {
	case r.keep == 0:
	case len(r.ring) < r.keep:
		r.ring = append(r.ring, a)
	default:
		r.ring[seq%uint64(r.keep)] = a
	}
	return seq
}

// Amend changes an attempt, unless it has been dropped meanwhile.
func (r *Record[Attempt]) Amend(seq uint64, change func(*Attempt)) {
	if r.next-seq <= uint64(len(r.ring)) {
		change(&r.ring[seq%uint64(r.keep)])
	}
}

// All gives what it keeps, the oldest first.
func (r *Record[Attempt]) All() []Attempt {
	if len(r.ring) < r.keep || r.keep == 0 {
		return slices.Clone(r.ring)
	}
	oldest := r.next % uint64(r.keep)
	return slices.Concat(r.ring[oldest:], r.ring[:oldest])
}

// Len is how many attempts were noted, those included that were dropped.
func (r *Record[Attempt]) Len() int { return int(r.next) }

// Dropped is how many attempts it has let go to make room.
func (r *Record[Attempt]) Dropped() int { return r.Len() - len(r.ring) }
