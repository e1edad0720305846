package catalog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
)

var program = cmdtest.Of(NewCommand)

func TestList(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		args := []string{"list"}
		if verbose {
			args = append(args, "--verbose")
		}
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), args, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Fatalf("exit status %d, stderr %q", status, &stderr)
		}
		for _, e := range All() {
			if !strings.Contains(stdout.String(), string(e.ID)) {
				t.Errorf("%v: %s is missing", args, e.ID)
			}
		}
		for line := range strings.Lines(stdout.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := len([]rune(line)); n > 80 && !strings.HasPrefix(line, "  proof") {
				t.Errorf("%v: a line of %d columns: %s", args, n, line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Errorf("%v: a line ends in blanks: %q", args, line)
			}
		}
	}
}
