// Package cmdtest runs commands in tests.
package cmdtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/leak"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/root"
)

// Program makes the root command that a test runs.
type Program func() *cobra.Command

// Of is a program that has one command only.
func Of(command func() *cobra.Command) Program {
	return func() *cobra.Command { return root.New("test", command()) }
}

// asProgram is the environment variable that makes a test binary the program.
const asProgram = "HOLDFAST_TEST_AS_PROGRAM"

// Main is for TestMain. It lets the test binary be the program, for tests that need
// a process: for its exit status, its signals or its count of goroutines.
func (p Program) Main(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		root.Main(p())
	}
	os.Exit(m.Run())
}

// Command prepares the program as a process. It needs Main.
func (p Program) Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// Executable is the path of the program for other programs that start it. It needs
// Main.
func (p Program) Executable(t *testing.T) string {
	t.Setenv(asProgram, "1")
	return os.Args[0]
}

// Run runs the program in this process, and returns its exit status.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return root.Run(ctx, p(), args, stdout, stderr)
}

// Output runs the program in this process, and returns its exit status and output.
func (p Program) Output(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = p.Run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// Fails runs the program in this process. It must fail with the exit status and one
// message, and write nothing to stdout. The message must contain the text, or all parts
// of it if there are ellipses in it.
func (p Program) Fails(t *testing.T, status int, message string, args ...string) {
	t.Helper()
	got, stdout, stderr := p.Output(t, args...)
	if got != status || stdout != "" {
		t.Errorf("%q: exit status %d, stdout %q; want %d and nothing", args, got, stdout, status)
	}
	if !strings.HasPrefix(stderr, "holdfast: ") || strings.Count(stderr, "holdfast: ") != 1 {
		t.Errorf("%q: stderr has %q, want one message", args, stderr)
	}
	for part := range strings.SplitSeq(message, " … ") {
		if !strings.Contains(stderr, part) {
			t.Errorf("%q: stderr has %q, want %q in it", args, stderr, part)
		}
	}
}

// Running is a program that runs in this process.
type Running struct {
	Stdout, Stderr *Output
	Status         chan int // receives the exit status

	cancel context.CancelFunc
	before int // goroutines
}

// Start runs the program until it has written ready to stdout.
func (p Program) Start(t *testing.T, ready string, args ...string) *Running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &Running{Stdout: Await(ready), Stderr: Await(""), Status: make(chan int, 1), cancel: cancel, before: runtime.NumGoroutine()}
	t.Cleanup(cancel)
	go func() { r.Status <- p.Run(ctx, args, r.Stdout, r.Stderr) }()
	select {
	case <-r.Stdout.Seen:
	case status := <-r.Status:
		t.Fatalf("exit status %d before it wrote %q: stdout %q, stderr %q", status, ready, r.Stdout, r.Stderr)
	case <-time.After(20 * time.Second):
		t.Fatalf("it did not write %q within 20 s: stdout %q, stderr %q", ready, r.Stdout, r.Stderr)
	}
	return r
}

// Interrupt cancels the program and returns its exit status. The program must end
// promptly, leave no goroutine and no longer listen at addr.
func (r *Running) Interrupt(t *testing.T, addr string) int {
	t.Helper()
	r.cancel()
	var status int
	select {
	case status = <-r.Status:
	case <-time.After(5 * time.Second):
		t.Fatalf("still running 5 s after the interrupt: stdout %q, stderr %q", r.Stdout, r.Stderr)
	}
	if n := leak.Count(r.before); n > 0 {
		t.Errorf("%d goroutines are left", n)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Errorf("%s still accepts connections", addr)
	}
	return status
}
