package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// madeUp returns a meter with invented costs, by contender.
func madeUp(cost map[string]float64, allocs float64) meter {
	return func(c contender, _ load, _ work) (side, error) {
		ns, ok := cost[c.name]
		if !ok {
			return side{}, errors.New("broken")
		}
		return side{func() (sample, error) { return sample{ns: ns, cpu: ns}, nil }, 16 * allocs, allocs}, nil
	}
}

var twoRaces = []event{
	race{
		name: "first", load: load{procs: 1}, lead: contender{name: "ours"}, maxAllocs: new(1.0),
		others: []entrant{{contender: contender{name: "theirs"}, bar: new(0.5)}, {contender: contender{name: "shown"}}},
	},
	race{
		name: "second", load: load{procs: 1}, lead: contender{name: "ours"},
		others: []entrant{{contender: contender{name: "theirs"}, bar: new(1.0)}},
	},
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		ours   float64
		allocs float64
		exit   int
		stdout string
		stderr string
	}{
		{name: "all bars met", ours: 40, allocs: 1, stdout: "Holds: all 3 bars."},
		{name: "a planted slow contender", ours: 60, allocs: 1, exit: 1,
			stdout: "Does not hold: 1 of 3 bars."},
		{name: "and what it missed", ours: 60, allocs: 1, exit: 1,
			stdout: "first, ours: time 0.600 to theirs (0.600 to 0.600), bar 0.5: fails\n"},
		{name: "one allocation too many", ours: 40, allocs: 2, exit: 1,
			stdout: "first, ours: allocs 2, bar 1: fails\n"},
		{name: "only the other race", args: []string{"-only", "^sec"}, ours: 60, allocs: 2, stdout: "Holds: all 1 bars."},
		{name: "help", args: []string{"-h"}, stdout: "usage: benchmarks "},
		{name: "unknown flag", args: []string{"-x"}, exit: 2, stderr: "benchmarks: flag provided but not defined: -x\nusage: benchmarks "},
		{name: "an argument", args: []string{"all"}, exit: 2, stderr: `benchmarks: unexpected argument "all"`},
		{name: "too few pairs", args: []string{"-pairs", "19"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "too many pairs", args: []string{"-pairs", "321"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "no number", args: []string{"-pairs", "20x"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "bad expression", args: []string{"-only", "("}, exit: 2, stderr: "-only: error parsing regexp"},
		{name: "nothing chosen", args: []string{"-only", "third"}, exit: 2, stderr: `-only "third": no race has a matching name`},
		{name: "no such folder", args: []string{"-json", "main.go/bench.json"}, exit: 1, stderr: "benchmarks: mkdir main.go: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := test.args
			if !strings.Contains(strings.Join(args, " "), "-json") {
				args = append([]string{"-json", filepath.Join(t.TempDir(), "out", "bench.json")}, args...)
			}
			meter := madeUp(map[string]float64{"ours": test.ours, "theirs": 100, "shown": 10}, test.allocs)
			var stdout, stderr bytes.Buffer
			exit := run(args, &stdout, &stderr, twoRaces, meter)
			if exit != test.exit || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("exit %d, want %d\nstdout: %s\nwant: %s\nstderr: %s\nwant: %s",
					exit, test.exit, &stdout, test.stdout, &stderr, test.stderr)
			}
			if test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("unexpected on stderr: %s", &stderr)
			}
		})
	}
}

func TestRunNamesABrokenContender(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"-json", filepath.Join(t.TempDir(), "bench.json")}
	exit := run(args, &stdout, &stderr, twoRaces, madeUp(map[string]float64{"ours": 1}, 0))
	if want := "benchmarks: first: theirs: broken\n"; exit != 1 || stderr.String() != want {
		t.Errorf("exit %d, %q; want 1, %q", exit, stderr.String(), want)
	}
}

func TestRunNeedsTheCPUs(t *testing.T) {
	many := []event{race{name: "crowd", load: load{procs: runtime.NumCPU() + 1}}}
	var stdout, stderr bytes.Buffer
	if exit := run([]string{"-json", filepath.Join(t.TempDir(), "bench.json")}, &stdout, &stderr, many, nil); exit != 1 || !strings.Contains(stderr.String(), "crowd: this machine has") {
		t.Errorf("exit %d, %q", exit, stderr.String())
	}
}

// A B A B, so that both sides of a pair see the same machine.
func TestPairsAreInterleaved(t *testing.T) {
	var order strings.Builder
	meter := func(c contender, _ load, _ work) (side, error) {
		return side{measure: func() (sample, error) {
			order.WriteByte(c.name[0])
			return sample{ns: 1}, nil
		}}, nil
	}
	if _, err := twoRaces[0].hold(meter, 20); err != nil {
		t.Fatal(err)
	}
	// All cost the same, so the first rival's bar of 0.5 fails at once.
	if want := strings.Repeat("ot", 20) + strings.Repeat("os", 20); order.String() != want {
		t.Errorf("measured in the order %s, want %s", &order, want)
	}
}

// With toLead, the others are judged by the lead, by the gauge and by their
// extra allocations.
func TestJudgedByTheLead(t *testing.T) {
	meter := func(c contender, _ load, _ work) (side, error) {
		if c.name == "base" {
			return side{func() (sample, error) { return sample{ns: 1000, cpu: 100}, nil }, 0, 5}, nil
		}
		return side{func() (sample, error) { return sample{ns: 1, cpu: 130}, nil }, 0, 9}, nil
	}
	for _, test := range []struct {
		gauge            gauge
		bar, moreAllocs  float64
		value            float64
		verdict, inAlloc verdict
	}{
		{cpu, 1.3, 4, 1.3, holds, holds},
		{cpu, 1.29, 3, 1.3, fails, fails},
		{more, 30, 4, 30, holds, holds},
		{more, 29, 4, 30, fails, holds},
		{elapsed, 0.001, 4, 0.001, holds, holds},
	} {
		r := race{name: "r", load: load{procs: 1}, gauge: test.gauge, toLead: true, lead: contender{name: "base"},
			others: []entrant{{contender: contender{name: "judged"}, bar: &test.bar, moreAllocs: &test.moreAllocs}}}
		found, err := r.hold(meter, 20)
		if err != nil {
			t.Fatal(err)
		}
		d := found.(result).duels[0]
		if d.value != test.value || d.verdict != test.verdict || d.extra != 4 || d.allocs != test.inAlloc {
			t.Errorf("gauge %d, bars %v and %v: %v %s, %+v allocations %s", test.gauge, test.bar, test.moreAllocs, d.value, d.verdict, d.extra, d.allocs)
		}
		for _, row := range found.rows()[2:] {
			if row.Contender != "judged" || row.To != "base" {
				t.Errorf("%s is compared to %s", row.Contender, row.To)
			}
		}
	}
}

// The page gets the report of a whole table and keeps its other text.
func TestPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	const before, after = "# Costs\n\n```\n", "\n```\n\nRead this.\n"
	if err := os.WriteFile(page, []byte(before+"old"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-json", filepath.Join(t.TempDir(), "bench.json"), "-page", page}
	meter := madeUp(map[string]float64{"ours": 40, "theirs": 100, "shown": 10}, 1)
	var stdout, stderr bytes.Buffer
	if exit := run(append(args, "-only", "first"), &stdout, &stderr, twoRaces, meter); exit != 0 {
		t.Fatal(&stderr)
	}
	if got, _ := os.ReadFile(page); string(got) != before+"old"+after {
		t.Errorf("the page got a part of the table: %s", got)
	}
	stdout.Reset()
	if exit := run(args, &stdout, &stderr, twoRaces, meter); exit != 0 {
		t.Fatal(&stderr)
	}
	want := before + strings.TrimRight(stdout.String(), "\n") + after
	if got, _ := os.ReadFile(page); string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if err := os.WriteFile(page, []byte("no block"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := run(args, &stdout, &stderr, twoRaces, meter); exit != 1 || !strings.Contains(stderr.String(), "has no block") {
		t.Errorf("exit %d, %s", exit, &stderr)
	}
}

func TestJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out", "bench.json")
	var stdout, stderr bytes.Buffer
	meter := madeUp(map[string]float64{"ours": 40, "theirs": 100, "shown": 10}, 1)
	if exit := run([]string{"-json", file, "-only", "first"}, &stdout, &stderr, twoRaces, meter); exit != 0 {
		t.Fatalf("exit %d: %s%s", exit, &stdout, &stderr)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, data); err != nil {
		t.Fatal(err)
	}
	want := `[` +
		`{"name":"first","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"to":"","gauge":"allocs","value":1,"low":null,"high":null,"bar":1,"verdict":"holds"},` +
		`{"name":"first","contender":"theirs","ns":100,"cpu_ns":100,"bytes":16,"allocs":1,"to":"","gauge":"","value":null,"low":null,"high":null,"bar":null,"verdict":""},` +
		`{"name":"first","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"to":"theirs","gauge":"time","value":0.4,"low":0.4,"high":0.4,"bar":0.5,"verdict":"holds"},` +
		`{"name":"first","contender":"shown","ns":10,"cpu_ns":10,"bytes":16,"allocs":1,"to":"","gauge":"","value":null,"low":null,"high":null,"bar":null,"verdict":""},` +
		`{"name":"first","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"to":"shown","gauge":"time","value":4,"low":4,"high":4,"bar":null,"verdict":""}` +
		`]`
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", &got, want)
	}
}
