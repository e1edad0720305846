package house

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents returns the documents of the repository, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	tree := os.DirFS("../..")
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := fs.Glob(tree, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := fs.ReadFile(tree, path)
			if err != nil {
				t.Fatal(err)
			}
			all[path] = string(text)
		}
	}
	if all["README.md"] == "" || all["docs/http.md"] == "" {
		t.Fatalf("found only %v", slices.Sorted(maps.Keys(all)))
	}
	return all
}

// TestDocsNameTargets checks that the Makefile has every target that a document names.
func TestDocsNameTargets(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range documents(t) {
		for _, p := range targetsExist(path, text, string(makefile)) {
			t.Error(p)
		}
	}
}

// TestDocsLinks checks that every link to a file of the repository leads to a file.
func TestDocsLinks(t *testing.T) {
	tree := os.DirFS("../..")
	exists := func(path string) bool {
		_, err := fs.Stat(tree, path)
		return err == nil
	}
	for path, text := range documents(t) {
		for _, p := range linksLead(path, text, exists) {
			t.Error(p)
		}
	}
}

var (
	made   = regexp.MustCompile("(?m)(?:`|^\\$? ?)make ([a-z][a-z0-9-]*)")
	code   = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	linked = regexp.MustCompile(`\]\(([^)\s#]+)(?:#[^)]*)?\)`)
)

func targetsExist(path, text, makefile string) (ps []problem) {
	for _, at := range made.FindAllStringSubmatchIndex(text, -1) {
		target := text[at[2]:at[3]]
		line := strings.Count(text[:at[2]], "\n")
		inCode := text[at[0]] == '`' || strings.Count(text[:at[0]], "```")%2 == 1
		if inCode && !regexp.MustCompile(`(?m)^(?:[a-z0-9-]+ )*`+target+`(?: [a-z0-9-]+)*:([^=]|$)`).MatchString(makefile) {
			ps = append(ps, problem{path, line + 1, fmt.Sprintf("make %s: the Makefile has no such target", target)})
		}
	}
	return ps
}

func linksLead(file, text string, exists func(string) bool) (ps []problem) {
	text = code.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
	for _, at := range linked.FindAllStringSubmatchIndex(text, -1) {
		target := text[at[2]:at[3]]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		if to := pathJoin(file, target); !exists(to) {
			ps = append(ps, problem{file, 1 + strings.Count(text[:at[2]], "\n"), fmt.Sprintf("links to %s, which does not exist", to)})
		}
	}
	return ps
}

// pathJoin returns the target of a link in a file.
func pathJoin(file, target string) string {
	return path.Join(path.Dir(file), target)
}

func TestPlantedDocs(t *testing.T) {
	const makefile = ".PHONY: help demo\nMODULES := . x\nhelp: ## list\n\t@echo\ngo gcc:\n\t@x\nrelease-check: go\n"
	exists := func(path string) bool { return path == "docs/http.md" }
	for text, want := range map[string]string{
		"`make help`, `make gcc`, `make release-check VERSION=v1`": "",
		"to make things worse":                           "",
		"make things\nmake worse":                        "",
		"so `make hepl`":                                 "docs/a.md:1: make hepl: the Makefile has no such target",
		"```\nmake dmo    # x\n```":                      "docs/a.md:2: make dmo: the Makefile has no such target",
		"`make release`":                                 "docs/a.md:1: make release: the Makefile has no such target",
		"[a](http.md), [b](http.md#c), [c](https://x/y)": "",
		"\n[a](htp.md)":                                  "docs/a.md:2: links to docs/htp.md, which does not exist",
		"`f[T](x)`":                                      "",
		"[a](docs/http.md)":                              "docs/a.md:1: links to docs/docs/http.md, which does not exist",
	} {
		var got []string
		for _, p := range append(targetsExist("docs/a.md", text, makefile), linksLead("docs/a.md", text, exists)...) {
			got = append(got, p.String())
		}
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("%q: %q, want %q", text, all, want)
		}
	}
}
