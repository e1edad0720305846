package house

import (
	"path"
	"slices"
	"strings"
)

// rootRequiresNothing: who imports holdfast gets holdfast and nothing else.
func rootRequiresNothing(name, gomod string) []problem {
	var ps []problem
	for i, line := range strings.Split(gomod, "\n") {
		words := directive(line)
		if len(words) > 0 && (words[0] == "require" || words[0] == "replace") {
			ps = append(ps, problem{name, i + 1, "has a " + words[0] + " line: what needs another module lives in a module of its own"})
		}
	}
	return ps
}

// unlisted modules are in neither list: tools pins the linters, has no code to
// build or test, and in the workspace it would choose versions for all.
var unlisted = []string{"tools"}

// modulesAreListed: a module that go.work and the Makefile don't name is not
// found by an editor, and not built by make test.
func modulesAreListed(modules []string, gowork, makefile string) []problem {
	lists := []struct {
		name, how string
		named     []string
	}{
		{"go.work", "its use list", workspaceModules(gowork)},
		{"Makefile", "its MODULES list", makefileModules(makefile)},
	}
	var ps []problem
	for _, list := range lists {
		for _, m := range modules {
			if !slices.Contains(list.named, m) && !slices.Contains(unlisted, m) {
				ps = append(ps, problem{path: list.name, text: "does not name module " + m + ": add it to " + list.how})
			}
		}
		for _, m := range list.named {
			if !slices.Contains(modules, m) {
				ps = append(ps, problem{path: list.name, text: "names module " + m + ", which has no go.mod"})
			}
		}
	}
	return ps
}

// workspaceModules reads the folders after use, alone or in parentheses.
func workspaceModules(gowork string) []string {
	var named []string
	inUse := false
	for line := range strings.Lines(gowork) {
		words := directive(line)
		switch {
		case len(words) == 0:
		case words[0] == ")":
			inUse = false
		case inUse:
			named = append(named, path.Clean(words[0]))
		case words[0] == "use" && len(words) > 1 && words[1] == "(":
			inUse = true
		case words[0] == "use" && len(words) > 1:
			named = append(named, path.Clean(words[1]))
		}
	}
	return named
}

// makefileModules reads the line that begins with MODULES.
func makefileModules(makefile string) []string {
	var named []string
	for line := range strings.Lines(makefile) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "MODULES" || words[1] != ":=" {
			continue
		}
		for _, m := range words[2:] {
			named = append(named, path.Clean(m))
		}
	}
	return named
}

// directive splits a line of a go.mod or go.work and drops its comment.
func directive(line string) []string {
	line, _, _ = strings.Cut(line, "//")
	return strings.Fields(strings.ReplaceAll(line, "(", " ( "))
}
