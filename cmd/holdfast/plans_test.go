package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

func TestBuiltinPlans(t *testing.T) {
	opened, err := fs.Glob(planFiles, "plans/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builtins {
		file := "plans/" + b.name + ".json"
		i := slices.Index(opened, file)
		if i < 0 {
			t.Errorf("%s has no file %s", b.name, file)
			continue
		}
		opened = slices.Delete(opened, i, i+1)
		if isFile(b.name) {
			t.Errorf("%s would be taken for a file", b.name)
		}
		plan, _, err := loadPlan(b.name)
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
		} else if _, err := plan.Compile(); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), []string{"faults", "plans", b.name}, &stdout, &stderr); status != 0 {
			t.Errorf("faults plans %s: exit status %d, %s", b.name, status, &stderr)
		} else if _, err := fault.Parse(stdout.Bytes()); err != nil {
			t.Errorf("faults plans %s: %v", b.name, err)
		}
	}
	for _, file := range opened {
		t.Errorf("%s has no line in builtins", file)
	}
}

func TestListOfPlans(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"faults", "plans"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	for _, b := range builtins {
		if !strings.Contains(stdout.String(), b.name+" ") {
			t.Errorf("%s is not listed in\n%s", b.name, &stdout)
		}
	}
}

func TestPlanNameOrFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, file := range []string{"outage", "mine", "slo", "mine.json", filepath.Join("sub", "outage")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(`{"seed": 99}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		plan    string
		seed    uint64 // 99 is the file's
		notes   string
		refused string
	}{
		{"flaky", 1, "", ""},
		{"outage", 1, "for the file of that name write ./outage", ""},
		{"./outage", 99, "", ""},
		{"sub/outage", 99, "", ""},
		{"mine.json", 99, "", ""},
		{"mine", 0, "", `"mine" is not a built-in plan; did you mean the file ./mine?`},
		{"slo", 0, "", `"slo" is not a built-in plan; did you mean slow, or the file ./slo?`},
		{"outge", 0, "", `"outge" is not a built-in plan; did you mean outage?`},
		{"quuxquux", 0, "", `"quuxquux" is not a built-in plan; there are healthy, flaky, outage`},
		{"no.json", 0, "", "no such file"},
	} {
		plan, note, err := loadPlan(tt.plan)
		switch {
		case tt.refused != "":
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s: error %v, want %q", tt.plan, err, tt.refused)
			}
		case err != nil || plan.Seed != tt.seed:
			t.Errorf("%s: seed %d, error %v; want seed %d", tt.plan, plan.Seed, err, tt.seed)
		case tt.notes == "" && note != "" || !strings.Contains(note, tt.notes):
			t.Errorf("%s: note %q, want %q", tt.plan, note, tt.notes)
		}
	}
}

func TestListOfFaults(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		args := []string{"faults", "list"}
		if verbose {
			args = append(args, "--verbose")
		}
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), args, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Fatalf("exit status %d, stderr %q", status, &stderr)
		}
		for _, e := range catalog() {
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

func TestSchema(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"faults", "schema"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	if !bytes.Equal(stdout.Bytes(), fault.Schema()) || !json.Valid(stdout.Bytes()) {
		t.Errorf("it printed %s", &stdout)
	}
}
