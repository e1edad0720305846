//go:build unix

package settings_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/settings"
)

// Settings must be a file: to open a pipe without a writer would block for ever.
func TestSettingsAreAFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "settings.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		pipe:        "is a pipe: must be a file",
		"/dev/zero": "is a device: must be a file",
		t.TempDir(): "is a directory: must be a file",
	} {
		if _, err := settings.Load(path, nil); err == nil || !strings.HasSuffix(err.Error(), path+": "+says) {
			t.Errorf("%s: %v; want %q", path, err, says)
		}
	}
}
