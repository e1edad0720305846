package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row that there has to be. B5 does not exist.
const ids = `A1 A2 A3 A4 A5 A5b A6 A7 A8 A9 A10 A11 A12
B1a B1b B1c B2a B2b B3 B4a B4b B4c B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 X1 X2`

const root = "../../.."

// No row is missing, and what it names is there: its tests, its API, and the tests
// that its patches are to turn red.
func TestSeedMap(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	api := exported(t)
	for _, p := range problems(rows, strings.Fields(ids), api, func(dir string) map[string]bool {
		names, err := testsIn(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}) {
		t.Error(p)
	}
	patched := 0
	for _, r := range rows {
		all, err := patchesOf(root, r.id)
		if err != nil {
			t.Error(err)
		}
		if len(all) == 0 {
			t.Errorf("%s: has no patch", r.id)
		}
		patched += len(all)
		for _, p := range all {
			if !slices.Contains(r.tests, p.test) {
				t.Errorf("%s is to be noticed by %s, which is no test of row %s", p.file, p.test, r.id)
			}
		}
	}
	if files, err := filepath.Glob(filepath.Join(root, patches, "*")); err != nil || len(files) != patched {
		t.Errorf("%d files of patches, %d of them a row's: %v", len(files), patched, err)
	}
}

// exported is every word of the packages' reviewed API.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "api/*.txt"))
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files of API: %v", len(files), err)
	}
	words := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		words[strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".txt"), "provider-")] = true
		for _, word := range regexp.MustCompile(`\w+`).FindAllString(string(text), -1) {
			words[word] = true
		}
	}
	return words
}

// problems is what is wrong with the rows of a page.
func problems(rows []row, ids []string, api map[string]bool, testsIn func(dir string) map[string]bool) (ps []string) {
	have := map[string]int{}
	for _, r := range rows {
		if have[r.id]++; have[r.id] > 1 {
			ps = append(ps, r.id+": is there twice")
		}
		if !slices.Contains(ids, r.id) {
			ps = append(ps, r.id+": is no row of the map")
		}
		if len(r.tests) == 0 {
			ps = append(ps, r.id+": names no test")
		}
		for _, test := range r.tests {
			if !testsIn(test.dir)[test.name] {
				ps = append(ps, fmt.Sprintf("%s: names %s, which is not there", r.id, test))
			}
		}
		for _, code := range quoted.FindAllStringSubmatch(r.here, -1) {
			for name := range strings.SplitSeq(code[1], ".") {
				if isAPI.MatchString(code[1]) && !api[name] {
					ps = append(ps, fmt.Sprintf("%s: there is no %s", r.id, code[1]))
				}
			}
		}
	}
	for _, id := range ids {
		if have[id] == 0 {
			ps = append(ps, id+": is missing")
		}
	}
	return ps
}

// isAPI matches what looks like a name of these packages; http.Transport is
// another's.
var isAPI = regexp.MustCompile(`^((settings|faultserver|fault|mixedbread|ollama|bedrock)\.)?[A-Z]\w*(\.[A-Z]\w*)*$`)

func TestPlantedRows(t *testing.T) {
	tests := func(dir string) map[string]bool {
		return map[string]bool{"TestA": dir == ".", "FuzzB": dir == "a/b"}
	}
	api := map[string]bool{"Client": true, "Get": true, "settings": true, "Load": true}
	const head = "| row | asked | here | read | shown by |\n|---|---|---|---|---|\n"
	for text, want := range map[string]string{
		"| A1 | x | `Client.Get`, `http.Get`, `Content-Type`, `settings.Load` | y | `TestA`, `a/b.FuzzB` |": "",
		"| A1 | x | `Client.Put` | y | `TestA` |":                                                           "A1: there is no Client.Put",
		"| A1 | x | z | y | `TestC` |":                                                                      "A1: names TestC, which is not there",
		"| A1 | x | z | y | `FuzzB`, `c.TestA` |":                                                           "A1: names FuzzB, which is not there; A1: names c.TestA, which is not there",
		"| A1 | x | z | y | by hand |":                                                                      "A1: names no test",
		"| A1 | x | z | y | `TestA` |\n| A1 | x | z | y | `TestA` |":                                        "A1: is there twice",
		"| A1 | x | z | y | `TestA` |\n| A2 | x | z | y | `TestA` |":                                        "A2: is no row of the map",
		"":                                 "A1: is missing",
		"| A1 | x | z | y | `make test` |": `line 3, row A1: "make test" is no test`,
	} {
		rows, err := parse(head + text)
		got := strings.Join(problems(rows, []string{"A1"}, api, tests), "; ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What a test came to is read from what go test says of it.
func TestRead(t *testing.T) {
	const said = `{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Test":"TestA","Output":"some log\n"}
{"Action":"output","Test":"TestA/b","Output":"    a_test.go:12: want 1\n"}
{"Action":"output","Test":"TestA/b","Output":"    a_test.go:13: want 2\n"}
{"Action":"fail","Test":"TestA/b"}
{"Action":"output","Test":"TestE","Output":"    a_test.go:30: line 3 is\n"}
{"Action":"output","Test":"TestE","Output":"        this, want that\n"}
{"Action":"output","Test":"TestE","Output":"        and more\n"}
{"Action":"fail","Test":"TestA"}
{"Action":"output","Test":"TestB","Output":"    a_test.go:20: a log\n"}
{"Action":"pass","Test":"TestB/c"}
{"Action":"pass","Test":"TestB"}
{"Action":"skip","Test":"TestC"}
{"Action":"output","Test":"TestD","Output":"panic: deadlock\n"}
{"Action":"fail"}
`
	got, broken := read([]byte(said))
	want := map[string]result{
		"TestA": {why: "a_test.go:12: want 1"}, "TestB": {passed: true}, "TestC": {why: "was skipped"}, "TestD": {why: "panic: deadlock"},
		"TestE": {why: "a_test.go:30: line 3 is this, want that"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || broken != "" {
		t.Errorf("got %v, %q, want %v", got, broken, want)
	}
	const unbuilt = `{"Action":"build-output","Output":"# a/b\n"}
{"Action":"build-output","Output":"./a.go:3:1: undefined: x\n"}
{"Action":"build-fail"}
{"Action":"fail"}
`
	if _, broken := read([]byte(unbuilt)); broken != "does not compile: ./a.go:3:1: undefined: x" {
		t.Errorf("what does not compile is %q", broken)
	}
}
