package files

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// Replacement is a new file that replaces an old one when it is complete. A device
// or a pipe cannot be replaced: it is written directly.
type Replacement struct {
	*os.File
	path string // of the file that is replaced; empty for a device or a pipe
}

// Replace begins a file that will replace the one at path, if there is one.
func Replace(path string) (*Replacement, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays
	}
	mode := fs.FileMode(0)
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, errors.New("is a directory")
	case err == nil:
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // without permission to write, no permission to replace
		if err != nil {
			return nil, exit.Reason(err)
		}
		if !info.Mode().IsRegular() {
			return &Replacement{File: f}, nil
		}
		_ = f.Close()
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, exit.Reason(err)
	}
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8])
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, exit.Reason(err)
	}
	r := &Replacement{f, path}
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			r.Abandon()
			return nil, exit.Reason(err)
		}
	}
	return r, nil
}

// Commit closes the file and replaces the old one.
func (r *Replacement) Commit() error {
	if err := r.Close(); err != nil || r.path == "" {
		return err
	}
	return os.Rename(r.Name(), r.path)
}

// Abandon removes the file. After Commit it does nothing.
func (r *Replacement) Abandon() {
	_ = r.Close()
	if r.path != "" {
		_ = os.Remove(r.Name()) // fails after Commit
	}
}
