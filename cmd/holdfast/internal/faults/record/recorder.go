package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// Recorder writes attempts to a file as NDJSON. It has a goroutine of its own, so that a
// slow reader of a pipe does not delay the server.
type Recorder struct {
	Failed chan struct{} // closed at the first error

	file    *files.Output
	lines   chan Line
	done    chan struct{} // closed when the file is closed
	err     error         // valid when done is closed
	dropped int           // lines without room in the buffer; belongs to the caller of Add
}

const (
	bufferLines = 1 << 15
	finalWrites = 5 * time.Second // the limit for writing the buffer at the end
)

// NewRecorder writes to a file. Close closes it.
func NewRecorder(file *files.Output) *Recorder {
	r := &Recorder{file: file, lines: make(chan Line, bufferLines), Failed: make(chan struct{}), done: make(chan struct{})}
	go r.write()
	return r
}

// Add writes a line. It does not wait.
func (r *Recorder) Add(l Line) {
	select {
	case r.lines <- l:
	default:
		r.dropped++
	}
}

// Close writes the rest. It is an error if attempts are not in the file, including the
// missed ones, for which Add was not called.
func (r *Recorder) Close(missed int) error {
	r.file.SetWriteDeadline(time.Now().Add(finalWrites)) // fails for a regular file, which needs none
	close(r.lines)
	<-r.done
	switch {
	case r.err != nil:
		return fmt.Errorf("--record %s: %w", r.file.Name(), exit.Reason(r.err))
	case r.dropped+missed > 0:
		return fmt.Errorf("--record %s: %s came too fast and are not in it", r.file.Name(), format.Plural(r.dropped+missed, "attempt"))
	}
	return nil
}

// write writes lines until the channel is closed.
func (r *Recorder) write() {
	defer close(r.done)
	w := bufio.NewWriterSize(r.file, 1<<16)
	for l := range r.lines {
		if r.err != nil {
			continue // keep the buffer empty
		}
		object, err := json.Marshal(l)
		if err == nil {
			w.Write(append(object, '\n')) // Flush returns its error
			if len(r.lines) > 0 {
				continue
			}
			err = w.Flush()
		}
		if err != nil {
			r.err = err
			close(r.Failed)
		}
	}
	r.err = errors.Join(r.err, r.file.Close())
}
