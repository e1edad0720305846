package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

const manual = "../../docs/faults.md"

func readManual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What docs/faults.md lists is what there is.
func TestManualLists(t *testing.T) {
	text := readManual(t)
	var plans, faults strings.Builder
	plans.WriteString("\n| built-in plan | what it is like |\n|---|---|\n")
	for _, b := range builtins {
		fmt.Fprintf(&plans, "| `%s` | %s |\n", b.name, b.like)
	}
	faults.WriteString("\n| id | what a client must withstand |\n|---|---|\n")
	for _, e := range catalog() {
		fmt.Fprintf(&faults, "| `%s` | %s |\n", e.ID, strings.ReplaceAll(e.Purpose, "|", `\|`))
	}
	for name, list := range map[string]string{"plans": plans.String(), "faults": faults.String()} {
		head, rest, found := strings.Cut(text, "<!-- "+name+": made by go test -update -->\n")
		_, tail, ended := strings.Cut(rest, "<!-- end of "+name+" -->\n")
		if !found || !ended {
			t.Fatalf("%s has no place for its %s", manual, name)
		}
		text = head + "<!-- " + name + ": made by go test -update -->\n" + list + "\n<!-- end of " + name + " -->\n" + tail
	}
	cmdtest.Golden(t, manual, text)
}

// Every plan in docs/faults.md can be served as it stands, and so can every fault.
func TestManualPlans(t *testing.T) {
	text := readManual(t)
	plans := 0
	for _, block := range regexp.MustCompile("(?s)```(json|yaml)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		plan, err := parsePlan("a."+block[1], []byte(block[2]))
		if err == nil {
			err = followable(plan, true, true)
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, block[2])
		}
		plans++
	}
	faults := 0
	for _, example := range regexp.MustCompile("`(\\{\"[^`]*\\})`").FindAllStringSubmatch(text, -1) {
		if _, err := fault.Parse([]byte(`{"rules": [{"fault": ` + example[1] + `}]}`)); err != nil {
			t.Errorf("%v in %s", err, example[1])
		}
		faults++
	}
	if plans < 5 || faults < 15 {
		t.Errorf("found %d plans and %d faults: are they looked for in the right way?", plans, faults)
	}
}

// Every flag and command of docs/faults.md exists, and the other way round.
func TestManualCommands(t *testing.T) {
	text := readManual(t)
	cmd := newFaults()
	for _, found := range regexp.MustCompile("`--([a-z-]+) ?[A-Z]*`").FindAllStringSubmatch(text, -1) {
		if cmd.Flags().Lookup(found[1]) == nil {
			t.Errorf("there is no flag --%s", found[1])
		}
	}
	for line := range strings.Lines(cmd.Flags().FlagUsages()) {
		if name := regexp.MustCompile(`--([a-z-]+)`).FindString(line); !strings.Contains(text, name) {
			t.Errorf("%s is not told of", name)
		}
	}
	for _, sub := range cmd.Commands() {
		if !strings.Contains(text, "\nholdfast faults "+sub.Name()) {
			t.Errorf("holdfast faults %s is not told of", sub.Name())
		}
	}
}

// The code of docs/faults.md is that of this file.
func TestManualCode(t *testing.T) {
	code, err := os.ReadFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readManual(t), -1)
	if len(blocks) == 0 {
		t.Error("found no code")
	}
	for _, block := range blocks {
		if !strings.Contains(string(code), block[1]) {
			t.Errorf("this is not in docs_test.go, where it would be compiled and run:\n%s", block[1])
		}
	}
}

func TestOrdersSurviveALostAnswer(t *testing.T) {
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{
		{Nth: "1", Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}},
	}})
	client, err := holdfast.New(holdfast.Config{BaseURL: server.URL(), IdempotencyKey: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	if _, err := client.Post(t.Context(), "/orders", map[string]string{"item": "tea"}); err != nil {
		t.Error(err)
	}
	if e := server.Effects(); e.Done != 1 || e.Duplicates != 0 {
		t.Errorf("effects %+v, want the order placed once", e)
	}
	for _, attempt := range server.Record() {
		t.Log(attempt.At, attempt.Path, attempt.Status, attempt.Faults)
	}
}
