package faultserver

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Attempt is one request as the server saw it. A connection that a connection
// rule strikes has an Attempt of its own, without a Method and with the Rule's
// index among the plan's Connections; one that is refused has none, since nobody
// sees it.
type Attempt struct {
	// At is when its headers had arrived, since the server's start or Begin.
	At time.Duration
	// Connection it came on, numbered from 1 in the order of their acceptance.
	Connection int
	Method     string
	Path       string
	RequestID  string // header X-Request-ID
	Operation  string // see Answer
	Bytes      int    // of the request's body
	// Rule that took it and its number there, from 1; -1 and 0 if none did.
	Rule int
	N    uint64
	// Faults applied, in the order in which they happen; empty for none. Shared:
	// do not change it.
	Faults []fault.ID
	// Delay that the plan asked for.
	Delay time.Duration
	// Status sent or about to be sent; 0 if the caller gets none.
	Status int
	// Effect says whether this request did the work. It becomes true when the
	// work is done, after Delay; it stays false for a repeat that was given the
	// stored answer.
	Effect bool
}

// Met says whether the attempt met that fault.
func (a Attempt) Met(id fault.ID) bool { return slices.Contains(a.Faults, id) }

// record keeps the last attempts in a ring that grows up to keep. The server's
// mutex guards it.
type record struct {
	keep int
	ring []Attempt
	next uint64 // number of the next attempt, from 0; it lies at number % keep
}

// add notes an attempt and gives its number.
func (r *record) add(a Attempt) uint64 {
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

// amend changes an attempt, unless it has been dropped meanwhile.
func (r *record) amend(seq uint64, change func(*Attempt)) {
	if r.next-seq <= uint64(len(r.ring)) {
		change(&r.ring[seq%uint64(r.keep)])
	}
}

func (r *record) all() []Attempt {
	if len(r.ring) < r.keep || r.keep == 0 {
		return slices.Clone(r.ring)
	}
	oldest := r.next % uint64(r.keep)
	return slices.Concat(r.ring[oldest:], r.ring[:oldest])
}

func (r *record) dropped() int { return int(r.next) - len(r.ring) }
