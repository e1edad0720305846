package settings

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// tableRows are the rows of docs/settings.md but for their last cell, which
// explains.
func tableRows() (rows []string) {
	m, o, other := mixedbreadProvider(), ollamaProvider(), otherProvider("other")
	cells := func(f field, fields []field) string {
		for _, g := range fields {
			switch {
			case f.path != g.path:
			case g.path == baseURL && g.value() == "":
				return "required"
			default:
				return g.meaning(g.value())
			}
		}
		return "–"
	}
	fields := append(m.fields(), o.fields()[len(m.fields())-1:]...) // all of Mixedbread's, and Ollama's own
	for _, f := range fields {
		variable, canBeOff := "–", ""
		if f.env != "" {
			variable = "`…_" + f.env + "`"
		}
		switch f.into.(type) {
		case *int, *int64, *time.Duration:
			if !f.always {
				canBeOff = "✓"
			}
		}
		rows = append(rows, "| "+strings.Join([]string{
			"`" + f.path + "`", variable, cells(f, m.fields()), cells(f, o.fields()), cells(f, other.fields()), canBeOff,
		}, " | ")+" |")
	}
	return rows
}

// The table of docs/settings.md has every setting, with its default.
func TestDocsTable(t *testing.T) {
	text, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "|---|---|---|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	rows := tableRows()
	for i, want := range rows {
		switch {
		case i >= len(lines):
			t.Errorf("missing: %s", want)
		case !strings.HasPrefix(lines[i], want+" ") || strings.Count(lines[i], "|") != 8:
			t.Errorf("got  %s\nwant %s … |", lines[i], want)
		}
	}
	equal(t, "rows", len(lines), len(rows))
}

// The files that docs/settings.md and the package comment show hold, and the
// problems are those that there are.
func TestDocsSample(t *testing.T) {
	text, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	got := mustParse(t, sample, "MIXEDBREAD_API_KEY", "k", "OLLAMA_MACHINE", "gpu", "SEARCH_KEY", "k")
	equal(t, "ollama", got.Ollama.BaseURL, "http://gpu:11434")

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
