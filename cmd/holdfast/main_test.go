package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/version"
)

var program = cmdtest.Program(newRoot)

func TestMain(m *testing.M) { program.Main(m) }

func TestWrongUse(t *testing.T) {
	program.Fails(t, exit.Usage, `unknown command "dmo"; did you mean demo?`, "dmo")
	program.Fails(t, exit.Usage, `unknown command "quux"; there are call, config, conformance, demo, embed, faults and version`, "quux")
	program.Fails(t, exit.Usage, "unknown flag: --quux; holdfast --help lists the flags", "--quux")
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"", "Resilient outbound calls"},
		{"--help", "faults"},
		{"help demo", "--plant fresh-key"},
		{"faults --help", "--listen ADDRESS"},
		{"--version", "holdfast "},
	} {
		var stdout, stderr bytes.Buffer
		if got := program.Run(t.Context(), strings.Fields(tt.args), &stdout, &stderr); got != 0 {
			t.Errorf("%q: exit status %d, want 0", tt.args, got)
		}
		if !strings.Contains(stdout.String(), tt.says) || stderr.Len() > 0 {
			t.Errorf("%q: stdout %q, stderr %q; want %q on stdout", tt.args, &stdout, &stderr, tt.says)
		}
	}
}

func TestVersion(t *testing.T) {
	output := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := program.Output(t, args...)
		if status != 0 || stderr != "" {
			t.Fatalf("%q: exit status %d, stderr %q", args, status, stderr)
		}
		return stdout
	}
	if got, want := output("--version"), output("version"); got != want {
		t.Errorf("--version prints %q, version %q", got, want)
	}
	// The build of a test has the modules of the program.
	var build version.Build
	if err := json.Unmarshal([]byte(output("version", "--json")), &build); err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, m := range build.Modules {
		sums[m.Path] = m.Sum
	}
	if sum, listed := sums["github.com/holdfast-go/holdfast"]; !listed || sum != "" || sums["github.com/spf13/cobra"] == "" {
		t.Errorf("modules are %+v; want this repository's without a checksum, and cobra with one", build.Modules)
	}
}
