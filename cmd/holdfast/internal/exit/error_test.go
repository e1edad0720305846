package exit

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
)

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		text   string
	}{
		{nil, 0, ""},
		{errors.New("unknown flag"), Usage, "holdfast: unknown flag\n"},
		{With(Config, errors.New("two\nlines\n")), Config, "holdfast: two\nlines\n"},
		{fmt.Errorf("run: %w", Errorf(TryAgain, "busy %d", 7)), TryAgain, "holdfast: run: busy 7\n"},
	} {
		var b bytes.Buffer
		if status := Report(&b, tt.err); status != tt.status || b.String() != tt.text {
			t.Errorf("%v: status %d, message %q; want %d, %q", tt.err, status, &b, tt.status, tt.text)
		}
	}
}

func TestText(t *testing.T) {
	if got, want := Text(errors.New("holdfast: 2 problems\nholdfast: a holdfast: b")), "2 problems\na holdfast: b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReason(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{
		cause,
		&os.PathError{Op: "open", Path: "x", Err: cause},
		os.NewSyscallError("bind", cause),
		&net.OpError{Op: "listen", Err: cause},
		&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", cause)},
		fmt.Errorf("wrapped: %w", &os.PathError{Op: "open", Path: "x", Err: cause}),
	} {
		if got := Reason(err); got != cause {
			t.Errorf("%v: %v, want %v", err, got, cause)
		}
	}
}
