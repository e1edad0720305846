package tidy

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every exported name of the rooms that users import says what it is, and what it
// links to is there.
func TestGoDoc(t *testing.T) {
	for room := range public {
		paths, err := filepath.Glob(filepath.Join("../..", room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, path := range paths {
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		for _, p := range undocumented(t, fset, files) {
			t.Errorf("%s: %s", room, p)
		}
	}
}

func TestPlantedGoDoc(t *testing.T) {
	const good = "// Package a is [T] and [T.F].\npackage a\n\n// T is a [fmt.Stringer], see [G] and a[i].\ntype T struct{}\n\n// F is.\nfunc (T) F() {}\n\n// G is.\nfunc G() {}\n"
	for name, c := range map[string]struct{ was, is, want string }{
		"good":              {"", "", ""},
		"no doc":            {"// G is.\n", "", "G has no doc comment"},
		"a method":          {"// F is.\n", "", "T.F has no doc comment"},
		"a link to nothing": {"see [G]", "see [Gh] and [DONE]", "the doc of T links to [Gh], which is not there"},
		"of the package":    {"and [T.F]", "and [*T.H]", "the doc of package a links to [*T.H], which is not there"},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "a.go", strings.Replace(good, c.was, c.is, 1), parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(undocumented(t, fset, []*ast.File{f}), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// unlinked is what looks like a link to an exported name and was not made one.
var unlinked = regexp.MustCompile(`\[\*?[A-Z](?:\w*\.[A-Z]\w*|\w*[a-z]\w*)\]`)

func undocumented(t *testing.T, fset *token.FileSet, files []*ast.File) (ps []string) {
	t.Helper()
	pkg, err := doc.NewFromFiles(fset, files, modulePath)
	if err != nil {
		t.Fatal(err)
	}
	look := func(name, text string) {
		if strings.TrimSpace(text) == "" {
			ps = append(ps, name+" has no doc comment")
			return
		}
		for _, plain := range plainTexts(pkg.Parser().Parse(text)) {
			for _, link := range unlinked.FindAllString(plain, -1) {
				ps = append(ps, fmt.Sprintf("the doc of %s links to %s, which is not there", name, link))
			}
		}
	}
	look("package "+pkg.Name, pkg.Doc)
	funcs := func(in string, fs []*doc.Func) {
		for _, f := range fs {
			look(in+f.Name, f.Doc)
		}
	}
	funcs("", pkg.Funcs)
	for _, typ := range pkg.Types {
		look(typ.Name, typ.Doc)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
	}
	return ps
}

// plainTexts are the words of a doc comment that are neither code nor links.
func plainTexts(d *comment.Doc) (all []string) {
	texts := func(ts []comment.Text) {
		for _, t := range ts {
			switch t := t.(type) {
			case comment.Plain:
				all = append(all, string(t))
			case comment.Italic:
				all = append(all, string(t))
			}
		}
	}
	for _, block := range d.Content {
		switch b := block.(type) {
		case *comment.Paragraph:
			texts(b.Text)
		case *comment.Heading:
			texts(b.Text)
		}
	}
	return all
}
