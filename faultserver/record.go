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
