// Package record follows the record of a fault server, and writes it to a file.
package record

import (
	"maps"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Server is a fault server with a record.
type Server interface {
	Plan() fault.Plan
	Begin()
	Record() []faultserver.Attempt
	Dropped() int
	Effects() faultserver.Effects
	Connections() int
}

// Tracker follows the record of a server. It numbers the attempts, counts their faults,
// and reports each attempt once, when it is settled. The server keeps only the last
// attempts, so the Tracker must read them often.
type Tracker struct {
	// OnSettled receives each settled attempt. It must not block. It may be nil.
	OnSettled func(Line)

	server Server

	mu     sync.Mutex
	run    int // from 1; Begin increments it
	began  time.Time
	seen   int                 // attempts of this run
	last   faultserver.Attempt // the last of them
	open   []Line              // not settled yet, in order
	missed int                 // dropped by the server before they were read
	struck int                 // settled attempts with a fault
	met    map[fault.ID]int    // settled attempts by fault
}

// With these values no attempt is missed up to 80,000 a second.
const (
	Kept      = 1 << 14                // attempts that the server must keep
	LookEvery = 200 * time.Millisecond // interval between calls of Look
)

// The time after its delay in which an attempt can still do its work.
const (
	grace      = 200 * time.Millisecond
	workerWait = time.Minute // if it may have to wait for a worker
)

// NewTracker follows the record of a server from now on.
func NewTracker(server Server) *Tracker {
	return &Tracker{server: server, run: 1, began: time.Now(), met: make(map[fault.ID]int)}
}

// Look reads the new attempts.
func (t *Tracker) Look(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read(now)
}

// Begin starts a new run of the plan and returns its number. The numbers of the attempts
// and the counts restart.
func (t *Tracker) Begin() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	t.server.Begin()
	t.run++
	t.began = time.Now()
	t.seen, t.last, t.missed, t.struck = 0, faultserver.Attempt{}, 0, 0
	clear(t.met)
	return t.run
}

// Page returns the attempts with numbers greater than after, at most limit of them. gone is
// the number of such attempts that the server has dropped.
func (t *Tracker) Page(after, limit int) (run int, lines []Line, gone int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	record, first := t.read(time.Now())
	if after+1 < first {
		gone = first - after - 1
		after = first - 1
	}
	for n := after + 1; n < first+len(record) && len(lines) < limit; n++ {
		lines = append(lines, Line{t.run, n, record[n-first]})
	}
	return t.run, lines, gone
}

// Summary counts the attempts so far.
func (t *Tracker) Summary() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Summary{
		Run: t.run, Attempts: t.seen, Missed: t.missed, Struck: t.struck,
		Connections: t.server.Connections(), Met: maps.Clone(t.met), Effects: t.server.Effects(),
	}
}

// Close settles all attempts in their current state.
func (t *Tracker) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

// read is Look with the lock held. It returns the attempts that the server keeps, and the
// number of the first.
func (t *Tracker) read(now time.Time) (record []faultserver.Attempt, first int) {
	record = t.server.Record()
	fresh, found := len(record), false
	for i := len(record) - 1; i >= 0 && t.seen > 0 && !found; i-- {
		if same(record[i], t.last) {
			fresh, found = len(record)-1-i, true
		}
	}
	if dropped := t.server.Dropped(); !found && dropped > t.seen {
		t.missed += dropped - t.seen
		t.seen = dropped
	}
	t.seen += fresh
	first = t.seen - len(record) + 1
	for i, a := range record[len(record)-fresh:] {
		t.open = append(t.open, Line{t.run, t.seen - fresh + i + 1, a})
		t.last = a
	}

	limited := t.server.Plan().Capacity != nil
	still := t.open[:0]
	for _, l := range t.open {
		if l.Number >= first {
			l.Attempt = record[l.Number-first] // the current state
		}
		if l.Number < first || settled(l.Attempt, now.Sub(t.began)-l.At, limited) {
			t.settle(l)
		} else {
			still = append(still, l)
		}
	}
	clear(t.open[len(still):])
	t.open = still
	return record, first
}

// end is Close with the lock held.
func (t *Tracker) end() {
	t.read(time.Now())
	for _, l := range t.open {
		t.settle(l)
	}
	t.open = nil
}

// settle counts and reports an attempt.
func (t *Tracker) settle(l Line) {
	if len(l.Faults) > 0 {
		t.struck++
	}
	for _, id := range l.Faults {
		t.met[id]++
	}
	if t.OnSettled != nil {
		t.OnSettled(l)
	}
}

// settled reports whether an attempt of this age can no longer change. limited reports
// whether the plan has a capacity, so that work may wait.
func settled(a faultserver.Attempt, age time.Duration, limited bool) bool {
	switch {
	case a.Effect:
		return true
	case limited && a.Status >= 200 && a.Status < 400:
		return age >= a.Delay+workerWait
	default:
		return age >= a.Delay+grace
	}
}

// same reports whether two records are of the same attempt. A connection has one attempt
// at an instant.
func same(a, b faultserver.Attempt) bool {
	return a.At == b.At && a.Connection == b.Connection && a.Method == b.Method && a.Path == b.Path && a.N == b.N
}
