// Command benchmarks compares the cost of holdfast with that of other libraries
// and checks every bar.
//
// A machine's speed changes from minute to minute, so absolute times are not
// judged. Holdfast and a rival are measured in turn, A B A B. Each pair gives a
// ratio (or a difference), and all pairs give a median with a 95 % interval. The
// interval is below the bar (holds), above it (fails) or includes it (unresolved:
// more pairs). Allocations and goroutines are counted, not estimated.
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
	"strings"

	"github.com/holdfast-go/holdfast/internal/interval"
	"github.com/holdfast-go/holdfast/test/rivals"
)

func main() {
	if played, err := play(); played {
		if err != nil {
			fmt.Fprintf(os.Stderr, "benchmarks: %v\n", err)
			os.Exit(exitFailure)
		}
		return
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, events(), realMeter))
}

// event is one part of the table.
type event interface {
	title() string
	hold(meter meter, pairs int) (finding, error)
}

// finding is the result of an event.
type finding interface {
	print(w io.Writer)
	rows() []row
}

func events() (all []event) {
	for _, r := range slices.Concat(races, httpRaces) {
		all = append(all, r)
	}
	return append(all, openAnswers)
}

// meter makes one side of a pair and counts the allocations of its operation.
// Tests replace it by one with invented samples.
type meter func(c contender, drive load, do work) (side, error)

type side struct {
	measure       func() (sample, error)
	bytes, allocs float64
}

func realMeter(c contender, drive load, do work) (side, error) {
	if c.elsewhere != nil {
		return c.elsewhere(c, drive, do)
	}
	op := c.rig(do)
	bytes, allocs, err := countMemory(op, drive)
	if err != nil {
		return side{}, err
	}
	l, err := newLane(op, drive)
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

func run(args []string, stdout, stderr io.Writer, table []event, meter meter) int {
	opt, err := parse(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage // parse has printed the error
	}
	all := len(table)
	table = slices.DeleteFunc(slices.Clone(table), func(e event) bool { return !opt.only.MatchString(e.title()) })
	if len(table) < all {
		opt.page = "" // the page shows the whole table
	}
	if len(table) == 0 {
		fmt.Fprintf(stderr, "benchmarks: -only %q: no race has a matching name\n", opt.only)
		return exitUsage
	}
	if err := bench(table, meter, opt, stdout); err != nil {
		if !errors.Is(err, errUnmet) { // the report lists unmet bars
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
	page  string
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	opt := options{pairs: minPairs, only: regexp.MustCompile("")}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one message, not the two of package flag
	flags.Func("pairs", "start each comparison with `N` pairs, 20 to 320 (default 20)", func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < minPairs || n > maxPairs {
			return fmt.Errorf("must be a whole number from %d to %d", minPairs, maxPairs)
		}
		opt.pairs = n
		return nil
	})
	flags.Func("only", "run only the races with a name that matches `REGEXP`", func(s string) (err error) {
		opt.only, err = regexp.Compile(s)
		return err
	})
	flags.StringVar(&opt.json, "json", filepath.Join("out", "bench.json"), "write the figures to `FILE`")

	flags.StringVar(&opt.page, "page", "", "also put the report of the whole table into `FILE`, as its first block")

	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	usage := func(w io.Writer) {
		fmt.Fprintln(w, "usage: benchmarks [-pairs N] [-only REGEXP] [-json FILE] [-page FILE]")
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

// bench runs the table, prints each part as it ends, and writes the rows.
func bench(table []event, meter meter, opt options, stdout io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(opt.json), 0o755); err != nil {
		return err // fail now, not after minutes
	}
	var report strings.Builder
	out := io.MultiWriter(stdout, &report)
	printHead(out, opt.pairs)
	var findings []finding
	for _, e := range table {
		f, err := e.hold(meter, opt.pairs)
		if err != nil {
			return fmt.Errorf("%s: %w", e.title(), err)
		}
		f.print(out)
		findings = append(findings, f)
	}
	if err := writeJSON(opt.json, findings); err != nil {
		return err
	}
	allMet := printVerdict(out, findings, opt.json)
	if opt.page != "" {
		if err := writePage(opt.page, report.String()); err != nil {
			return err
		}
	}
	if !allMet {
		return errUnmet
	}
	return nil
}

// hold measures the lead and each of the others in turn.
func (r race) hold(meter meter, pairs int) (finding, error) {
	if r.procs > runtime.NumCPU() {
		return nil, fmt.Errorf("this machine has %d CPU, so its bars cannot be met here; -only leaves races out", runtime.NumCPU())
	}
	do := nothing
	if r.work != nil {
		do = r.work()
	}
	lead, err := meter(r.lead, r.load, do)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.lead.name, err)
	}
	res := result{race: r}
	var leads []sample
	for _, e := range r.others {
		drive := r.load
		if e.load != nil {
			drive = *e.load
		}
		if r.work != nil {
			do = r.work()
		}
		other, err := meter(e.contender, drive, do)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		var others []sample
		est, err := compare(pairs, e.bar, func() (float64, error) {
			a, err := lead.measure()
			if err != nil {
				return 0, fmt.Errorf("%s: %w", r.lead.name, err)
			}
			b, err := other.measure()
			if err != nil {
				return 0, fmt.Errorf("%s: %w", e.name, err)
			}
			leads, others = append(leads, a), append(others, b)
			if r.toLead {
				return r.gauge.of(b, a), nil
			}
			return r.gauge.of(a, b), nil
		})
		if err != nil {
			return nil, err
		}
		d := duel{entrant: e, figures: summarize(other, others), estimate: est, extra: lead.allocs - other.allocs}
		if r.toLead {
			d.extra = -d.extra
		}
		if e.moreAllocs != nil {
			d.allocs = judge(d.extra, d.extra, *e.moreAllocs)
		}
		res.duels = append(res.duels, d)
	}
	res.lead = summarize(lead, leads)
	if r.maxAllocs != nil {
		res.allocs = judge(res.lead.allocs, res.lead.allocs, *r.maxAllocs)
	}
	return res, nil
}

func summarize(s side, samples []sample) figures {
	var ns, cpu []float64
	for _, sample := range samples {
		ns, cpu = append(ns, sample.ns), append(cpu, sample.cpu)
	}
	return figures{interval.Median(ns), interval.Median(cpu), s.bytes, s.allocs}
}

// versions lists the measured modules with the versions in this program.
func versions() (list []string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, m := range rivals.Modules {
		for _, dep := range info.Deps {
			if dep.Path == m.Path {
				list = append(list, m.Name+" "+dep.Version)
			}
		}
	}
	return list
}
