package house

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirements are the ids of all rows of docs/requirements.md. There is no B5.
var requirements = strings.Fields(`
	A1 A2 A3 A4 A5 A5b A6 A7 A8 A9 A10 A11 A12
	B1a B1b B1c B2a B2b B3 B4a B4b B4c B6 B7 B8 B9 B10 B11 B12 B13 B14 B15
	X1 X2`)

// TestRequirements checks that docs/requirements.md has every row, that each row
// names at least one test, and that the tests exist.
func TestRequirements(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	const page = "docs/requirements.md"
	for _, p := range requirementsAreTested(page, documents(t)[page], requirements, repo.tests()) {
		t.Error(p)
	}
}

// tests returns the tests and fuzz tests of the repository, each as
// docs/requirements.md names it: "TestX" in the root, else "folder.TestX".
func (r repository) tests() map[string]bool {
	tests := make(map[string]bool)
	for _, s := range r.sources {
		if !s.isTest() {
			continue
		}
		folder := ""
		if s.pkg() != "." {
			folder = s.pkg() + "."
		}
		for _, m := range declaredTest.FindAllStringSubmatch(s.text, -1) {
			tests[folder+m[1]] = true
		}
	}
	return tests
}

var (
	requirementRow = regexp.MustCompile(`^\| ([ABX]\d+[a-c]?) \|(.*)\|$`)
	inCode         = regexp.MustCompile("`([^`]+)`")
)

// requirementsAreTested reads the rows of a page. The last cell of a row names
// its tests.
func requirementsAreTested(page, text string, ids []string, tests map[string]bool) (ps []problem) {
	seen := make(map[string]bool)
	for i, line := range strings.Split(text, "\n") {
		m := requirementRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := func(text string) { ps = append(ps, problem{page, i + 1, m[1] + " " + text}) }
		switch {
		case !slices.Contains(ids, m[1]):
			at("is not a requirement")
		case seen[m[1]]:
			at("is there twice")
		}
		seen[m[1]] = true
		cells := strings.Split(m[2], " | ")
		named := inCode.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(named) == 0 {
			at("names no test")
		}
		for _, test := range named {
			if !tests[test[1]] {
				at("names " + test[1] + ", which does not exist")
			}
		}
	}
	for _, id := range ids {
		if !seen[id] {
			ps = append(ps, problem{path: page, text: id + " is missing"})
		}
	}
	return ps
}

func TestPlantedRequirements(t *testing.T) {
	tests := map[string]bool{"TestA": true, "a/b.FuzzB": true}
	const head = "| id | asked | here | departs | tests |\n|---|---|---|---|---|\n"
	for text, want := range map[string][]string{
		"| A1 | x | `TestZ` | – | `TestA`, `a/b.FuzzB` |":            nil,
		"| A1 | x | y | – | `TestC` |":                               {"r.md:3: A1 names TestC, which does not exist"},
		"| A1 | x | y | – | `a/b.TestA`, `FuzzB` |":                  {"r.md:3: A1 names FuzzB, which does not exist", "r.md:3: A1 names a/b.TestA, which does not exist"},
		"| A1 | x | y | – | by hand |":                               {"r.md:3: A1 names no test"},
		"| A1 | x | `TestA` | – | |":                                 {"r.md:3: A1 names no test"},
		"| A1 | x | y | – | `TestA` |\n| A1 | x | y | – | `TestA` |": {"r.md:4: A1 is there twice"},
		"| A1 | x | y | – | `TestA` |\n| A2 | x | y | – | `TestA` |": {"r.md:4: A2 is not a requirement"},
		"":                             {"r.md: A1 is missing"},
		"| A1 | x | y | – | `TestA`":   {"r.md: A1 is missing"},
		"A1 | x | y | – | `TestA` |\n": {"r.md: A1 is missing"},
	} {
		expect(t, requirementsAreTested("r.md", head+text, []string{"A1"}, tests), want)
	}
}

// TestNamesOfTests checks the names by which the repository's own tests are
// known, so that a wrong walk does not make every name unknown or known.
func TestNamesOfTests(t *testing.T) {
	repo := repository{}
	for file, text := range map[string]string{
		"x_test.go":     "package holdfast\nfunc TestA(t *testing.T) {}\nfunc help() {}\n",
		"a/b/x_test.go": "package b\nfunc FuzzB(f *testing.F) {}\n",
		"a/b/x.go":      "package b\nfunc TestC(t *testing.T) {}\n",
	} {
		s, err := parse(file, ".", text)
		if err != nil {
			t.Fatal(err)
		}
		repo.sources = append(repo.sources, s)
	}
	got := repo.tests()
	if len(got) != 2 || !got["TestA"] || !got["a/b.FuzzB"] {
		t.Errorf("got %v, want TestA and a/b.FuzzB", got)
	}
}
