// Command benchmarks measures holdfast beside the libraries it wants to be
// cheaper than, and says of every bar whether it is met.
//
// A machine's speed changes from minute to minute, so nothing is judged by
// nanoseconds. Holdfast and a rival are measured in turn, A B A B; each pair
// gives a ratio, the ratios give a median with a 95 % interval, and the interval
// lies below the bar (holds), above it (fails) or across it (unresolved: more
// pairs). Allocations are counted, not estimated.
//
// The exit status is 0 if every bar holds, 1 if one does not, 2 for a wrong
// command line.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, races, realMeter))
}

// meter makes what measures one side of a pair, and counts what an operation
// allocates. Tests put one in its place that makes up its samples.
type meter func(c contender, procs int) (side, error)

type side struct {
	measure       func() (sample, error)
	bytes, allocs float64
}

func realMeter(c contender, procs int) (side, error) {
	op := c.rig(nothing)
	bytes, allocs, err := countMemory(op)
	if err != nil {
		return side{}, err
	}
	l, err := newLane(op, procs)
	if err != nil {
		return side{}, err
	}
	return side{l.measure, bytes, allocs}, nil
}

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func run(args []string, stdout, stderr io.Writer, table []race, meter meter) int {
	opt, err := parse(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage // parse has said what is wrong
	}
	table = slices.DeleteFunc(slices.Clone(table), func(r race) bool { return !opt.only.MatchString(r.name) })
	if len(table) == 0 {
		fmt.Fprintf(stderr, "benchmarks: -only %q: no race has such a name\n", opt.only)
		return exitUsage
	}
	if err := bench(table, meter, opt, stdout); err != nil {
		if !errors.Is(err, errUnmet) { // the report ends with those
			fmt.Fprintf(stderr, "benchmarks: %v\n", err)
		}
		return exitFailure
	}
	return exitOK
}

type options struct {
	pairs int
	only  *regexp.Regexp
	json  string
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	opt := options{pairs: minPairs, only: regexp.MustCompile("")}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one message instead of the flag package's two
	flags.Func("pairs", "start each comparison with `N` pairs, 20 to 320 (default 20)", func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < minPairs || n > maxPairs {
			return fmt.Errorf("must be a whole number from %d to %d", minPairs, maxPairs)
		}
		opt.pairs = n
		return nil
	})
	flags.Func("only", "run only the races whose name matches `REGEXP`", func(s string) (err error) {
		opt.only, err = regexp.Compile(s)
		return err
	})
	flags.StringVar(&opt.json, "json", filepath.Join("out", "bench.json"), "write the figures to `FILE`")

	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	usage := func(w io.Writer) {
		fmt.Fprintln(w, "usage: benchmarks [-pairs N] [-only REGEXP] [-json FILE]")
		flags.SetOutput(w)
		flags.PrintDefaults()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
	case err != nil:
		fmt.Fprintf(stderr, "benchmarks: %v\n", err)
		usage(stderr)
	}
	return opt, err
}

var errUnmet = errors.New("a bar is not met")

// bench runs the table, prints each race as it ends, and writes the rows.
func bench(table []race, meter meter, opt options, out io.Writer) error {
	for _, r := range table {
		if r.procs > runtime.NumCPU() {
			return fmt.Errorf("%s: this machine has %d CPU, so its bars cannot be met here; -only leaves races out", r.name, runtime.NumCPU())
		}
	}
	if err := os.MkdirAll(filepath.Dir(opt.json), 0o755); err != nil {
		return err // now, not after the minutes of measuring
	}
	printHead(out, opt.pairs)
	var results []result
	for _, r := range table {
		res, err := compete(r, meter, opt.pairs)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		res.print(out)
		results = append(results, res)
	}
	if err := writeJSON(opt.json, results); err != nil {
		return err
	}
	if !printVerdict(out, results, opt.json) {
		return errUnmet
	}
	return nil
}

// compete measures holdfast against each of a race's rivals in turn.
func compete(r race, meter meter, pairs int) (result, error) {
	ours, err := meter(r.holdfast, r.procs)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", r.holdfast.name, err)
	}
	res := result{race: r}
	var all []sample
	for _, rival := range r.rivals {
		procs := rival.procs
		if procs == 0 {
			procs = r.procs
		}
		theirs, err := meter(rival.contender, procs)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", rival.name, err)
		}
		var other []sample
		est, err := compare(pairs, rival.bar, func() (float64, error) {
			a, err := ours.measure()
			if err != nil {
				return 0, fmt.Errorf("%s: %w", r.holdfast.name, err)
			}
			b, err := theirs.measure()
			if err != nil {
				return 0, fmt.Errorf("%s: %w", rival.name, err)
			}
			all, other = append(all, a), append(other, b)
			return a.ns / b.ns, nil
		})
		if err != nil {
			return result{}, err
		}
		res.duels = append(res.duels, duel{rival, summarize(theirs, other), est})
	}
	res.holdfast = summarize(ours, all)
	if r.maxAllocs != nil {
		res.allocs = judge(res.holdfast.allocs, res.holdfast.allocs, *r.maxAllocs)
	}
	return res, nil
}

func summarize(s side, samples []sample) figures {
	var ns, cpu []float64
	for _, sample := range samples {
		ns, cpu = append(ns, sample.ns), append(cpu, sample.cpu)
	}
	return figures{median(ns), median(cpu), s.bytes, s.allocs}
}

// versions lists what was measured, as it was built into this program.
func versions() (list []string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, m := range modules {
		for _, dep := range info.Deps {
			if dep.Path == m.path {
				list = append(list, m.name+" "+dep.Version)
			}
		}
	}
	return list
}
