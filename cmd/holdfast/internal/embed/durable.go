package embed

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// durable is an output file. When Write returns, its embeddings are on the disk, so that a
// loss of power costs none that is paid for.
type durable struct {
	file interface {
		io.Writer
		Sync() error
	}
}

func (d durable) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	if err == nil {
		err = syncFile(d.file)
	}
	return n, err
}

// syncFile is Sync. A device, a pipe or a file system that has no such call is no error.
func syncFile(f interface{ Sync() error }) error {
	err := f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// syncFolder brings the name of a new file to the disk, where the system allows it.
func syncFolder(path string) {
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}
