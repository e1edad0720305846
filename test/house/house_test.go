// Package house checks the repository by rules that a compiler does not know: the
// layers of packages and their imports, the imports of pure packages, waiting in
// tests, the lists of modules, the public API, and the tests that documents name.
// It contains only tests.
//
// A rule is a function of one source, one package or one text. It returns problems.
// TestRepository applies the rules to the repository. The tests named TestPlanted
// give each rule a small wrong text and expect exactly its problem, so that a rule
// that no longer works is noticed.
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

// modulePath is the path of the root module. The import path of every package of
// the repository is modulePath and the package's folder, in every module.
const modulePath = "github.com/holdfast-go/holdfast"

func TestRepository(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	// In a wrong folder, the walk would find no problems.
	seen := func(s source) bool { return s.path == "test/house/house_test.go" }
	if !slices.ContainsFunc(repo.sources, seen) {
		t.Fatalf("the walk read %d Go files, without this one", len(repo.sources))
	}
	for _, p := range repo.check() {
		t.Error(p)
	}
}

// A problem is a violation of a rule. Line 0 means the whole file or package.
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

// A source is a parsed Go file. Paths are relative to the root of the repository.
type source struct {
	path   string
	module string // folder of its go.mod, "." for the root
	text   string
	fset   *token.FileSet
	file   *ast.File
}

func parse(path, module, text string) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path, module, text, fset, file}, err
}

// pkg returns the folder of the source, by which a package is named here.
func (s source) pkg() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) problem(at token.Pos, format string, args ...any) problem {
	return problem{s.path, s.fset.Position(at).Line, fmt.Sprintf(format, args...)}
}

// imports maps each imported path to the position of its import.
func (s source) imports() map[string]token.Pos {
	m := make(map[string]token.Pos)
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			m[p] = spec.Pos()
		}
	}
	return m
}

// uses finds every use of one of these members of an imported package, also if the
// file imports it under another name. Dot imports would hide uses, so the rule
// dotImports forbids them.
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

// A repository holds all that the rules read.
type repository struct {
	sources []source
	modules []string          // folders with a go.mod
	texts   map[string]string // go.mod of the root, go.work and Makefile; empty if missing
}

// load reads the repository. It skips the folders that the go command skips: those
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

// moduleOf returns the innermost module that contains a file.
func moduleOf(file string, modules []string) string {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if slices.Contains(modules, dir) {
			return dir
		}
	}
	return "."
}

// fileRules are the rules for one source.
var fileRules = []func(source) []problem{
	importsGoDown,
	pureStaysPure,
	worldlyUsesItsWorld,
	testingStaysInTests,
	testsDoNotSleep,
	testsDoNotSkip,
	dotImports,
}

func (r repository) check() []problem {
	var all []problem
	pkgs := make(map[string]bool)
	for _, s := range r.sources {
		for _, rule := range fileRules {
			all = append(all, rule(s)...)
		}
		pkgs[s.pkg()] = true
	}
	for pkg := range pkgs {
		all = append(all, packageHasLayer(pkg)...)
	}
	all = append(all, rootRequiresNothing("go.mod", r.texts["go.mod"])...)
	all = append(all, modulesAreListed(r.modules, r.texts["go.work"], r.texts["Makefile"])...)
	slices.SortFunc(all, func(a, b problem) int { return strings.Compare(a.String(), b.String()) })
	return all
}
