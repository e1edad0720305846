package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A result is what a test came to.
type result struct {
	passed bool
	why    string // not passed: the first line that says so
}

// runTests runs these tests and no others, one package after the other. The error
// is that a package cannot be built or run at all.
func runTests(root string, tests []test, flags ...string) (map[test]result, error) {
	byDir := map[string][]string{}
	for _, t := range tests {
		if !slices.Contains(byDir[t.dir], t.name) {
			byDir[t.dir] = append(byDir[t.dir], t.name)
		}
	}
	results := map[test]result{}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		names := byDir[dir]
		args := append([]string{"test", "-json", "-count=1", "-p=2", "-run=^(" + strings.Join(names, "|") + ")$"}, flags...)
		cmd := exec.Command("go", append(args, ".")...)
		cmd.Dir = filepath.Join(root, dir)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.Output() // exit code 1 is a test that failed
		all, broken := read(out)
		if broken != "" {
			return nil, fmt.Errorf("%s: %s", dir, broken)
		}
		if len(out) == 0 && err != nil {
			return nil, fmt.Errorf("%s: go test: %w", dir, err)
		}
		for _, name := range names {
			r, ran := all[name]
			if !ran {
				r.why = "did not run"
			}
			results[test{path.Clean(dir), name}] = r
		}
	}
	return results, nil
}

// event is one of those of go test -json.
type event struct{ Action, Test, Output string }

// read makes results of go test's events. broken is what kept the package from being
// built.
func read(out []byte) (results map[string]result, broken string) {
	results = map[string]result{}
	var built []string
	failing := false
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		name, _, _ := strings.Cut(e.Test, "/")
		r := results[name]
		switch {
		case e.Action == "build-output":
			built = append(built, strings.TrimSpace(e.Output))
			continue
		case e.Action == "build-fail":
			failing = true
			continue
		case name == "":
			continue
		case e.Action == "output":
			r.why = better(r.why, e.Output)
		case e.Action == "pass" && e.Test == name:
			r = result{passed: true}
		case e.Action == "skip" && e.Test == name:
			r.why = "was skipped"
		}
		results[name] = r
	}
	if failing {
		if len(built) > 1 {
			built = built[1:] // "# package"
		}
		return nil, "does not compile: " + strings.Join(built[:min(1, len(built))], "")
	}
	return results, ""
}

var complaint = regexp.MustCompile(`^(\w+\.go:\d+: |panic: |got:)`)

// better is the first line that complains of something, or for want of one the
// first that says anything. A line that ends in the middle is joined by the next.
func better(was, output string) string {
	line := strings.TrimSpace(output)
	switch {
	case line == "", strings.HasPrefix(line, "=== "), strings.HasPrefix(line, "--- "):
		return was
	case was == "", !complaint.MatchString(was) && complaint.MatchString(line):
		return line
	case strings.HasSuffix(was, ":"), strings.HasSuffix(was, " is"):
		return was + " " + line
	}
	return was
}
