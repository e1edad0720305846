package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/test/integration/suites/through"
)

const (
	// programTimeout ends a bare run of a program. The tests that hang have failed, and
	// the others run again.
	programTimeout = 45 * time.Second
	// spare is how much longer than bare a program may take through holdfast, beyond
	// twice the time.
	spare = 15 * time.Second
	// aloneTimeout is for each test that a suite runs alone because it hangs.
	aloneTimeout = 5 * time.Second
	// maxAlone is the number of tests that run alone after a crash that no test
	// accounts for.
	maxAlone = 100
	// maxArgument is the length of the names of tests in one argument. Linux allows
	// 128 KiB.
	maxArgument = 64 << 10
	// maxOutput is the length of the output that is kept of a failed test.
	maxOutput = 8 << 10
)

// What becomes of a test. Absent is the zero value.
const (
	passed  = "passes"
	failed  = "fails"
	skipped = "is skipped"
)

// outcomes are the results of tests by name, subtests included.
type outcomes map[string]outcome

type outcome struct {
	result string
	output string // of a test that did not pass
}

// tests runs the tests of a program. only names top-level tests; nil for all of them.
func (s suite) tests(ctx context.Context, p program, config string, only []string, timeout time.Duration) (all outcomes, roundTrips int, err error) {
	if only == nil {
		if only, err = list(ctx, p, s.skip); err != nil {
			return nil, 0, err
		}
	}
	all = outcomes{}
	rest := slices.Clone(only)
	if s.alone != "" {
		hangs, err := regexp.Compile(s.alone)
		if err != nil {
			return nil, 0, err
		}
		rest = slices.DeleteFunc(rest, func(name string) bool { return !hangs.MatchString(name) })
		for _, name := range rest {
			r, err := once(ctx, p, config, []string{name}, s.skip, aloneTimeout)
			if err != nil {
				return nil, 0, err
			}
			roundTrips += r.roundTrips
			if _, finished := r.outcomes[name]; !finished {
				r.outcomes[name] = outcome{failed, "it hangs"}
			}
			maps.Copy(all, r.outcomes)
		}
		rest = slices.DeleteFunc(slices.Clone(only), hangs.MatchString)
	}
	alone := 0
	for len(rest) > 0 {
		names := fitting(rest)
		if alone > 0 {
			names = rest[:1]
			alone--
		}
		r, err := once(ctx, p, config, names, s.skip, timeout)
		if err != nil {
			return nil, 0, err
		}
		roundTrips += r.roundTrips
		before := len(rest)
		rest = slices.DeleteFunc(rest, func(name string) bool {
			_, finished := r.outcomes[name]
			return finished
		})
		for name, o := range r.outcomes {
			if _, known := all[name]; known {
				continue
			}
			if _, finished := r.outcomes[top(name)]; finished {
				all[name] = o
			}
		}
		switch {
		case len(rest) < before:
		case len(names) == 1: // it crashes alone
			all[names[0]] = outcome{failed, r.tail}
			rest = slices.DeleteFunc(rest, func(name string) bool { return name == names[0] })
		case alone == 0:
			alone = min(len(rest), maxAlone)
		}
	}
	return all, roundTrips, nil
}

// fitting returns as many of the names as the arguments of one process can hold.
func fitting(names []string) []string {
	length := 0
	for i, name := range names {
		if length += len(name) + 1; length > maxArgument {
			return names[:i]
		}
	}
	return names
}

// top returns the name of the top-level test of a subtest.
func top(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}

// list returns the names of the top-level tests.
func list(ctx context.Context, p program, skip string) ([]string, error) {
	c := exec.CommandContext(ctx, p.path, "-test.list=^(Test|Example)")
	c.Dir = p.dir
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("the tests of %s cannot be listed: %w", p.pkg, err)
	}
	var not *regexp.Regexp
	if skip != "" {
		if not, err = regexp.Compile(skip); err != nil {
			return nil, err
		}
	}
	var names []string
	for name := range strings.Lines(string(text)) {
		name = strings.TrimSpace(name)
		isTest := strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example")
		if isTest && !strings.Contains(name, " ") && (not == nil || !not.MatchString(name)) {
			names = append(names, name)
		}
	}
	return names, nil
}

// ran is a run of a program.
type ran struct {
	outcomes   outcomes
	roundTrips int
	tail       string // of the output
}

// once runs a program once. Tests that a crash cut short are missing in the result.
func once(ctx context.Context, p program, config string, names []string, skip string, timeout time.Duration) (*ran, error) {
	count, err := os.CreateTemp("", "suites-count")
	if err != nil {
		return nil, err
	}
	count.Close()
	defer os.Remove(count.Name())
	args := []string{
		"-test.v=test2json", "-test.short", "-test.paniconexit0", "-test.timeout=" + timeout.String(),
		"-test.run=^(" + strings.Join(names, "|") + ")$",
	}
	if skip != "" {
		args = append(args, "-test.skip="+skip)
	}
	limited, cancel := context.WithTimeout(ctx, timeout+spare)
	defer cancel()
	c := exec.CommandContext(limited, p.path, args...)
	c.Dir = p.dir
	c.WaitDelay = time.Second
	c.Env = append(os.Environ(), through.ConfigVariable+"="+config, through.CountVariable+"="+count.Name(), "GOFLAGS=", "GOWORK=off")
	var text bytes.Buffer
	c.Stdout, c.Stderr = &text, &text
	if err := c.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &ran{tail: last(text.String())}
	if r.outcomes, err = parse(ctx, text.Bytes()); err != nil {
		return nil, err
	}
	for _, name := range hanging(text.String(), timeout) {
		if _, known := r.outcomes[name]; !known {
			r.outcomes[name] = outcome{failed, "it hangs"}
		}
		if _, known := r.outcomes[top(name)]; !known {
			r.outcomes[top(name)] = outcome{failed, "it hangs"}
		}
	}
	if info, err := os.Stat(count.Name()); err == nil {
		r.roundTrips = int(info.Size())
	}
	return r, nil
}

// parse reads the output of a test program with the go command's own tool.
func parse(ctx context.Context, text []byte) (outcomes, error) {
	c := exec.CommandContext(ctx, "go", "tool", "test2json")
	c.Stdin = bytes.NewReader(text)
	events, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("test2json: %w", err)
	}
	all := outcomes{}
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(bytes.NewReader(events))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		if e.Test == "" {
			continue
		}
		switch e.Action {
		case "output":
			if output[e.Test] == nil {
				output[e.Test] = new(strings.Builder)
			}
			output[e.Test].WriteString(e.Output)
		case "pass":
			all[e.Test] = outcome{result: passed}
			delete(output, e.Test)
		case "skip":
			all[e.Test] = outcome{result: skipped}
			delete(output, e.Test)
		case "fail":
			o := outcome{result: failed}
			if said := output[e.Test]; said != nil {
				o.output = last(said.String())
			}
			all[e.Test] = o
		}
	}
	return all, lines.Err()
}

// last returns the end of a text.
func last(text string) string { return text[max(0, len(text)-maxOutput):] }

var hangs = regexp.MustCompile(`(?m)^\t+((?:Test|Example)\S*) \((.*)\)$`)

// hanging returns the tests that a timeout of a program names, if they have run for half
// of it. Others may have begun late.
func hanging(text string, timeout time.Duration) (names []string) {
	_, text, timedOut := strings.Cut(text, "panic: test timed out after")
	if !timedOut {
		return nil
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, m := range hangs.FindAllStringSubmatch(text, -1) {
		if ran, err := time.ParseDuration(m[2]); err == nil && ran >= timeout/2 {
			names = append(names, m[1])
		}
	}
	return names
}
