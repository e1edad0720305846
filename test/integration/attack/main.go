// Command attack attacks holdfast as an outsider, an unlucky operator and a careless caller
// would, and counts what came of it.
//
// Each round is a test or a fuzz target of its own, which also runs by hand. The command
// gives it time, and reads the count that it prints.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/test/integration/cli"
)

func main() { cli.Main("attack", run) }

var errBroken = errors.New("an attack broke a promise")

func run(ctx context.Context) error {
	total := flag.Duration("time", 20*time.Minute, "the time of all rounds together, at least 10s")
	only := flag.String("only", "", "the rounds with names that match this expression")
	page := flag.String("page", "", "file for the page of the docs, which is not written with -only; empty for none")
	tolerate := flag.Bool("tolerate", false, "exit with 0 although an attack broke a promise")
	flag.Parse()
	if *total < 10*time.Second {
		return fmt.Errorf("-time %v: must be at least 10s", *total)
	}
	top, err := repository()
	if err != nil {
		return err
	}
	chosen, err := cli.Matching(rounds, func(r round) string { return r.name }, "-only", *only)
	if err != nil {
		return err
	}
	began, broken := time.Now(), 0
	var results []result
	for _, r := range chosen {
		fmt.Fprintf(os.Stderr, "%s…\n", r.name)
		res := r.run(ctx, top, *total)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if res.failed {
			broken++
			fmt.Fprintln(os.Stderr, res.output)
		}
		results = append(results, res)
		fmt.Printf("%s: %s\n", r.name, res.outcome())
	}
	fmt.Printf("%d rounds in %s\n", len(results), time.Since(began).Round(time.Second))
	if *page != "" && *only == "" {
		if err := os.WriteFile(*page, []byte(document(results, *total)), 0o644); err != nil {
			return err
		}
	}
	if broken > 0 && !*tolerate {
		return fmt.Errorf("%w in %d rounds", errBroken, broken)
	}
	return nil
}

// repository is the root of the repository.
func repository() (string, error) {
	for dir := "."; ; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.Abs(dir)
		}
		if abs, err := filepath.Abs(dir); err != nil || abs == filepath.Dir(abs) {
			return "", errors.New("must run within the repository: there is no go.work above")
		}
	}
}

// run runs the command of a round. The result has failed if the command has.
func (r round) run(ctx context.Context, top string, total time.Duration) result {
	args := r.command(max(time.Duration(r.share*float64(total)), 5*time.Second).Round(time.Second))
	res := result{round: r, command: strings.TrimPrefix("cd "+r.module+" && ", "cd . && ") + "GOWORK=off " + strings.Join(quoted(args), " ")}
	dir := filepath.Join(top, filepath.FromSlash(r.module))
	if r.exists != "" {
		listed, err := goTool(ctx, dir, "go", "test", "-list", r.exists, ".")
		if err == nil && !strings.HasPrefix(listed, "Test") {
			res.count = "there is no such test yet"
			return res
		}
	}
	var err error
	res.output, err = goTool(ctx, dir, args...)
	res.failed = err != nil && !isTimeUp(res.output)
	res.read(res.output)
	if res.count == "" {
		res.failed, res.count = true, "it printed no count" // also if it does not build
	}
	return res
}

// isTimeUp reports whether a fuzz target ended with its time only, which Go sometimes takes
// for a failure (golang/go#75804).
func isTimeUp(output string) bool {
	return strings.Contains(output, "    context deadline exceeded") && !strings.Contains(output, "Failing input")
}

func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// quoted quotes arguments for a shell.
func quoted(args []string) (all []string) {
	for _, arg := range args {
		if strings.ContainsAny(arg, "$|^ ") {
			arg = "'" + arg + "'"
		}
		all = append(all, arg)
	}
	return all
}

var machine = fmt.Sprintf("%s, %d CPUs", runtime.Version(), runtime.NumCPU())
