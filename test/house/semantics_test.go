package house

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSemantics checks that every promise of docs/semantics.md names a test, and
// that the tests exist.
func TestSemantics(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, s := range repo.sources {
		if s.isTest() {
			for _, m := range declaredTest.FindAllStringSubmatch(s.text, -1) {
				tests[m[1]] = true
			}
		}
	}
	const page = "docs/semantics.md"
	text := documents(t)[page]
	if n := strings.Count(text, "\n- "); n < 30 {
		t.Errorf("%s has %d promises", page, n)
	}
	for _, p := range promisesHold(page, text, tests) {
		t.Error(p)
	}
}

func TestPlantedSemantics(t *testing.T) {
	tests := map[string]bool{"TestA": true, "FuzzB": true}
	for text, want := range map[string]string{
		"# T\n\n- It holds. (`TestA`, `FuzzB`)\n- So does `this`. (`TestA`)\n": "",
		"# T\n\n- It holds. (`TestC`, `TestA`)\n":                              "a.md:3: names TestC, which does not exist",
		"# T\n\n- It holds.\n":                                                 "a.md:3: a promise without a test",
		"# T\n\n## What is not guaranteed\n\n- That it holds.\n":               "",
		"# T\n\nProse (`TestD`).\n":                                            "a.md:3: names TestD, which does not exist",
	} {
		var got []string
		for _, p := range promisesHold("a.md", text, tests) {
			got = append(got, p.String())
		}
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("%q: %q, want %q", text, all, want)
		}
	}
}

var (
	declaredTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
)

// promisesHold reads a page line by line. Every item of a list is a promise,
// except under the heading "What is not guaranteed".
func promisesHold(path, text string, tests map[string]bool) (ps []problem) {
	isPromised := true
	for i, line := range strings.Split(text, "\n") {
		named := namedTest.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			if !tests[m[1]] {
				ps = append(ps, problem{path, i + 1, "names " + m[1] + ", which does not exist"})
			}
		}
		isPromised = isPromised && line != "## What is not guaranteed"
		if isPromised && strings.HasPrefix(line, "- ") && len(named) == 0 {
			ps = append(ps, problem{path, i + 1, "a promise without a test"})
		}
	}
	return ps
}
