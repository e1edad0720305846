package main

import (
	"maps"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// journal follows a server's record: it numbers the attempts, counts what they
// met, and hands out each one once, when it is settled. The server keeps the last
// of them only; journal looks often enough to see all.
type journal struct {
	server server
	hand   func(line) // takes a settled attempt, at once; nil: nobody does

	mu      sync.Mutex
	run     int // from 1; the next one with each begin
	began   time.Time
	seen    int                 // attempts of this run
	last    faultserver.Attempt // of these
	open    []line              // seen, and not settled, in order
	missed  int                 // that the server had let go before they were seen
	settled int
	struck  int              // of the settled
	met     map[fault.ID]int // by the settled
}

// The server keeps so many attempts, and journal looks so often: none is missed
// up to 80,000 a second.
const (
	keep      = 1 << 14
	lookEvery = 200 * time.Millisecond
)

// How long an attempt that has done no work may still come to do it, after its
// delay: a moment, or where it may be waiting for a worker a minute.
const (
	grace    = 200 * time.Millisecond
	patience = time.Minute
)

func newJournal(server server) *journal {
	return &journal{server: server, run: 1, began: time.Now(), met: make(map[fault.ID]int)}
}

// look takes in what is new.
func (j *journal) look(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.read(now)
}

// read is look, under the lock. It gives the attempts that the server has and
// the number of the first.
func (j *journal) read(now time.Time) (record []faultserver.Attempt, first int) {
	record = j.server.Record()
	fresh, found := len(record), false
	for i := len(record) - 1; i >= 0 && j.seen > 0 && !found; i-- {
		if same(record[i], j.last) {
			fresh, found = len(record)-1-i, true
		}
	}
	if dropped := j.server.Dropped(); !found && dropped > j.seen {
		j.missed += dropped - j.seen
		j.seen = dropped
	}
	j.seen += fresh
	first = j.seen - len(record) + 1
	for i, a := range record[len(record)-fresh:] {
		j.open = append(j.open, line{j.run, j.seen - fresh + i + 1, a})
		j.last = a
	}

	limited := j.server.Plan().Capacity != nil
	still := j.open[:0]
	for _, l := range j.open {
		if l.number >= first {
			l.Attempt = record[l.number-first] // what it has become
		}
		if l.number < first || settled(l.Attempt, now.Sub(j.began)-l.At, limited) {
			j.settle(l)
		} else {
			still = append(still, l)
		}
	}
	clear(j.open[len(still):])
	j.open = still
	return record, first
}

// same says whether two attempts are one at different times. A connection has one
// attempt at an instant.
func same(a, b faultserver.Attempt) bool {
	return a.At == b.At && a.Connection == b.Connection && a.Method == b.Method && a.Path == b.Path && a.N == b.N
}

// settled says whether an attempt of this age will not change any more. limited
// is the plan's, if it has a capacity: work may then wait.
func settled(a faultserver.Attempt, age time.Duration, limited bool) bool {
	switch {
	case a.Effect:
		return true
	case limited && a.Status >= 200 && a.Status < 400:
		return age >= a.Delay+patience
	default:
		return age >= a.Delay+grace
	}
}

func (j *journal) settle(l line) {
	j.settled++
	if len(l.Faults) > 0 {
		j.struck++
	}
	for _, id := range l.Faults {
		j.met[id]++
	}
	if j.hand != nil {
		j.hand(l)
	}
}

// close takes in the rest and settles it as it is.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end()
}

func (j *journal) end() {
	j.read(time.Now())
	for _, l := range j.open {
		j.settle(l)
	}
	j.open = nil
}

// begin starts a new run, and gives its number: the server begins afresh, and so
// do the numbers and the counts.
func (j *journal) begin() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end()
	j.server.Begin()
	j.run++
	j.began = time.Now()
	j.seen, j.last, j.missed, j.settled, j.struck = 0, faultserver.Attempt{}, 0, 0, 0
	clear(j.met)
	return j.run
}

// page gives the attempts behind number after, at most so many, and how many
// there would have been in front of them that the server has let go.
func (j *journal) page(after, most int) (run int, lines []line, gone int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	record, first := j.read(time.Now())
	if after+1 < first {
		gone = first - after - 1
		after = first - 1
	}
	for n := after + 1; n < first+len(record) && len(lines) < most; n++ {
		lines = append(lines, line{j.run, n, record[n-first]})
	}
	return j.run, lines, gone
}

// sums is what came of a run so far.
type sums struct {
	run                                   int
	attempts, missed, struck, connections int
	met                                   map[fault.ID]int
	effects                               faultserver.Effects
}

func (j *journal) sums() sums {
	j.mu.Lock()
	defer j.mu.Unlock()
	return sums{j.run, j.seen, j.missed, j.struck, j.server.Connections(), maps.Clone(j.met), j.server.Effects()}
}
