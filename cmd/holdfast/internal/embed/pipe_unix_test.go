//go:build unix

package embed

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// Pipes and devices in the place of files are read as far as that is possible, or are an
// error. None of them blocks the command.
func TestPipesAndDevices(t *testing.T) {
	server := embeddings(t)
	pipe := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	begun := pipe("vectors.ndjson.state")
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"rye", "--resume", pipe("vectors.ndjson")}, exit.Config, "is a pipe: must be a file that holdfast embed has written"},
		{[]string{"rye", "--resume", os.DevNull}, exit.Config, "is a device: must be a file that holdfast embed has written"},
		{[]string{"rye", "--resume", t.TempDir()}, exit.Config, "is a directory: must be a file that"},
		{[]string{"rye", "--out", strings.TrimSuffix(begun, ".state")}, exit.Config, begun + " is a pipe: must be moved away"},
		{[]string{"--file", os.DevNull}, 0, "done 0"},
		{[]string{"--file", "/dev/zero"}, exit.Config, "/dev/zero: line 1: has more than 1,048,576 bytes"},
		{[]string{"--file", t.TempDir()}, exit.Config, "is a directory: must be a file or a pipe"},
		{[]string{"rye", "--config", pipe("settings.json")}, exit.Config, "is a pipe: must be a file"},
	} {
		if status, _, stderr := runEmbed(t, server, "", tt.args...); status != tt.want || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stderr %s; want %q", tt.args, status, stderr, tt.says)
		}
	}
	if n := len(server.Record()); n != 0 {
		t.Errorf("%d requests were sent; want none", n)
	}
	texts := pipe("texts")
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(texts, []byte("rye\noat\n"), 0) }()
	if status, stdout, stderr := runEmbed(t, server, "", "--file", texts); status != 0 || strings.Count(stdout, "\n") != 2 {
		t.Errorf("texts from a pipe: exit status %d, stderr %s", status, stderr)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// While it waits for the writer of a pipe, one interrupt ends it.
func TestInterruptedPipe(t *testing.T) {
	texts := filepath.Join(t.TempDir(), "texts")
	if err := syscall.Mkfifo(texts, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
	ctx, ctrlC := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer ctrlC()
	ended := make(chan int)
	go func() {
		ended <- program.Run(ctx, []string{"embed", "--provider", "mixedbread", "--file", texts}, io.Discard, io.Discard)
	}()
	select {
	case status := <-ended:
		if status != exit.Interrupted {
			t.Errorf("exit status %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for the pipe")
	}
}
