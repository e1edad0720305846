package faultserver

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Attempt is the record of one request. A connection that a connection rule
// strikes is an Attempt without a Method, and Rule is its index in the plan's
// Connections. A refused connection has none, since the server does not see it.
type Attempt struct {
	// At is the arrival of the request's headers, as time since the server's
	// start or Begin.
	At time.Duration
	// Connection is the number of the connection, from 1 in order of acceptance.
	Connection int
	Method     string
	Path       string
	RequestID  string // from header X-Request-ID
	// Traceparent is the trace context of the request, from the header of that name (W3C
	// Trace Context).
	Traceparent string
	Operation   string // see Answer
	Bytes       int    // of the request's body
	// Rule is the index of the rule that strikes, or -1 for none.
	Rule int
	// N is the request's number in that rule, from 1, or 0 for none.
	N uint64
	// Faults are the applied faults in order of time. Empty means none. It is
	// shared: do not change it.
	Faults []fault.ID
	// Delay is the wait that the plan asks for.
	Delay time.Duration
	// Status is the status that is sent, or 0 if the caller gets none.
	Status int
	// Effect reports whether this request did the work. It becomes true when the work
	// is done, after Delay. It stays false for a repeat that gets the stored answer.
	Effect bool
}

// Met reports whether the attempt met the fault.
func (a Attempt) Met(id fault.ID) bool { return slices.Contains(a.Faults, id) }
