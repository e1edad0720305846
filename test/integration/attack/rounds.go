package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// round is a way to attack.
type round struct {
	name    string
	tried   string
	module  string  // of its command
	exists  string  // a test that it needs; empty for one that is always there
	share   float64 // of the time
	command func(time.Duration) []string
}

// rounds are all of them. Their shares of the time are 1 together, less what compiling takes.
var rounds = []round{
	{"stress", "calls, streams, half-read and unclosed answers, cancelled at random, while clients are closed, over HTTP/1.1 and HTTP/2, under the race detector", "test/integration", "", 0.25,
		func(d time.Duration) []string {
			return []string{"go", "test", "-race", "-count=1", "-v", "-timeout", "60m", "-run", "TestStress", "./attack", "-args", "-spend", d.String()}
		}},
	{"kill", "SIGKILLs of `holdfast embed` at random moments, while one answer in twenty is lost; the service bills each text once for each key", "cmd/holdfast", "", 0.2,
		func(d time.Duration) []string {
			return []string{"go", "test", "-count=1", "-v", "-timeout", "60m", "-run", "TestKilledAtRandom", "./internal/embed", "-args", "-kills", strconv.Itoa(max(5, int(d/(600*time.Millisecond))))}
		}},
	{"flood", "HTTP/2 frames without end, on a connection that is idle or that reads an answer", "test/integration", "", 0.1,
		func(d time.Duration) []string {
			return []string{"go", "test", "-count=1", "-v", "-timeout", "60m", "-run", "TestFloods", "./attack", "-args", "-spend", d.String()}
		}},
	{"smuggling", "paths, queries, headers and keys with CR, LF, NUL, blanks, `..;/`, `%5c` and other hosts", "test/integration", "", 0.1,
		func(d time.Duration) []string {
			return []string{"go", "test", "-count=1", "-v", "-timeout", "60m", "-run", "TestSmuggling", "./attack", "-args", "-spend", d.String()}
		}},
	{"surplus", "answers that are longer than their length, so that the rest may be taken for the next answer", ".", "", 0.02, surplus},
	{"hooks", "an observer, tracer, hook or body that panics, blocks or ends its goroutine, for every way of calling and every answer", ".", "TestHooksLoseNothing", 0.03,
		func(time.Duration) []string {
			return []string{"go", "test", "-count=1", "-v", "-timeout", "60m", "-run", "^TestHooksLoseNothing$", "."}
		}},
	fuzz("secrets", "a secret in every part of a call and of its answer, in every text", ".", "FuzzNoSecretGetsOut", 0.1),
	fuzz("redirects", "any `Location`", ".", "FuzzLocation", 0.06),
	fuzz("error texts", "any bytes as an answer, in the texts of errors, logs and events", ".", "FuzzErrorText", 0.06),
	fuzz("journal", "any bytes as the journal of `holdfast embed`", "cmd/holdfast/internal/embed", "FuzzJournal", 0.04),
	fuzz("NDJSON", "any bytes as a line of texts", "cmd/holdfast/internal/embed", "FuzzNDJSON", 0.04),
}

// fuzz is the round of a fuzz target.
func fuzz(name, tried, dir, target string, share float64) round {
	return round{name, tried, dir, "", share, func(d time.Duration) []string {
		return []string{"go", "test", "-run", "^$", "-fuzz", "^" + target + "$", "-fuzztime", d.String(), "-fuzzminimizetime", "1s", "."}
	}}
}

// surplus is the round of surplus answers: the tests of them.
func surplus(time.Duration) []string {
	return []string{"go", "test", "-count=1", "-v", "-timeout", "60m", "-run", "Surplus", ".", "./internal/wire"}
}

// result is what came of a round.
type result struct {
	round
	command string
	output  string
	count   string
	floods  [][]string // kind, connection, bytes, lines, cut off
	failed  bool
}

// read finds the counts in the output of a command: a line "count: …", that of a test which
// logs it, or the last one of a fuzz target.
func (r *result) read(output string) {
	passed := 0
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, "count: "); ok {
			r.count = text
		} else if _, text, ok := strings.Cut(line, "kill_test.go:"); ok && strings.Contains(text, "SIGKILLs in") {
			_, r.count, _ = strings.Cut(text, ": ")
		} else if _, text, ok := strings.Cut(line, "client_hooks_test.go:"); ok && strings.HasSuffix(text, " rounds") {
			_, r.count, _ = strings.Cut(text, ": ")
		} else if _, text, ok := strings.Cut(line, "execs: "); ok {
			execs, _, _ := strings.Cut(text, " ")
			r.count = execs + " calls"
		} else if text, ok := strings.CutPrefix(line, "flood: "); ok {
			r.floods = append(r.floods, strings.Split(text, " | "))
		} else if strings.HasPrefix(line, "--- PASS: ") {
			passed++
		}
	}
	if r.name == "surplus" && passed > 0 {
		r.count = fmt.Sprintf("%d tests", passed)
	} else if r.name == "surplus" && r.count == "" {
		r.count = "there is no such test yet"
	}
}

// outcome is the count with what came of it.
func (r *result) outcome() string {
	if r.failed {
		return sign + r.count
	}
	return r.count
}

const sign = "▼ "
