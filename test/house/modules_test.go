package house

import (
	"path"
	"slices"
	"strings"
)

// rootRequiresNothing checks that users of holdfast get no other module.
func rootRequiresNothing(name, gomod string) []problem {
	var ps []problem
	for i, line := range strings.Split(gomod, "\n") {
		words := directive(line)
		if len(words) > 0 && (words[0] == "require" || words[0] == "replace") {
			ps = append(ps, problem{name, i + 1, "has a " + words[0] + " line: code that needs another module belongs in a nested module"})
		}
	}
	return ps
}

// unlisted modules are in neither list. tools pins the linters: it has no code to
// build or test, and in the workspace it would choose versions for all modules.
var unlisted = []string{"tools"}

// modulesAreListed checks that go.work and the Makefile name every module.
// Otherwise an editor does not find it, and make test does not build it.
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

// workspaceModules reads the use directives, single or in parentheses.
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

// makefileModules reads the MODULES line.
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

// directive splits a line of a go.mod or go.work into words, without its comment.
func directive(line string) []string {
	line, _, _ = strings.Cut(line, "//")
	return strings.Fields(strings.ReplaceAll(line, "(", " ( "))
}
