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

// Every client has statistics. Their cost is measured by a build of this
// program without the lines that time and count a successful call. Both builds
// run in separate processes: the collector's work depends on the other contents
// of a process.

// counting are the lines, by file.
var counting = map[string]string{
	"client.go":    "c.shared.Timed = true",
	"operation.go": "c.together.Record(a.Took)",
}

// withoutStatistics returns a file's source without its line.
func withoutStatistics(file string, source []byte) ([]byte, error) {
	line := []byte(counting[file])
	if n := bytes.Count(source, line); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times, want once: statistics are counted elsewhere", file, line, n)
	}
	return bytes.Replace(source, line, nil, 1), nil
}

// countedLane measures this build.
func countedLane(contender, load, work) (side, error) {
	program, err := os.Executable()
	if err != nil {
		return side{}, err
	}
	return remote(program, "lane with")
}

// uncountedLane measures the other build.
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

// laneOperations is the number of operations in a measurement of a separate
// process, about 30 ms. It is the same for both builds, so that the collector
// runs as often.
const laneOperations = 10_000

// report is the output of such a process, per operation.
type report struct {
	Bytes, Allocs float64 // of a count
	NS, CPU       float64 // of a measurement
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

// taskset returns the path of the program taskset. It is empty if there is no
// such program or if the first CPUs are not available.
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

// once runs a process in a role, on one CPU if possible, and returns its report.
func once(program, role string, cpu int) (r report, err error) {
	cmd := exec.Command(program)
	if path := taskset(); path != "" {
		cmd = exec.Command(path, "--cpu-list", strconv.Itoa(cpu), program)
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s, in a separate process: %w", role, err)
	}
	return r, json.Unmarshal(out, &r)
}

// countLane and measureLane run in the separate process.

func countLane(c contender, stdout io.Writer) error {
	bytes, allocs, err := countMemory(c.rig(nothing), load{procs: 1})
	return errors.Join(err, json.NewEncoder(stdout).Encode(report{Bytes: bytes, Allocs: allocs}))
}

func measureLane(c contender, stdout io.Writer) error {
	l := &lane{op: c.rig(nothing), load: load{procs: 1}, n: laneOperations}
	if err := l.run(l.n); err != nil { // warms up the heap and lazy parts
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
