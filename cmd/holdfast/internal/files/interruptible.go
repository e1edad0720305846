package files

import "io"

// Interruptible returns a reader of r that can be closed during a Read. A Read of a
// terminal blocks until a line is typed, also after a Close. The goroutine ends when
// r does, or with the program.
func Interruptible(r io.Reader) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		_ = pw.CloseWithError(err)
	}()
	return pr
}
