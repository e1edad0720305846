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
	"strings"
)

// There is no client without statistics. What they cost shows in a build of this
// program in which there is: the same sources, but for the one place where a
// client is given its counters. Both builds run in processes of their own: what
// the collector has to do depends on what else there is in a process.

const (
	countingFile = "client.go"
	countingText = "counts: &c.counts,"
)

// withoutStatistics is that file without it.
func withoutStatistics(source []byte) ([]byte, error) {
	if n := bytes.Count(source, []byte(countingText)); n != 1 {
		return nil, fmt.Errorf("%s says %q %d times, want once: a client is given its counters elsewhere", countingFile, countingText, n)
	}
	return bytes.Replace(source, []byte(countingText), nil, 1), nil
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

// lifetime is how often a process is asked before another of the same program takes
// its place. Each has luck of its own, with where its code and its memory come to
// lie, which makes as much of a difference as statistics do, and which no number of
// pairs of the same two averages out.
const lifetime = 5

// remoteLane measures in a process of its own.
type remoteLane struct {
	program, role string
	child         *child
	answers       *json.Decoder
	asked         int
}

// remote is a side in processes of its own.
func remote(program, role string) (side, error) {
	l := &remoteLane{program: program, role: role}
	bytes, allocs, err := l.begin()
	return side{l.measure, bytes, allocs}, err
}

// begin starts a process, which begins with what an operation allocates.
func (l *remoteLane) begin() (bytes, allocs float64, err error) {
	if l.child, err = start(l.program, l.role); err != nil {
		return 0, 0, err
	}
	l.asked, l.answers = 0, json.NewDecoder(l.child.out)
	var two [2]float64
	err = l.answers.Decode(&two)
	return two[0], two[1], err
}

func (l *remoteLane) measure() (sample, error) {
	if l.asked == lifetime {
		if err := l.child.stop(); err != nil {
			return sample{}, err
		}
		if _, _, err := l.begin(); err != nil {
			return sample{}, err
		}
	}
	l.asked++
	if err := json.NewEncoder(l.child.in).Encode("measure"); err != nil {
		return sample{}, err
	}
	var two [2]float64
	err := l.answers.Decode(&two)
	return sample{ns: two[0], cpu: two[1]}, err
}

// buildWithout builds this program of the sources in root.
func buildWithout(root, program string) error {
	original := filepath.Join(root, countingFile)
	source, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	if source, err = withoutStatistics(source); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "holdfast-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	changed, overlay := filepath.Join(dir, countingFile), filepath.Join(dir, "overlay.json")
	plan, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(changed, source, 0o600), os.WriteFile(overlay, plan, 0o600)); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-C", filepath.Join(root, "benchmarks"), "-overlay", overlay, "-o", program, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building without statistics: %w\n%s", err, out)
	}
	return nil
}

// serveLane is the other end: it tells what the contender's operation allocates,
// and then measures whenever it is asked to.
func serveLane(c contender, stdin io.Reader, stdout io.Writer) error {
	c.elsewhere = nil
	here, err := realMeter(c, load{procs: 1}, nothing)
	if err != nil {
		return err
	}
	questions, answer := json.NewDecoder(stdin), json.NewEncoder(stdout)
	if err := answer.Encode([2]float64{here.bytes, here.allocs}); err != nil {
		return err
	}
	for {
		var question string
		if err := questions.Decode(&question); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		measured, err := here.measure()
		if err != nil {
			return err
		}
		if err := answer.Encode([2]float64{measured.ns, measured.cpu}); err != nil {
			return err
		}
	}
}
