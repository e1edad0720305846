package version

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

var program = cmdtest.Of(NewCommand)

func TestVersion(t *testing.T) {
	run := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), args, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Fatalf("%q: exit status %d, stderr %q", args, status, &stderr)
		}
		return stdout.String()
	}
	if got, want := run("version"), "holdfast "+Current().String()+"\n"; got != want {
		t.Errorf("version prints %q, want %q", got, want)
	}
	var b Build
	if err := json.Unmarshal([]byte(run("version", "--json")), &b); err != nil {
		t.Fatal(err)
	}
	if b.String() != Current().String() || len(b.Modules) == 0 {
		t.Errorf("version --json prints %+v, want %+v", b, Current())
	}
}

func TestWrongUse(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"version", "please"}, &stdout, &stderr)
	if want := "holdfast: version takes no arguments; got 1 argument\n"; status != exit.Usage || stderr.String() != want {
		t.Errorf("exit status %d, stderr %q; want %d, %q", status, &stderr, exit.Usage, want)
	}
}
