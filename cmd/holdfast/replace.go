package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// replacement is a file that takes the place of another when it is complete. What
// is no file, a device or a pipe, is written to as it is.
type replacement struct {
	*os.File
	place string // empty if it is in its place already
}

func replace(path string) (*replacement, error) {
	if behind, err := filepath.EvalSymlinks(path); err == nil {
		path = behind // the link stays
	}
	mode := fs.FileMode(0)
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, errors.New("is a directory")
	case err == nil:
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // whoever may not write to it, may not replace it
		if err != nil {
			return nil, reason(err)
		}
		if !info.Mode().IsRegular() {
			return &replacement{File: f}, nil
		}
		_ = f.Close()
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, reason(err)
	}
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8])
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, reason(err)
	}
	r := &replacement{f, path}
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			r.abandon()
			return nil, reason(err)
		}
	}
	return r, nil
}

// take puts the file into its place.
func (r *replacement) take() error {
	if err := r.Close(); err != nil || r.place == "" {
		return err
	}
	return os.Rename(r.Name(), r.place)
}

// abandon leaves the folder as it was, or as take has left it.
func (r *replacement) abandon() {
	_ = r.Close()
	if r.place != "" {
		_ = os.Remove(r.Name()) // not there any more if it was taken
	}
}
