// Mutate tells how much the tests of the machines and of the parsers notice: it
// has gremlins change one operator after the other, and run the tests of the
// package that it is in. What they do not notice has to be explained on a page.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bar is how many of a hundred mutants the tests must notice, in each part.
const bar = 90

// A part is what gremlins is run on at once.
type part struct {
	dir     string
	without string // files of these names are left out, a regexp; none if empty
}

var parts = []part{
	{"internal/core", ""},
	// What parses and decides. The rest waits, sends and counts connections, and
	// is shown on sockets, in its own tests and in the root's.
	{"internal/wire", `^(clock|lot|sent|transport|trip|upload)\.go$`},
}

// mutators are what gremlins leaves off by itself and is on here. Off is only
// INVERT_NEGATIVES, whose mutants are all among those of ARITHMETIC_BASE.
var mutators = []string{
	"--invert-assignments", "--invert-bitwise", "--invert-bwassign", "--invert-logical", "--invert-loopctrl",
	"--remove-self-assignments", "--invert-negatives=false",
}

// patience is the number of times that the tests may take as long as they do with
// nothing changed: enough that what is slow on a busy machine is not taken for
// what never ends.
const patience = "20"

func main() {
	if real := os.Getenv(realGo); real != "" {
		os.Exit(asGo(real, os.Args[1:]))
	}
	page := flag.String("page", "", "the `file` that explains what the tests do not notice; its table is written anew")
	gremlins := flag.String("gremlins", "gremlins", "the `command` gremlins")
	flag.Parse()
	if err := run(*gremlins, *page); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// run works in the repository's root, where make calls it.
func run(gremlins, page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	env, err := goFirst(temp)
	if err != nil {
		return err
	}
	var all []mutant
	for _, p := range parts {
		out := filepath.Join(temp, filepath.Base(p.dir)+".json")
		// One worker, so that none is slow because of another. There is no --test-cpu:
		// gremlins hands it on in a form that go test refuses, and takes the refusal
		// for a test that failed.
		args := append([]string{"unleash", "--workers=1", "--timeout-coefficient=" + patience,
			"--output=" + out, "--output-statuses=lct"}, mutators...)
		if p.without != "" {
			args = append(args, "--exclude-files="+p.without)
		}
		cmd := exec.Command(gremlins, append(args, "./"+p.dir)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: gremlins: %w", p.dir, err)
		}
		found, err := read(out, p.dir)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	table := tableOf(all)
	fmt.Print(table)
	if err := judge(all, string(text)); err != nil {
		return err
	}
	written, err := withTable(string(text), table)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(written), 0o644)
}
