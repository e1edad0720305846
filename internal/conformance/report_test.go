package conformance

import (
	"strings"
	"testing"
)

// A loss is shown with its reason, if the rule has one.
func TestReasonsOfLosses(t *testing.T) {
	rows := []Row{
		{Client: "a", Fault: "x", Why: "fails", Known: "it is live"},
		{Client: "a", Fault: "y", Why: "took 4s"},
		{Client: "b", Fault: "x", Right: true},
	}
	if got, want := Markdown(rows), "- `x`: fails\n  - Reason: it is live.\n- `y`: took 4s\n\n**b**: nothing.\n"; !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant at the end\n%s", got, want)
	}
	if got, want := Table(rows), "fails\n"+strings.Repeat(" ", 35)+"because it is live\n"; !strings.Contains(got, want) {
		t.Errorf("%s\nwant in it\n%s", got, want)
	}
	if lost := Unexplained(rows, "a"); len(lost) != 1 || lost[0].Fault != "y" {
		t.Errorf("without a reason: %v", lost)
	}
}
