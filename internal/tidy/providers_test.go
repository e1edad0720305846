package tidy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProvidersPage: whatever Go docs/providers.md shows stands, line by line, in
// an Example that runs; and the provider that it walks through has no more lines
// than it says.
func TestProvidersPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../provider/*/example_test.go")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v; want an example_test.go of each provider", files, err)
	}
	var examples []string
	for _, path := range append(files, "../../example_provider_test.go") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		examples = append(examples, string(text))
	}
	blocks := goBlocks(string(page))
	if len(blocks) < 5 {
		t.Errorf("%d blocks of Go; want 5 and more", len(blocks))
	}
	for _, block := range blocks {
		if !standsIn(block, examples) {
			t.Errorf("stands in no example:\n%s", block)
		}
		if lines := strings.Count(block, "\n"); strings.Contains(block, "type Translator ") && lines > 40 {
			t.Errorf("the provider has %d lines; the page says forty", lines)
		}
	}
}

// TestProvidersPageSeesAChange plants one.
func TestProvidersPageSeesAChange(t *testing.T) {
	const example = "func Example() {\n\tfor range 3 {\n\t\tcall()\n\t}\n\n\tend()\n}\n"
	for block, want := range map[string]bool{
		"for range 3 {\n\tcall()\n}\n\nend()\n": true,
		"call()\n":                              false, // it stands two levels deeper
		"for range 4 {\n\tcall()\n}\n":          false,
		"range 3 {\n\tcall()\n}\n":              false, // a part of a line
		"func Example() {\n\tfor range 3 {\n":   true,
		"}\nend()\n":                            false, // without the empty line
	} {
		if got := standsIn(block, []string{example}); got != want {
			t.Errorf("%q: %v, want %v", block, got, want)
		}
	}
	if got := goBlocks("a\n```go\nb\n```\n```\nc\n```\n```go\nd\n```"); len(got) != 2 || got[0] != "b\n" || got[1] != "d\n" {
		t.Errorf("blocks %q", got)
	}
}

// goBlocks are the blocks of a page that are marked as Go.
func goBlocks(page string) (blocks []string) {
	for {
		_, rest, found := strings.Cut(page, "```go\n")
		if !found {
			return blocks
		}
		block, rest, _ := strings.Cut(rest, "```")
		blocks, page = append(blocks, block), rest
	}
}

// standsIn: as it is, or with every line of it one level deeper, as in a function.
func standsIn(block string, texts []string) bool {
	deeper := "\t" + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n\t") + "\n"
	deeper = strings.ReplaceAll(deeper, "\n\t\n", "\n\n")
	for _, text := range texts {
		if text = "\n" + text; strings.Contains(text, "\n"+block) || strings.Contains(text, "\n"+deeper) {
			return true
		}
	}
	return false
}
