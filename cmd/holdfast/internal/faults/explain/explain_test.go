package explain

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
)

var program = cmdtest.Of(NewCommand)

func TestExplain(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"explain", "testdata/explain.yaml"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	cmdtest.Golden(t, "testdata/explain.txt", stdout.String())
}

func TestBuiltinPlans(t *testing.T) {
	for _, b := range plans.Builtins {
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), []string{"explain", b.Name}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit status %d, stderr %q", b.Name, status, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%s: a line of %d columns: %s", b.Name, n, line)
			}
		}
		if b.Name != "healthy" && !strings.Contains(stdout.String(), "\nthe faults\n") {
			t.Errorf("%s: no faults in\n%s", b.Name, &stdout)
		}
	}
}

// The output is limited for any plan, and contains no control characters.
func TestExtremes(t *testing.T) {
	const forever = time.Duration(1<<63 - 1)
	big := fault.Plan{
		Connections: []fault.ConnRule{{When: fault.Window{From: forever - 1, Until: forever}, Fault: fault.ConnFault{Refuse: true}}},
		Pace:        []fault.Pace{{When: fault.Window{Until: 1}, Latency: fault.Latency{Fixed: 1}}},
	}
	for i := range fault.MaxRules {
		big.Rules = append(big.Rules, fault.Rule{
			Name: "\x1b[2J" + strings.Repeat("long ", 100), When: fault.Window{From: time.Duration(i) * time.Second},
			Repeat: fault.Repeat{Every: forever, For: 1}, Fault: fault.Fault{Status: 503, Body: strings.Repeat("x", 10_000)}})
	}
	if err := big.Validate(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	write(&out, term.Terminal{Width: 20}, "big", big)
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Error("a name's escape sequence reached the terminal")
	}
	for _, says := range []string{"more rows", "more phases"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q", says)
		}
	}
}
