package faults

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/catalog"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

const document = "docs/faults.md"

// The tables of docs/faults.md list all built-in plans and all faults.
func TestDocumentTables(t *testing.T) {
	path, text := cmdtest.Document(t, document)
	var planTable, faultTable strings.Builder
	planTable.WriteString("\n| built-in plan | behaviour |\n|---|---|\n")
	for _, b := range plans.Builtins {
		fmt.Fprintf(&planTable, "| `%s` | %s |\n", b.Name, b.Text)
	}
	faultTable.WriteString("\n| ID | what a client must withstand |\n|---|---|\n")
	for _, e := range catalog.All() {
		fmt.Fprintf(&faultTable, "| `%s` | %s |\n", e.ID, strings.ReplaceAll(e.Purpose, "|", `\|`))
	}
	for name, table := range map[string]string{"plans": planTable.String(), "faults": faultTable.String()} {
		begin, end := "<!-- "+name+": made by go test -update -->\n", "<!-- end of "+name+" -->\n"
		head, rest, found := strings.Cut(text, begin)
		_, tail, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("%s has no place for its %s", document, name)
		}
		text = head + begin + table + "\n" + end + tail
	}
	cmdtest.Golden(t, path, text)
}

// Every plan and every fault of docs/faults.md can be served.
func TestDocumentPlans(t *testing.T) {
	_, text := cmdtest.Document(t, document)
	planCount, faultCount := 0, 0
	for _, block := range regexp.MustCompile("(?s)```(json|yaml)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		plan, err := plans.Parse("a."+block[1], []byte(block[2]))
		if err == nil {
			err = plans.CheckServer(plan, plans.Flags{TLS: true, H2: true, As: plan.As})
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, block[2])
		}
		planCount++
	}
	for _, example := range regexp.MustCompile("`(\\{\"[^`]*\\})`").FindAllStringSubmatch(text, -1) {
		if _, err := fault.Parse([]byte(`{"rules": [{"fault": ` + example[1] + `}]}`)); err != nil {
			t.Errorf("%v in %s", err, example[1])
		}
		faultCount++
	}
	if planCount < 5 || faultCount < 15 {
		t.Errorf("found %d plans and %d faults: is the search wrong?", planCount, faultCount)
	}
}

// docs/faults.md has all flags and subcommands, and no other flags.
func TestDocumentCommands(t *testing.T) {
	_, text := cmdtest.Document(t, document)
	cmd := NewCommand()
	for _, found := range regexp.MustCompile("`--([a-z0-9-]+) ?[A-Z]*`").FindAllStringSubmatch(text, -1) {
		if cmd.Flags().Lookup(found[1]) == nil {
			t.Errorf("there is no flag --%s", found[1])
		}
	}
	for line := range strings.Lines(cmd.Flags().FlagUsages()) {
		if name := regexp.MustCompile(`--([a-z0-9-]+)`).FindString(line); !strings.Contains(text, name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, sub := range cmd.Commands() {
		if !strings.Contains(text, "\nholdfast faults "+sub.Name()) {
			t.Errorf("holdfast faults %s is missing", sub.Name())
		}
	}
}

// The Go code of docs/faults.md is in this file, where it is compiled and run.
func TestDocumentCode(t *testing.T) {
	code, err := os.ReadFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text := cmdtest.Document(t, document)
	text = regexp.MustCompile("(?s)<!-- from: [^\n]* -->\n```go\n.*?```").ReplaceAllString(text, "") // in the file that it names
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Error("found no code")
	}
	for _, block := range blocks {
		if !strings.Contains(string(code), block[1]) {
			t.Errorf("this is not in docs_test.go:\n%s", block[1])
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
