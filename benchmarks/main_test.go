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

// madeUp is a meter whose contenders cost what their name's entry says.
func madeUp(cost map[string]float64, allocs float64) meter {
	return func(c contender, _ int) (side, error) {
		ns, ok := cost[c.name]
		if !ok {
			return side{}, errors.New("broken")
		}
		return side{func() (sample, error) { return sample{ns: ns, cpu: ns}, nil }, 16 * allocs, allocs}, nil
	}
}

var twoRaces = []race{
	{
		name: "first", procs: 1, holdfast: contender{name: "ours"}, maxAllocs: new(1.0),
		rivals: []rival{{contender: contender{name: "theirs"}, bar: new(0.5)}, {contender: contender{name: "shown"}}},
	},
	{
		name: "second", procs: 1, holdfast: contender{name: "ours"},
		rivals: []rival{{contender: contender{name: "theirs"}, bar: new(1.0)}},
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
			stdout: "first: 0.600 of theirs (0.600 to 0.600), bar 0.5: fails\n"},
		{name: "one allocation too many", ours: 40, allocs: 2, exit: 1,
			stdout: "first: allocations: 2, bar 1: fails\n"},
		{name: "only the other race", args: []string{"-only", "^sec"}, ours: 60, allocs: 2, stdout: "Holds: all 1 bars."},
		{name: "help", args: []string{"-h"}, stdout: "usage: benchmarks "},
		{name: "unknown flag", args: []string{"-x"}, exit: 2, stderr: "benchmarks: flag provided but not defined: -x\nusage: benchmarks "},
		{name: "an argument", args: []string{"all"}, exit: 2, stderr: `benchmarks: unexpected argument "all"`},
		{name: "too few pairs", args: []string{"-pairs", "19"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "too many pairs", args: []string{"-pairs", "321"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "no number", args: []string{"-pairs", "20x"}, exit: 2, stderr: "-pairs: must be a whole number from 20 to 320"},
		{name: "bad expression", args: []string{"-only", "("}, exit: 2, stderr: "-only: error parsing regexp"},
		{name: "nothing chosen", args: []string{"-only", "third"}, exit: 2, stderr: `-only "third": no race has such a name`},
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
	many := []race{{name: "crowd", procs: runtime.NumCPU() + 1}}
	var stdout, stderr bytes.Buffer
	if exit := run(nil, &stdout, &stderr, many, nil); exit != 1 || !strings.Contains(stderr.String(), "crowd: this machine has") {
		t.Errorf("exit %d, %q", exit, stderr.String())
	}
}

// A B A B, so that both sides of every pair see the same machine.
func TestPairsAreInterleaved(t *testing.T) {
	var order strings.Builder
	meter := func(c contender, _ int) (side, error) {
		return side{measure: func() (sample, error) {
			order.WriteByte(c.name[0])
			return sample{ns: 1}, nil
		}}, nil
	}
	if _, err := compete(twoRaces[0], meter, 20); err != nil {
		t.Fatal(err)
	}
	// Each costs the same, so the first rival's bar of 0.5 fails at once.
	if want := strings.Repeat("ot", 20) + strings.Repeat("os", 20); order.String() != want {
		t.Errorf("measured in the order %s, want %s", &order, want)
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
		`{"name":"first: allocations","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"ratio_to":"","ratio":null,"low":null,"high":null,"bar":1,"verdict":"holds"},` +
		`{"name":"first","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"ratio_to":"theirs","ratio":0.4,"low":0.4,"high":0.4,"bar":0.5,"verdict":"holds"},` +
		`{"name":"first","contender":"theirs","ns":100,"cpu_ns":100,"bytes":16,"allocs":1,"ratio_to":"","ratio":null,"low":null,"high":null,"bar":null,"verdict":""},` +
		`{"name":"first","contender":"ours","ns":40,"cpu_ns":40,"bytes":16,"allocs":1,"ratio_to":"shown","ratio":4,"low":4,"high":4,"bar":null,"verdict":""},` +
		`{"name":"first","contender":"shown","ns":10,"cpu_ns":10,"bytes":16,"allocs":1,"ratio_to":"","ratio":null,"low":null,"high":null,"bar":null,"verdict":""}` +
		`]`
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", &got, want)
	}
}
