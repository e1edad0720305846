package ledger

import "slices"

// Record keeps the last attempts in a ring that grows up to its limit.
type Record[Attempt any] struct {
	keep int
	ring []Attempt
	next uint64 // number of the next attempt, from 0, stored at number % keep
}

// NewRecord returns a Record that keeps the given number of attempts, 0 for none.
func NewRecord[Attempt any](keep int) *Record[Attempt] { return &Record[Attempt]{keep: keep} }

// Add records an attempt and returns its number.
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

// Amend changes an attempt if it is still in the record.
func (r *Record[Attempt]) Amend(seq uint64, change func(*Attempt)) {
	if r.next-seq <= uint64(len(r.ring)) {
		change(&r.ring[seq%uint64(r.keep)])
	}
}

// All returns the attempts in the record, oldest first.
func (r *Record[Attempt]) All() []Attempt {
	if len(r.ring) < r.keep || r.keep == 0 {
		return slices.Clone(r.ring)
	}
	oldest := r.next % uint64(r.keep)
	return slices.Concat(r.ring[oldest:], r.ring[:oldest])
}

// Len returns the number of recorded attempts, including dropped ones.
func (r *Record[Attempt]) Len() int { return int(r.next) }

// Dropped returns the number of attempts that are no longer in the record.
func (r *Record[Attempt]) Dropped() int { return r.Len() - len(r.ring) }
