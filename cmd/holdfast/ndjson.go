package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// line is one attempt with its number in its run.
type line struct {
	run, number int
	faultserver.Attempt
}

// MarshalJSON writes one object on one line.
func (l line) MarshalJSON() ([]byte, error) {
	faults := l.Faults
	if faults == nil {
		faults = []fault.ID{}
	}
	ms := func(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
	return json.Marshal(struct {
		Run        int        `json:"run"`
		Number     int        `json:"number"`
		At         float64    `json:"at_ms"`
		Connection int        `json:"connection"`
		Method     string     `json:"method"`
		Path       string     `json:"path"`
		RequestID  string     `json:"request_id"`
		Operation  string     `json:"operation"`
		Bytes      int        `json:"bytes"`
		Rule       int        `json:"rule"`
		N          uint64     `json:"n"`
		Faults     []fault.ID `json:"faults"`
		Delay      float64    `json:"delay_ms"`
		Status     int        `json:"status"`
		Effect     bool       `json:"effect"`
	}{l.run, l.number, ms(l.At), l.Connection, l.Method, l.Path, l.RequestID, l.Operation, l.Bytes,
		l.Rule, l.N, faults, ms(l.Delay), l.Status, l.Effect})
}

// recorder writes attempts as NDJSON, in a goroutine of its own so that a slow
// reader at the other end of a pipe holds up nobody.
type recorder struct {
	file   *files.Output
	lines  chan line
	failed chan struct{} // closed at the first error
	done   chan struct{}
	err    error // read it when done is closed
	full   int   // lines that found no room; of the goroutine that calls hand
}

// The recorder's buffer, in lines, and how long it may take to write what is in
// it at the end.
const (
	recorderRoom = 1 << 15
	lastWrites   = 5 * time.Second
)

// newRecorder writes to file, which it closes.
func newRecorder(file *files.Output) *recorder {
	r := &recorder{file: file, lines: make(chan line, recorderRoom), failed: make(chan struct{}), done: make(chan struct{})}
	go r.write()
	return r
}

// hand takes a line without waiting.
func (r *recorder) hand(l line) {
	select {
	case r.lines <- l:
	default:
		r.full++
	}
}

func (r *recorder) write() {
	defer close(r.done)
	w := bufio.NewWriterSize(r.file, 1<<16)
	for l := range r.lines {
		if r.err != nil {
			continue // empty the buffer, so that nothing is held
		}
		object, err := json.Marshal(l)
		if err == nil {
			w.Write(append(object, '\n')) // Flush tells
			if len(r.lines) > 0 {
				continue
			}
			err = w.Flush()
		}
		if err != nil {
			r.err = err
			close(r.failed)
		}
	}
	r.err = errors.Join(r.err, r.file.Close())
}

// close writes the rest, and says what is not in the file, the missed included
// that were never handed to it.
func (r *recorder) close(missed int) error {
	r.file.SetWriteDeadline(time.Now().Add(lastWrites)) // an ordinary file needs none, and has none
	close(r.lines)
	<-r.done
	switch {
	case r.err != nil:
		return fmt.Errorf("--record %s: %w", r.file.Name(), exit.Reason(r.err))
	case r.full+missed > 0:
		return fmt.Errorf("--record %s: %s came too fast and are not in it", r.file.Name(), format.Plural(r.full+missed, "attempt"))
	}
	return nil
}
