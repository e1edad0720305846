package settings

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/settings.md anew")

// page is the documentation of all settings.
const page = "../docs/settings.md"

// docsTable is the table of the page.
func docsTable() string {
	var m, other Provider
	var o Ollama
	columns := [][]*field{m.fields(preset(mixedbreadName)), o.fields(), other.fields(preset("other"))}
	for _, column := range columns {
		for _, f := range column {
			f.fill()
		}
	}
	all := slices.Concat(columns...) // those that only some have are last
	var b strings.Builder
	b.WriteString("| in the file | variable | values | Mixedbread | Ollama | others | what it is |\n|---|---|---|---|---|---|---|\n")
	written := map[string]bool{}
	for _, f := range all {
		if written[f.Key] {
			continue
		}
		written[f.Key] = true
		cells := []string{"`" + f.Key + "`", "–", f.values}
		if f.Env != "" {
			cells[1] = "`…_" + f.Env + "`"
		}
		for _, column := range columns {
			value := "–"
			for _, g := range column {
				if g.Key == f.Key {
					value = cmp.Or(g.text(), "required")
				}
			}
			cells = append(cells, value)
		}
		doc := f.Doc
		if f.OldKey != "" {
			doc += "; formerly `" + f.OldKey + "` and `…_" + f.OldEnv + "`"
		}
		if f.Source != "" {
			doc += " (" + f.Source + ")"
		}
		b.WriteString("| " + strings.Join(append(cells, doc), " | ") + " |\n")
	}
	return b.String()
}

// The table of docs/settings.md is made from the settings:
//
//	go test ./settings -run TestDocsTable -update
func TestDocsTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "| in the file |")
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("the page has no table")
	}
	want := before + docsTable() + "\n" + after
	if *update {
		err = os.WriteFile(page, []byte(want), 0o644)
	} else if want != string(text) {
		err = errors.New("is not the table of the settings: make it anew with -update")
	}
	if err != nil {
		t.Errorf("%s: %v", page, err)
	}
}

// The files that docs/settings.md and the package comment show hold, and the
// problems are those that there are.
func TestDocsSample(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	got := mustParse(t, sample, "MIXEDBREAD_API_KEY", "k", "OLLAMA_MACHINE", "gpu", "SEARCH_KEY", "k")
	equal(t, "ollama", got.Ollama.LLM().BaseURL, "http://gpu:11434")

	_, shown, _ := strings.Cut(string(text), "```\nholdfast: ")
	shown, _, _ = strings.Cut(shown, "\n```")
	_, err = parsed(threeProblems)
	equal(t, "problems", "holdfast: "+shown, fmt.Sprint(err))

	source, err := os.ReadFile("settings.go")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ = strings.Cut(string(source), "//\n//\t{")
	sample, _, _ = strings.Cut(sample, "//\n//")
	got = mustParse(t, "{"+strings.ReplaceAll(sample, "//\t", ""), "MIXEDBREAD_API_KEY", "k")
	equal(t, "embedding", got.Ollama.EmbeddingTimeout, 120*s)
}
