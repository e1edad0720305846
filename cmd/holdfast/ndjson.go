package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

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

// output is a file that is made when all else is known to be well: until ready
// nothing in it has changed, and abandon leaves the folder as it was.
type output struct {
	*os.File
	made bool
}

func openOutput(path string) (*output, error) {
	_, err := os.Lstat(path)
	made := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, reason(err)
	}
	return &output{f, made}, nil
}

// ready empties the file, if it is one and not a pipe or a device.
func (o *output) ready() error {
	info, err := o.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return o.Truncate(0)
}

func (o *output) abandon() {
	o.Close()
	if o.made {
		os.Remove(o.Name())
	}
}

// sameFile says whether two names are of one file, or would be.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	if err != nil || err2 != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return os.SameFile(x, y)
}

// recorder writes attempts as NDJSON, in a goroutine of its own so that a slow
// reader at the other end of a pipe holds up nobody.
type recorder struct {
	file   *output
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
func newRecorder(file *output) *recorder {
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
		return fmt.Errorf("--record %s: %w", r.file.Name(), reason(r.err))
	case r.full+missed > 0:
		return fmt.Errorf("--record %s: %s came too fast and are not in it", r.file.Name(), plural(r.full+missed, "attempt"))
	}
	return nil
}
