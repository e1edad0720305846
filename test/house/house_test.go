// Package house holds the repository to its house rules: which room may import
// which, what the pure rooms may not touch, how tests may wait, and which
// files list the modules. It has tests and nothing else.
//
// A rule is a function of one source (or of one folder, or of the texts that
// list modules) that returns problems. TestRepository applies every rule to
// the real tree; the Plant tests give each rule a small wrong text and expect
// exactly the problem it was written for, so that a rule that has stopped
// seeing is noticed.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modulePath is the root module's; the import path of every room of the
// repository is modulePath and its folder, in whichever module it lies.
const modulePath = "github.com/holdfast-go/holdfast"

func TestRepository(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	// A walk that looked in the wrong place would find nothing wrong there.
	seen := func(s source) bool { return s.path == "test/house/house_test.go" }
	if !slices.ContainsFunc(repo.sources, seen) {
		t.Fatalf("the walk read %d Go files, this one not among them", len(repo.sources))
	}
	for _, p := range repo.check() {
		t.Error(p)
	}
}

// A problem is one departure from a rule. Its line is 0 where the whole file
// or folder is meant.
type problem struct {
	path string
	line int
	text string
}

func (p problem) String() string {
	if p.line == 0 {
		return p.path + ": " + p.text
	}
	return fmt.Sprintf("%s:%d: %s", p.path, p.line, p.text)
}

// A source is one Go file, parsed. Paths begin at the root of the repository.
type source struct {
	path   string
	module string // folder of the go.mod that it belongs to, "." for the root's
	text   string
	fset   *token.FileSet
	file   *ast.File
}

func parse(path, module, text string) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path, module, text, fset, file}, err
}

func (s source) room() string { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) problem(at token.Pos, format string, args ...any) problem {
	return problem{s.path, s.fset.Position(at).Line, fmt.Sprintf(format, args...)}
}

// imports maps the imported paths to where they are imported.
func (s source) imports() map[string]token.Pos {
	m := make(map[string]token.Pos)
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			m[p] = spec.Pos()
		}
	}
	return m
}

// uses finds where the file names one of these members of an imported package,
// called or not, under whatever name the file imports it. Dot imports would
// hide them; the rule dotImports is why there are none.
func (s source) uses(pkg string, members ...string) []*ast.SelectorExpr {
	local := ""
	for _, spec := range s.file.Imports {
		if spec.Path.Value == strconv.Quote(pkg) {
			if local = path.Base(pkg); spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	var found []*ast.SelectorExpr
	for n := range ast.Preorder(s.file) {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(members, sel.Sel.Name) {
			continue
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
			found = append(found, sel)
		}
	}
	return found
}

// A repository is everything that the rules read.
type repository struct {
	sources []source
	modules []string          // folders with a go.mod
	texts   map[string]string // go.mod of the root, go.work, Makefile; a missing one is empty
}

// load reads the tree. It passes over what the go command passes over: folders
// that begin with a dot or an underscore, testdata and vendor.
func load(tree fs.FS) (repository, error) {
	repo := repository{texts: make(map[string]string)}
	var files []string
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir():
			if p != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" || name == "node_modules") {
				return fs.SkipDir
			}
		case name == "go.mod":
			repo.modules = append(repo.modules, path.Dir(p))
		case strings.HasSuffix(name, ".go"):
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return repo, err
	}
	for _, p := range []string{"go.mod", "go.work", "Makefile"} {
		text, err := fs.ReadFile(tree, p)
		if err != nil && !os.IsNotExist(err) {
			return repo, err
		}
		repo.texts[p] = string(text)
	}
	for _, p := range files {
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return repo, err
		}
		s, err := parse(p, moduleOf(p, repo.modules), string(text))
		if err != nil {
			return repo, err
		}
		repo.sources = append(repo.sources, s)
	}
	return repo, nil
}

// moduleOf is the deepest of the modules that the file lies in.
func moduleOf(file string, modules []string) string {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if slices.Contains(modules, dir) {
			return dir
		}
	}
	return "."
}

// fileRules look at one source at a time.
var fileRules = []func(source) []problem{
	floorsHold,
	pureStaysPure,
	worldlyAsksItsWorld,
	testingStaysInTests,
	testsDoNotSleep,
	testsDoNotSkip,
	dotImports,
}

func (r repository) check() []problem {
	var all []problem
	rooms := make(map[string]bool)
	for _, s := range r.sources {
		for _, rule := range fileRules {
			all = append(all, rule(s)...)
		}
		rooms[s.room()] = true
	}
	for room := range rooms {
		all = append(all, roomIsKnown(room)...)
	}
	all = append(all, rootRequiresNothing("go.mod", r.texts["go.mod"])...)
	all = append(all, modulesAreListed(r.modules, r.texts["go.work"], r.texts["Makefile"])...)
	slices.SortFunc(all, func(a, b problem) int { return strings.Compare(a.String(), b.String()) })
	return all
}
