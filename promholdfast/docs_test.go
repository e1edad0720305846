package promholdfast

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md, and new series to api/metrics.txt")

// kindOf is the type of a family, by the rules for names.
func kindOf(name string) (kind, unit string) {
	switch {
	case strings.HasSuffix(name, "_seconds"):
		return "histogram", "seconds"
	case strings.HasSuffix(name, "_total"):
		return "counter", "1"
	}
	return "gauge", "1"
}

// The tables of docs/metrics.md are those of the code. The names and labels of series that
// were released, in api/metrics.txt, do not change: dashboards and alerts use them.
func TestDocs(t *testing.T) {
	const path, frozen = "../docs/metrics.md", "../api/metrics.txt"
	all := append(slices.Clone(families), buildInfo)
	table, names := "| Series | Type | Unit | Labels | Of | What it is |\n|---|---|---|---|---|---|\n", ""
	for _, f := range all {
		labels := f.allLabels()
		if f.name == buildInfo.name {
			labels = f.labels
		}
		kind, unit := kindOf(f.name)
		table += fmt.Sprintf("| `%s` | %s | %s | `%s` | %s | %s |\n", f.name, kind, unit, strings.Join(labels, "`, `"), f.of, f.help)
		names += f.name + "{" + strings.Join(labels, ",") + "}\n"
	}
	values := "| Label | Values |\n|---|---|\n"
	for _, row := range []struct {
		label string
		all   []string
	}{
		{"outcome", outcomes}, {"attempt_type", attemptTypes}, {"class", classes}, {"reason", reasons[1:]}, {"rule", rules},
		{"state", states}, {"for", waitsFor}, {"end", streamEnds},
	} {
		values += fmt.Sprintf("| `%s` | `%s` |\n", row.label, strings.Join(row.all, "`, `"))
	}
	released, err := os.ReadFile(frozen)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(released)) {
		if !strings.Contains(names, line) {
			t.Errorf("%q was released, and is no series any more", line)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written := string(page)
	for name, table := range map[string]string{"series": table, "values": values} {
		block := regexp.MustCompile(`(?s)<!-- ` + name + ` -->\n.*?\n\n`)
		if !block.MatchString(written) {
			t.Fatalf("%s has no table %s", path, name)
		}
		written = block.ReplaceAllLiteralString(written, "<!-- "+name+" -->\n"+table+"\n")
	}
	for file, text := range map[string]string{path: written, frozen: names} {
		if *update && !t.Failed() {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("%s is not up to date: run this test with -update", file)
		}
	}
}

// Every reason and every class of holdfast is a value of its label, at its place.
func TestCodes(t *testing.T) {
	for file, all := range map[string][]string{"../api/reasons.txt": reasons[1:], "../api/classes.txt": classes[firstClass:]} {
		frozen, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(string(frozen)); !slices.Equal(got, all) {
			t.Errorf("%s has %v, and the label %v", file, got, all)
		}
	}
}
