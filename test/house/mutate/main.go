// Command mutate measures what the tests of the decision code notice. It runs
// gremlins, which changes one operator at a time and runs the tests of the
// package that contains it. The command prints a table of the results, and fails
// if the tests of a part notice too few of the changes.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A part is a folder that gremlins changes in one run, with all folders in it.
type part struct {
	dir     string
	without string  // a regular expression: files to leave out; empty for none
	least   float64 // percentage of the changes that the tests must notice
}

var parts = []part{
	{dir: "internal/core", least: 90},
	// The files that parse and decide. The others wait, send and count
	// connections; enumeration and tests over sockets cover them.
	{dir: "internal/wire", without: `^(clock|conn_limiter|deadlines|hooks|request_body|roundtrip|sent|tracked_conn|transport|upload|wrapped)\.go$`, least: 90},
}

// mutators turns on the mutators that gremlins leaves off by default. Only
// INVERT_NEGATIVES is off: ARITHMETIC_BASE makes the same changes.
var mutators = []string{
	"--invert-assignments", "--invert-bitwise", "--invert-bwassign", "--invert-logical", "--invert-loopctrl",
	"--remove-self-assignments", "--invert-negatives=false",
}

// timeoutFactor bounds a test run, as a multiple of the run without a change. It
// is large so that a busy machine does not make a slow run look endless.
const timeoutFactor = "20"

func main() {
	if real := os.Getenv(realGo); real != "" {
		os.Exit(asGo(real, os.Args[1:]))
	}
	gremlins := flag.String("gremlins", "gremlins", "the gremlins `command`")
	flag.Parse()
	if err := run(*gremlins); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// run works in the root of the repository, where make starts it.
func run(gremlins string) error {
	temp, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	env, err := goFirst(temp)
	if err != nil {
		return err
	}
	results := make([]files, len(parts))
	for i, p := range parts {
		report := filepath.Join(temp, "report.json")
		// One worker, so that runs do not slow each other down. There is no
		// --test-cpu: gremlins passes it on in a form that go test rejects, and
		// takes the rejection for a failed test.
		args := append([]string{"unleash", "--workers=1", "--timeout-coefficient=" + timeoutFactor,
			"--output=" + report, "--output-statuses=lct"}, mutators...)
		if p.without != "" {
			args = append(args, "--exclude-files="+p.without)
		}
		cmd := exec.Command(gremlins, append(args, "./"+p.dir)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: gremlins: %w", p.dir, err)
		}
		text, err := os.ReadFile(report)
		if err != nil {
			return fmt.Errorf("%s: gremlins changed nothing: %w", p.dir, err)
		}
		if results[i], err = read(text); err != nil {
			return fmt.Errorf("%s: %w", p.dir, err)
		}
	}
	fmt.Print(table(parts, results))
	return check(parts, results)
}
