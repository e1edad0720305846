// Command seedmap holds docs/seedmap.md against the tests that it names. It runs
// exactly those and says of every row whether it is green; with -prove it takes the
// behaviour of one row after the other out of a copy of the repository, by a small
// patch, and says whether the row's test notices.
package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// A row is one requirement, what stands for it here, and the tests that show it.
type row struct {
	id, asked, here string
	docs            string
	tests           []test
}

// A test is a test, a fuzz test's seeds or an example, in a folder of the repository.
type test struct{ dir, name string }

// String is the test as pages write it: in the root by its name alone.
func (t test) String() string {
	if t.dir == "." {
		return t.name
	}
	return t.dir + "." + t.name
}

var (
	rowLine   = regexp.MustCompile(`^\| ([ABX]\d+[a-c]?) \| (.+) \| (.+) \| (.+) \| (.+) \|$`)
	quoted    = regexp.MustCompile("`([^`]+)`")
	namedTest = regexp.MustCompile(`^(?:([\w/]+)\.)?((?:Test|Fuzz|Example)\w*)$`)
	declared  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
)

// parse reads the rows of a page.
func parse(text string) (rows []row, err error) {
	for i, line := range strings.Split(text, "\n") {
		cells := rowLine.FindStringSubmatch(line)
		if cells == nil {
			continue
		}
		r := row{id: cells[1], asked: cells[2], here: cells[3], docs: cells[4]}
		for _, m := range quoted.FindAllStringSubmatch(cells[5], -1) {
			t, ok := parseTest(m[1])
			if !ok {
				return nil, fmt.Errorf("line %d, row %s: %q is no test", i+1, r.id, m[1])
			}
			r.tests = append(r.tests, t)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parseTest(text string) (test, bool) {
	m := namedTest.FindStringSubmatch(text)
	if m == nil {
		return test{}, false
	}
	return test{path.Join(m[1], "."), m[2]}, true
}

// testsIn are the tests that the folder declares.
func testsIn(root, dir string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	return names, nil
}

// A patch takes one row's behaviour away. Its file begins with what it takes away,
// in a sentence, and with the test that has to notice, "test: TestX"; the rest is
// for git.
type patch struct {
	file, takes string
	test        test
}

const patches = "internal/tidy/seedmap/testdata"

// patchesOf are a row's patches: A1.patch, A1-word.patch. A row may have none.
func patchesOf(root, id string) (all []patch, err error) {
	for _, pattern := range []string{id + ".patch", id + "-*.patch"} {
		files, err := filepath.Glob(filepath.Join(root, patches, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			p, err := readPatch(file)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

func readPatch(file string) (patch, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return patch{}, err
	}
	lines := strings.SplitN(string(text), "\n", 3)
	if len(lines) == 3 {
		if name, is := strings.CutPrefix(lines[1], "test: "); is {
			if t, is := parseTest(name); is {
				return patch{path.Join(patches, filepath.Base(file)), lines[0], t}, nil
			}
		}
	}
	return patch{}, fmt.Errorf("%s: the second line does not name a test", file)
}
