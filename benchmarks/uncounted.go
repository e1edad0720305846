package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// There is no client without statistics. What they cost shows in a build of this
// program without the lines that time and count a call that succeeds. Both builds run
// in processes of their own: the collector's work depends on what else is in a process.

// counting are the lines, by file.
var counting = map[string]string{
	"client.go":    "c.shared.Timed = true",
	"operation.go": "o.shared.counts.together.Record(a.Took)",
}

// withoutStatistics is a file's source without its line.
func withoutStatistics(file string, source []byte) ([]byte, error) {
	line := []byte(counting[file])
	if n := bytes.Count(source, line); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times, want once: statistics are counted elsewhere", file, line, n)
	}
	return bytes.Replace(source, line, nil, 1), nil
}

// countedLane measures in this build.
func countedLane(contender, load, work) (side, error) {
	program, err := os.Executable()
	if err != nil {
		return side{}, err
	}
	return remote(program, "lane with")
}

// uncountedLane measures in the other one.
func uncountedLane(contender, load, work) (side, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/holdfast-go/holdfast").Output()
	if err != nil {
		return side{}, fmt.Errorf("go list, for where holdfast is: %w", err)
	}
	program, err := filepath.Abs(filepath.Join("out", "without-statistics"))
	if err != nil {
		return side{}, err
	}
	if err := buildWithout(strings.TrimSpace(string(root)), program); err != nil {
		return side{}, err
	}
	return remote(program, "lane without")
}

// laneOperations is how many operations a lane in a process of its own measures, some
// 30 ms of them: as many on either side, so that the collector runs as often.
const laneOperations = 10_000

// report is what such a process tells, of an operation.
type report struct {
	Bytes, Allocs float64 // if it was asked to count
	NS, CPU       float64 // if to measure
}

// remote is a side that starts a process for each measurement. The addresses of code
// and memory differ between processes and matter as much as statistics do; pairs of
// the same two processes would not average that out. Both processes of a pair run on
// the same CPU, and the next pair on another: a process that shares its core with
// other work takes half as long again.
func remote(program, role string) (side, error) {
	first, err := once(program, role+" counted", 0)
	if err != nil {
		return side{}, err
	}
	asked := 0
	return side{bytes: first.Bytes, allocs: first.Allocs, measure: func() (sample, error) {
		asked++
		r, err := once(program, role, asked%runtime.NumCPU())
		return sample{ns: r.NS, cpu: r.CPU}, err
	}}, nil
}

// taskset keeps a process on one CPU; empty if there is no such program, or if the CPUs
// that are ours are not the first.
var taskset = sync.OnceValue(func() string {
	path, err := exec.LookPath("taskset")
	for cpu := 0; cpu < runtime.NumCPU() && err == nil; cpu++ {
		err = exec.Command(path, "--cpu-list", strconv.Itoa(cpu), "true").Run()
	}
	if err != nil {
		return ""
	}
	return path
})

// once has a process play its role, on one CPU where that can be had, and tell.
func once(program, role string, cpu int) (r report, err error) {
	cmd := exec.Command(program)
	if path := taskset(); path != "" {
		cmd = exec.Command(path, "--cpu-list", strconv.Itoa(cpu), program)
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s, in a process of its own: %w", role, err)
	}
	return r, json.Unmarshal(out, &r)
}

// countLane and measureLane are the other end.

func countLane(c contender, stdout io.Writer) error {
	bytes, allocs, err := countMemory(c.rig(nothing), load{procs: 1})
	return errors.Join(err, json.NewEncoder(stdout).Encode(report{Bytes: bytes, Allocs: allocs}))
}

func measureLane(c contender, stdout io.Writer) error {
	l := &lane{op: c.rig(nothing), load: load{procs: 1}, n: laneOperations}
	if err := l.run(l.n); err != nil { // the heap grows, and what is lazy is made
		return err
	}
	m, err := l.measure()
	return errors.Join(err, json.NewEncoder(stdout).Encode(report{NS: m.ns, CPU: m.cpu}))
}

// buildWithout builds this program without statistics, of the sources in root.
func buildWithout(root, program string) error {
	dir, err := os.MkdirTemp("", "holdfast-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	replaced := map[string]string{}
	for file := range counting {
		original, changed := filepath.Join(root, file), filepath.Join(dir, file)
		source, err := os.ReadFile(original)
		if err != nil {
			return err
		}
		if source, err = withoutStatistics(file, source); err != nil {
			return err
		}
		if err := os.WriteFile(changed, source, 0o600); err != nil {
			return err
		}
		replaced[original] = changed
	}
	overlay := filepath.Join(dir, "overlay.json")
	plan, err := json.Marshal(map[string]any{"Replace": replaced})
	if err := errors.Join(err, os.WriteFile(overlay, plan, 0o600)); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-C", filepath.Join(root, "benchmarks"), "-overlay", overlay, "-o", program, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building without statistics: %w\n%s", err, out)
	}
	return nil
}
