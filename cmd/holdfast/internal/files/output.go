package files

import (
	"errors"
	"io/fs"
	"os"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// Output is a file that is opened early and emptied late. A command that fails in
// between leaves the file, or its absence, as it was.
type Output struct {
	*os.File
	created bool
}

// OpenOutput opens a file for writing. Its content stays until Truncate.
func OpenOutput(path string) (*Output, error) {
	_, err := os.Lstat(path)
	created := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, exit.Reason(err)
	}
	return &Output{f, created}, nil
}

// Truncate empties the file. It does nothing to a device or a pipe.
func (o *Output) Truncate() error {
	info, err := o.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return o.File.Truncate(0)
}

// Abandon closes the file, and removes it if OpenOutput created it.
func (o *Output) Abandon() {
	o.Close()
	if o.created {
		os.Remove(o.Name())
	}
}
