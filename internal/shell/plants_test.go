//go:build !race

// Not under the race detector: what this proves does not depend on it, and it
// builds the package many times.

package shell

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnumerationBites plants known bugs in the code that production runs, one at
// a time, and expects the enumeration to name the rule that each breaks. A plant
// whose snippet is not in its file exactly once is stale and fails.
func TestEnumerationBites(t *testing.T) {
	const (
		machine = "../core/breaker/breaker.go"
		word    = "../core/breaker/word.go"
		handle  = "breaker.go"
		queue   = "../core/bulkhead/bulkhead.go"
		slots   = "bulkhead.go"

		// The small configurations are enough.
		breaker  = "^TestEnumerateBreaker$/^all$/^2_callers"
		bulkhead = "^TestEnumerateBulkhead$/^all$"
	)
	plants := []struct{ name, file, old, new, run, rule string }{
		{"no epoch check", machine,
			"if t.epoch != b.epoch {\n\t\treturn false\n\t}", "",
			breaker, ruleOldIsNothing},
		{"no epoch check in Note", machine,
			"if t.epoch != b.epoch {\n\t\treturn Change{}\n\t}", "",
			breaker, ruleOldIsNothing},
		{"double free", machine,
			"return s.generation == t.generation && s.expires.After(now)", "return s.generation >= t.generation",
			breaker, ruleLateIsNone},
		{"a late return frees somebody else's slot", machine,
			"return s.generation == t.generation && s.expires.After(now)", "return s.expires.After(now)",
			breaker, ruleLateIsNone},
		{"a late return counts", machine,
			"return s.generation == t.generation && s.expires.After(now)", "return s.generation == t.generation",
			breaker, ruleLateIsNone},
		{"lost probe: the slot never expires", machine,
			"if s.expires.After(now) {\n\t\t\tcontinue", "if !s.expires.IsZero() {\n\t\t\tcontinue",
			breaker, ruleHalfEnds},
		{"half-open admits one too many", machine,
			"make([]slot, b.cfg.Probes)", "make([]slot, b.cfg.Probes+1)",
			breaker, ruleAtMostN},
		{"open admits before its time", machine,
			"if now.Before(b.retryAt) {\n\t\t\treturn", "if now.Before(b.openedAt) {\n\t\t\treturn",
			breaker, ruleOpenRefuses},
		{"a forgotten outcome closes", machine,
			"case outcome.Success, outcome.Permanent:", "case outcome.Success, outcome.Permanent, outcome.Unknown:",
			breaker, ruleChanges},
		{"missed publish in Done", handle,
			"c := b.machine.Done(now, t, o)\n\tb.publish()", "c := b.machine.Done(now, t, o)",
			breaker, ruleWordAgrees},
		{"missed publish in Allow", handle,
			"b.machine.Allow(now, limit)\n\tb.publish()", "b.machine.Allow(now, limit)",
			breaker, ruleWordAgrees},
		{"the word admits to an open breaker", word,
			"w&wordState == Word(Closed)\n}", "w&wordState != Word(HalfOpen)\n}",
			breaker, ruleOpenRefuses},
		{"a success is quiet although there are failures", word,
			"return w == Word(t.epoch)<<wordEpoch|Word(Closed)", "return w.Confirms(t)",
			breaker, ruleWordAnswers},

		{"missed wake-up", slots,
			"\tb.serve()\n", "",
			bulkhead, ruleForgotten},
		{"waiting bit not cleared", slots,
			"b.swap(w, w.Calm())", "b.swap(w, w)",
			bulkhead, ruleBit},
		{"waiting bit cleared too early", slots,
			"b.machine.Waiting() == 1)", "b.machine.Waiting() >= 1)",
			bulkhead, ruleBit},
		{"last in, first out", queue,
			"t := b.queue[0]\n\tb.queue = b.queue[1:]", "t := b.queue[len(b.queue)-1]\n\tb.queue = b.queue[:len(b.queue)-1]",
			bulkhead, ruleInOrder},
		{"a newcomer passes the line", queue,
			"w < Word(slots) //", "w.InUse() < slots //",
			bulkhead, ruleInOrder},
		{"one over the limit", queue,
			"w.InUse() < slots\n", "w.InUse() <= slots\n",
			bulkhead, ruleLimit},
		{"who is cancelled loses a slot that was granted", slots,
			"\tif !b.leave(t) {\n\t\tb.Give() // served in the same moment\n\t}", "\tb.leave(t)",
			bulkhead, ruleAllBack},
		{"leave does not see that a slot was granted", slots,
			"if !b.machine.Leave(t) {\n\t\treturn false", "if !b.machine.Leave(t) {\n\t\treturn true",
			bulkhead, ruleNoTrace},
		{"a leaver's channel stays", slots,
			"\tb.outOfLine(t)\n", "",
			bulkhead, ruleNoTrace},
		{"too much given back while somebody waits", queue,
			"return w <= MaxSlots", "return w&waiting == 0",
			bulkhead, ruleOverdraw},
	}
	atOnce := make(chan struct{}, 2) // a build uses all cores for a while
	t.Run("all", func(t *testing.T) {
		for _, p := range plants {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				out, err := testWith(t, p.file, p.old, p.new, p.run)
				switch {
				case err == nil:
					t.Errorf("the enumeration did not notice:\n%s", out)
				case !strings.Contains(out, "broken: "+p.rule+"\n"):
					t.Errorf("not noticed as %q:\n%s", p.rule, out)
				}
			})
		}
	})
}

// testWith runs tests of this package with one snippet of one file replaced.
func testWith(t *testing.T, file, old, new, run string) (string, error) {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("the plant is stale: its snippet is in %s %d times, not once:\n%s", file, n, old)
	}
	dir := t.TempDir()
	planted, overlay := filepath.Join(dir, "planted.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(planted, []byte(strings.Replace(string(source), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: planted}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, replace, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, "-run", run, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
