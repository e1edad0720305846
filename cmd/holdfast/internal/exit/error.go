// Package exit has the exit statuses of the program, errors that carry one, and the
// texts of error messages.
package exit

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// Error is an error with the exit status that it causes.
type Error struct {
	Status int
	Err    error
}

// With gives an error an exit status.
func With(status int, err error) error { return &Error{status, err} }

// Errorf is fmt.Errorf with an exit status.
func Errorf(status int, format string, args ...any) error {
	return &Error{status, fmt.Errorf(format, args...)}
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// StatusOf is the exit status of a command that returned err. An error without a
// status is from cobra, and is about the arguments.
func StatusOf(err error) int {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Status
	}
	return Usage
}

// Report writes the message of a failed command and returns its exit status. It
// writes nothing if err is nil.
func Report(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintf(stderr, "holdfast: %s\n", strings.TrimRight(err.Error(), "\n"))
	}
	return StatusOf(err)
}

// Text is the message of an error without the prefix "holdfast: ", which Report
// adds.
func Text(err error) string {
	return strings.ReplaceAll("\n"+err.Error(), "\nholdfast: ", "\n")[1:]
}

// Reason strips the operation and the name from an error of the operating system.
// The messages of the commands begin with the flag and the name already.
func Reason(err error) error {
	var path *os.PathError
	var call *os.SyscallError
	var op *net.OpError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
