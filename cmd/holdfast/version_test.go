package main

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

func TestVersion(t *testing.T) {
	said := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if status := program.Run(context.Background(), args, &out, &errs); status != 0 || errs.Len() > 0 {
			t.Fatalf("%q ends with %d: %s", args, status, errs.String())
		}
		return out.String()
	}
	short := said("version")
	if short != said("--version") || !strings.HasPrefix(short, "holdfast ") || !strings.Contains(short, runtime.Version()) {
		t.Errorf("version says %q, --version %q", short, said("--version"))
	}
	var b build
	if err := json.Unmarshal([]byte(said("version", "--json")), &b); err != nil {
		t.Fatal(err)
	}
	if b.String() != strings.TrimSuffix(strings.TrimPrefix(short, "holdfast "), "\n") {
		t.Errorf("with --json it is %+v, without %q", b, short)
	}
	// A test's own build names its modules, the root among them.
	if !slices.ContainsFunc(b.Modules, func(m module) bool { return m.Path == "github.com/spf13/cobra" && m.Sum != "" }) ||
		!slices.ContainsFunc(b.Modules, func(m module) bool { return m.Path == "github.com/holdfast-go/holdfast" && m.Sum == "" }) {
		t.Errorf("modules are %+v", b.Modules)
	}

	var out, errs bytes.Buffer
	if status := program.Run(context.Background(), []string{"version", "please"}, &out, &errs); status != exit.Usage ||
		errs.String() != "holdfast: version takes no arguments; got 1 argument\n" {
		t.Errorf("an argument: %d, %q", status, errs.String())
	}
}
