package record

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
)

func TestRecorderFails(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	rec := NewRecorder(&files.Output{File: write})
	rec.Add(Line{})
	<-rec.Failed
	for range 3 {
		rec.Add(Line{})
	}
	if err := rec.Close(0); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("Close returns %v, want a broken pipe", err)
	}
}

// With a slow reader, lines without room are counted, and Add does not wait.
func TestRecorderDrops(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	rec := NewRecorder(&files.Output{File: write})
	for range 4 * bufferLines { // far more than a pipe holds
		rec.Add(Line{})
	}
	go io.Copy(io.Discard, read)
	if err := rec.Close(1); err == nil || !strings.Contains(err.Error(), "attempts came too fast and are not in it") {
		t.Errorf("Close returns %v, want that some are missing", err)
	}
}
