package holdfast

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/core/retry"
)

// The page is made from the data. A code that was released is never dropped or changed:
// programs and alerts compare it. With -update, the test writes the page, and new codes to
// api/reasons.txt.
func TestReasonsPage(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	var codes []string
	var page strings.Builder
	page.WriteString(`# Reasons

Each operation that fails has a reason why no further attempt followed, in ` + "`Error.Reason`, `Event.Reason` and as `reason`" + ` in the log and in [metrics](metrics.md). ` + "`Error.Stopped`" + ` has the same in words, with the numbers of the case. The codes do not change. This page is written by ` + "`go test . -run ReasonsPage -update`" + `.

A reason is not the failure: that is the [class](classes.md) of an attempt.

| Reason | What it is | What to do |
|---|---|---|
`)
	for _, r := range reasons[1:] {
		if r.name == "" || r.is == "" || r.do == "" {
			t.Errorf("a reason without a name or a text: %q", r)
		}
		codes = append(codes, r.name)
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", r.name, r.is, r.do)
	}
	const frozen, docs = "api/reasons.txt", "docs/reasons.md"
	released, err := os.ReadFile(frozen)
	if err != nil && !update {
		t.Fatal(err)
	}
	for code := range strings.FieldsSeq(string(released)) {
		if !slices.Contains(codes, code) {
			t.Errorf("%s was released, and is no reason any more", code)
		}
	}
	for path, text := range map[string]string{frozen: strings.Join(codes, "\n") + "\n", docs: page.String()} {
		if update && !t.Failed() {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s is not up to date: run this test with -update", path)
		}
	}
}

// Every reason of the schedule but the first two has a code.
func TestReasonsOfTheSchedule(t *testing.T) {
	for why := retry.Answered + 1; why.String() != "invalid"; why++ {
		if int(why) >= len(reasonsOf) || reasonsOf[why] == ReasonNone {
			t.Errorf("%v has no code", why)
		}
	}
}
