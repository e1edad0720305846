//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embed

import (
	"errors"
	"os"
)

// lock does nothing: the standard library has no lock that ends with the process here.
func lock(*os.File) error { return errors.ErrUnsupported }
