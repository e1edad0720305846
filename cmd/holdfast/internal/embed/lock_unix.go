//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embed

import (
	"errors"
	"os"
	"syscall"
)

// lock locks the output file for this process. The lock ends with the process, however that
// ends. It is errInUse if another process has locked it.
func lock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errInUse
		default:
			return err
		}
	}
}
