package cmdtest

import (
	"bytes"
	"os"
	"strings"
	"sync"
)

// Output collects what a program writes, and signals when it has written a text.
type Output struct {
	Seen chan struct{} // closed when the text was written

	mu   sync.Mutex
	text bytes.Buffer
	want string // empty once it was seen
}

// Await is an output that signals when want was written to it.
func Await(want string) *Output { return &Output{want: want, Seen: make(chan struct{})} }

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.want != "" && strings.Contains(o.text.String(), o.want) {
		o.want = ""
		close(o.Seen)
	}
	return len(p), nil
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// FullDisk is an output that takes no byte.
type FullDisk struct{}

func (FullDisk) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }
