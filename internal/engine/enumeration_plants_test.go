//go:build !race

// Not under the race detector: it builds the package many times, and what it proves
// does not depend on the detector.

package engine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnumerationBites plants known bugs in the production code, one at a time, and
// expects the enumeration to report the rule that each breaks. A plant fails as
// stale if its snippet is not in its file exactly once.
func TestEnumerationBites(t *testing.T) {
	const (
		machine  = "../core/breaker/breaker.go"
		snapshot = "../core/breaker/snapshot.go"
		handle   = "breaker.go"
		queue    = "../core/bulkhead/bulkhead.go"
		permits  = "../core/bulkhead/snapshot.go"
		waiters  = "bulkhead.go"

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
			"return p.generation == t.generation && p.expires.After(now)", "return p.generation >= t.generation",
			breaker, ruleLateIsNone},
		{"a late return frees another operation's probe", machine,
			"return p.generation == t.generation && p.expires.After(now)", "return p.expires.After(now)",
			breaker, ruleLateIsNone},
		{"a late return counts", machine,
			"return p.generation == t.generation && p.expires.After(now)", "return p.generation == t.generation",
			breaker, ruleLateIsNone},
		{"lost probe: it never expires", machine,
			"if p.expires.After(now) {\n\t\t\tcontinue", "if !p.expires.IsZero() {\n\t\t\tcontinue",
			breaker, ruleHalfEnds},
		{"half-open admits one too many", machine,
			"make([]probe, b.cfg.Probes)", "make([]probe, b.cfg.Probes+1)",
			breaker, ruleAtMostN},
		{"open admits before its time", machine,
			"if now.Before(b.retryAt) {\n\t\t\treturn", "if now.Before(b.openedAt) {\n\t\t\treturn",
			breaker, ruleOpenRejects},
		{"an unknown outcome closes", machine,
			"case outcome.Success, outcome.Permanent:", "case outcome.Success, outcome.Permanent, outcome.Unknown:",
			breaker, ruleChanges},
		{"the end of an old answer counts", machine,
			"case t.epoch != b.epoch && (t.probe == 0 || b.state == Open):", "case t.epoch != b.epoch && b.state == Open:",
			breaker, ruleAnswer},
		{"the end of an old probe's answer does not count", machine,
			"case t.epoch != b.epoch && (t.probe == 0 || b.state == Open):", "case t.epoch != b.epoch:",
			breaker, ruleAnswer},
		{"a probe's answer succeeds twice", machine,
			"case o == outcome.Success && b.state == HalfOpen:", "case false:",
			breaker, ruleChanges},
		{"the beginning of an answer forgets failures", machine,
			"if t.probe == 0 {\n\t\treturn Change{}\n\t}\n\treturn b.Done", "return b.Done",
			breaker, ruleAnswers},
		{"a good end is a no-op although there are failures", snapshot,
			"s&(stateMask|failingBit) == closedState", "s&stateMask == closedState",
			breaker, ruleAnswers},
		{"missed publish in AnswerEnded", handle,
			"c := b.machine.AnswerEnded(now, t, o)\n\tb.publish()", "c := b.machine.AnswerEnded(now, t, o)",
			breaker, ruleAgrees},
		{"missed publish in Done", handle,
			"c := b.machine.Done(now, t, o)\n\tb.publish()", "c := b.machine.Done(now, t, o)",
			breaker, ruleAgrees},
		{"missed publish in Allow", handle,
			"b.machine.Allow(now, limit)\n\tb.publish()", "b.machine.Allow(now, limit)",
			breaker, ruleAgrees},
		{"the snapshot of an open breaker admits", snapshot,
			"s&stateMask == closedState\n}", "s&stateMask != Snapshot(HalfOpen)\n}",
			breaker, ruleOpenRejects},
		{"a success is a no-op although there are failures", snapshot,
			"return s == Snapshot(t.epoch)<<epochShift|closedState", "return s.Confirms(t)",
			breaker, ruleAnswers},

		{"missed wake-up", waiters,
			"\tb.grant()\n", "",
			bulkhead, ruleForgotten},
		{"waiters bit not cleared", waiters,
			"b.swap(s, s.WithoutWaiters())", "b.swap(s, s)",
			bulkhead, ruleBit},
		{"waiters bit cleared too early", waiters,
			"b.machine.Waiting() == 1)", "b.machine.Waiting() >= 1)",
			bulkhead, ruleBit},
		{"last in, first out", queue,
			"return b.queue.Pop(), true", "t := b.queue.Values()[b.queue.Len()-1]\n\tb.queue.Delete(b.queue.Len() - 1)\n\treturn t, true",
			bulkhead, ruleInOrder},
		{"a new caller overtakes the waiters", permits,
			"s < Snapshot(permits) //", "s.InUse() < permits //",
			bulkhead, ruleInOrder},
		{"one over the limit", permits,
			"s.InUse() < permits\n", "s.InUse() <= permits\n",
			bulkhead, ruleLimit},
		{"a permit that was granted to a cancelled waiter is lost", waiters,
			"\tif !b.remove(t) {\n\t\tb.Release() // granted at the same moment\n\t}", "\tb.remove(t)",
			bulkhead, ruleAllBack},
		{"remove does not see that a permit was granted", waiters,
			"if !b.machine.Remove(t) {\n\t\treturn false", "if !b.machine.Remove(t) {\n\t\treturn true",
			bulkhead, ruleNoTrace},
		{"a waiter that gave up stays", waiters,
			"\tb.removeWaiter(t)\n", "",
			bulkhead, ruleNoTrace},
		{"a permit too many is released while there are waiters", permits,
			"return s <= MaxPermits", "return s&waitersBit == 0",
			bulkhead, ruleExcess},
	}
	atOnce := make(chan struct{}, 2) // a build uses all cores for a time
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
