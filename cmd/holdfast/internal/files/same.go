// Package files reads and writes files so that an error or an interrupt leaves them
// as they were.
package files

import (
	"os"
	"path/filepath"
)

// Same reports whether two names are of one file. Names of files that do not exist
// yet are compared as texts.
func Same(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	if err != nil || err2 != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return os.SameFile(x, y)
}
