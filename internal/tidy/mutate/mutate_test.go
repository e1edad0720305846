package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const page = "# Page\n\n| old |\n|---|\n\n" +
	"## Survivors\n\n- `internal/core/a.go`: `if a «< → <=» b {`: they are the same.\n\n" +
	"## Never ended\n\n- `internal/wire/b.go`: `for «== → !=» {`: it goes on.\n"

// What the page explains, and enough beside it that is noticed.
func explainedRun() []mutant {
	all := []mutant{
		{"internal/core/a.go", "if a «< → <=» b {", lived},
		{"internal/wire/b.go", "for «== → !=» {", timedOut},
		{"internal/wire/b.go", "«& → |»x", notViable},
	}
	for range 9 {
		all = append(all, mutant{"internal/core/a.go", "x", killed}, mutant{"internal/wire/b.go", "x", killed})
	}
	return all
}

func TestJudge(t *testing.T) {
	for what, c := range map[string]struct {
		all  []mutant
		page string
		want string
	}{
		"all is explained": {explainedRun(), page, ""},
		"one more survived": {append(explainedRun(), mutant{"internal/wire/b.go", "y", lived}), page,
			"\"Survivors\" does not explain - `internal/wire/b.go`: `y`: "},
		"one that no test reaches": {append(explainedRun(), mutant{"internal/wire/b.go", "y", notCovered}), page,
			"\"Survivors\" does not explain - `internal/wire/b.go`: `y`: "},
		"one that is explained, on a second line that reads the same": {append(explainedRun(), explainedRun()...), page,
			"\"Never ended\" does not explain - `internal/wire/b.go`: `for «== → !=» {`: \n" +
				"\"Survivors\" does not explain - `internal/core/a.go`: `if a «< → <=» b {`: "},
		"one that was slow": {append(explainedRun(), mutant{"internal/wire/b.go", "y", timedOut}), page,
			"\"Never ended\" does not explain - `internal/wire/b.go`: `y`: "},
		"a test was written": {explainedRun()[1:], page,
			"\"Survivors\" explains what is not so: - `internal/core/a.go`: `if a «< → <=» b {`"},
		"no reason is given": {explainedRun(), strings.Replace(page, "they are the same.", "", 1),
			"\"Survivors\" does not explain - `internal/core/a.go`: `if a «< → <=» b {`: "},
		"too many survived": {append(explainedRun(), explainedRun()[0]), page + strings.Join(strings.SplitAfter(page, "\n")[5:8], ""),
			"internal/core: the tests notice 81.8 %, less than 90 %"},
	} {
		got := ""
		if err := judge(c.all, c.page); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", what, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	got, err := withTable(page, tableOf(explainedRun()))
	want := strings.Replace(page, "| old |\n|---|\n", `| file | noticed | survived | never ended | does not compile | efficacy |
|---|--:|--:|--:|--:|--:|
| `+"`internal/core/a.go`"+` | 9 | 1 | 0 | 0 | 90.0 % |
| **internal/core** | 9 | 1 | 0 | 0 | 90.0 % |
| `+"`internal/wire/b.go`"+` | 9 | 0 | 1 | 1 | 100.0 % |
| **internal/wire** | 9 | 0 | 1 | 1 | 100.0 % |
`, 1)
	if got != want || err != nil {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestEdited(t *testing.T) {
	const line = "\tif a <= b && c == -1 { // why"
	for mutator, want := range map[string]string{
		"CONDITIONALS_BOUNDARY": "if a «<= → <» b && c == -1 {",
		"INVERT_LOGICAL":        "if a <= b «&& → ||» c == -1 {",
		"ARITHMETIC_BASE":       "if a <= b && c == «- → +»1 {",
	} {
		column := map[string]int{"CONDITIONALS_BOUNDARY": 6, "INVERT_LOGICAL": 11, "ARITHMETIC_BASE": 19}[mutator]
		if got, err := edited(line, column, becomes[mutator]); got != want || err != nil {
			t.Errorf("%s: %q, %v", mutator, got, err)
		}
	}
	if got, err := edited(line, 6, becomes["INVERT_LOGICAL"]); err == nil {
		t.Errorf("%q", got)
	}
}

// A mutant that does not compile is none that a test has noticed, though go test
// ends with the same exit code; and every line counts as covered.
func TestAsGo(t *testing.T) {
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module x\n\ngo 1.26\n")
	write("x.go", "package x\n\nfunc F() int { return 1 }\n")
	write("x_test.go", "package x\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) {}\n")
	profile := filepath.Join(t.TempDir(), "coverage")
	if code := asGo(real, []string{"test", "-cover", "-coverprofile", profile, "./..."}); code != 0 {
		t.Errorf("the coverage: exit code %d", code)
	}
	if got, err := os.ReadFile(profile); string(got) != "mode: set\nx/x.go:1.1,1000000.1 1 1\n" {
		t.Errorf("the profile is %q, %v", got, err)
	}
	write("x.go", "package x\n\nfunc F() int { return 1 && 2 }\n")
	if code := asGo(real, []string{"test", "-timeout", "1m", "-failfast", "x"}); code != doesNotCompile {
		t.Errorf("what does not compile: exit code %d", code)
	}
}
