package integration

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const repository = "../../"

// Every Go block in a document compiles as it is, with the declarations of
// usual. A comment above a block gives its context:
//
//	<!-- given: type Output struct{}; var in Input -->   more declarations
//	<!-- from: path/of/file.go -->   the block is in that file, exactly
//	<!-- fragment -->                Go with omissions
func TestGoInDocsCompiles(t *testing.T) {
	known := knownPackages(t)
	blocks, fragments := 0, 0
	for _, doc := range documents(t) {
		text, err := os.ReadFile(repository + doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range goBlocks(doc, string(text)) {
			blocks++
			switch {
			case b.fragment:
				fragments++
			case b.from != "":
				source, err := os.ReadFile(repository + b.from)
				if err != nil {
					t.Fatal(err)
				}
				if !b.isIn(string(source)) {
					t.Errorf("%s:%d: this block is not, or no longer, in %s", b.doc, b.line, b.from)
				}
			default:
				for _, problem := range b.compile(known) {
					t.Error(problem)
				}
			}
		}
	}
	if blocks < 6 || fragments > 3 {
		t.Errorf("%d blocks of Go, %d of them fragments: want all that there are, and few that are not checked", blocks, fragments)
	}
}

// A wrong block is a problem at its line.
func TestGoInDocsBites(t *testing.T) {
	known := knownPackages(t)
	for name, c := range map[string]struct{ text, want string }{
		"valid statements":            {"```go\nclient.Close()\nfor range 3 {\n\treturn err\n}\n```\n", ""},
		"a function, and its imports": {"```go\nfunc f() { log.Print(time.Now()) }\n```\n", ""},
		"a program":                   {"```go\npackage main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n```\n", ""},
		"in a list":                   {"- so:\n\n  ```go\n  client.Cloze()\n  ```\n", "a.md:4:"},
		"a bare return":               {"```go\nif err != nil {\n\treturn\n}\n```\n", ""},
		"no such method":              {"text\n\n```go\nclient.Close()\nclient.Cloze()\n```\n", "a.md:5:"},
		"no such field":               {"```go\n_ = holdfast.Config{Bass: 1}\n```\n", "a.md:2:"},
		"no Go":                       {"```go\nx := ...\n```\n", "a.md:2:"},
		"what nobody has":             {"```go\nin.Close()\n```\n", "a.md:2:"},
		"what is given":               {"<!-- given: var in io.Closer -->\n```go\nin.Close()\n```\n", ""},
		"two results for one":         {"```go\nvar x int = fmt.Sprint()\n```\n", "a.md:2:"},
	} {
		var got []string
		for _, b := range goBlocks("a.md", c.text) {
			got = append(got, b.compile(known)...)
		}
		if all := strings.Join(got, "\n"); (c.want == "") != (all == "") || !strings.HasPrefix(all, c.want) {
			t.Errorf("%s: problems are %q, want %q", name, got, c.want)
		}
	}
	b := goBlocks("a.md", "<!-- from: x.go -->\n```go\nf(1)\ng(2)\n```\n")[0]
	for source, want := range map[string]bool{"func h() {\n\tf(1)\n\tg(2)\n}\n": true, "\tf(1)\n\tg(3)\n": false, "\tf(1)\n\th()\n\tg(2)\n": false} {
		if b.from != "x.go" || b.isIn(source) != want {
			t.Errorf("%+v is in %q: %v", b, source, !want)
		}
	}
}

// The provider of docs/providers.md has forty lines, as the document claims.
func TestProviderInFortyLines(t *testing.T) {
	text, err := os.ReadFile(repository + "docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, b := range goBlocks("docs/providers.md", string(text)) {
		if !strings.Contains(b.code, "type Translator ") {
			continue
		}
		found = true
		if n := strings.Count(b.code, "\n"); n > 40 {
			t.Errorf("it has %d", n)
		}
	}
	if !found {
		t.Error("there is none")
	}
}

// documents returns the repository's documents by path.
func documents(t *testing.T) (docs []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "*/*/README.md"} {
		found, err := filepath.Glob(repository + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			docs = append(docs, strings.TrimPrefix(filepath.ToSlash(path), repository))
		}
	}
	return docs
}

// goBlock is a Go block in a document.
type goBlock struct {
	doc   string
	line  int // of the first line of code
	code  string
	given string // declarations of the context
	from  string // the quoted file

	fragment bool
}

var fenced = regexp.MustCompile("(?ms)^(?:<!-- (given|from|fragment)(?:: ([^\n]*?))? -->\n)?([ \t]*)```go\n(.*?)^[ \t]*```$")

func goBlocks(doc, text string) (blocks []goBlock) {
	for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
		part := func(i int) string {
			if at[2*i] < 0 {
				return ""
			}
			return text[at[2*i]:at[2*i+1]]
		}
		b := goBlock{doc: doc, line: 1 + strings.Count(text[:at[8]], "\n")}
		indent := part(3)
		for line := range strings.Lines(part(4)) {
			b.code += strings.TrimPrefix(line, indent)
		}
		switch part(1) {
		case "given":
			b.given = part(2)
		case "from":
			b.from = part(2)
		case "fragment":
			b.fragment = true
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// isIn reports whether a source has the block, with any indentation.
func (b goBlock) isIn(source string) bool {
	return strings.Contains(unindented(source), unindented(b.code))
}

func unindented(code string) string {
	var all strings.Builder
	for line := range strings.Lines(code) {
		all.WriteString(strings.TrimSpace(line) + "\n")
	}
	return all.String()
}

// usual has the declarations of every document.
var usual = map[string]string{
	"ctx":    "var ctx context.Context",
	"client": "var client *holdfast.Client",
	"err":    "var err error",
	"key":    "var key string",
	"req":    "var req *http.Request",
	"t":      "var t *testing.T",
}

// compile type-checks a block: as a file, as declarations, or as the statements
// of a function that returns an error or, with a bare return, nothing. Unused
// declarations are allowed.
func (b goBlock) compile(known packages) (problems []string) {
	fset := token.NewFileSet()
	at := fmt.Sprintf("//line %s:%d\n", b.doc, b.line)
	var file *ast.File
	var err error
	for _, form := range []string{at + "%s", "package docs\n" + at + "%s", "package docs\nfunc _() " + b.result() + "{\n" + at + "%s\npanic(0)\n}\n"} {
		if file, err = parser.ParseFile(fset, "block.go", fmt.Sprintf(form, b.code), parser.SkipObjectResolution); err == nil {
			break
		}
	}
	if err != nil {
		return []string{err.Error()}
	}
	files := []*ast.File{file}
	declared := names(file)
	var given strings.Builder
	for _, name := range slices.Sorted(maps.Keys(usual)) {
		if !declaredOutside(file)[name] && !strings.Contains(b.given, " "+name+" ") {
			given.WriteString(usual[name] + "\n")
		}
	}
	given.WriteString(b.given)
	more, err := parser.ParseFile(fset, "given.go", "package "+file.Name.Name+"\n"+given.String(), parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	maps.Copy(declared, names(more))
	files = append(files, more)
	for _, f := range files {
		known.imports(f, declared)
	}
	cfg := types.Config{
		Importer: importer.ForCompiler(fset, "gc", known.open),
		Error: func(err error) {
			var problem types.Error
			if errors.As(err, &problem) && !problem.Soft {
				problems = append(problems, err.Error())
			}
		},
	}
	_, _ = cfg.Check("docs", fset, files, nil) // Error has the errors
	return problems
}

// result returns the result type of the function around the block.
func (b goBlock) result() string {
	if bareReturn.MatchString(b.code) {
		return ""
	}
	return "error "
}

var bareReturn = regexp.MustCompile(`(?m)^\s*return$`)

// names returns all names that a file declares: a name before a dot that is not
// among them is a package.
func names(file *ast.File) map[string]bool {
	all := declaredOutside(file)
	for n := range ast.Preorder(file) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if id, ok := left.(*ast.Ident); ok && n.Tok == token.DEFINE {
					all[id.Name] = true
				}
			}
		case *ast.Field:
			for _, id := range n.Names {
				all[id.Name] = true
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				all[id.Name] = true
			}
		}
	}
	return all
}

// declaredOutside returns the names that a file declares outside of functions.
func declaredOutside(file *ast.File) map[string]bool {
	all := map[string]bool{}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				all[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					all[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range s.Names {
						all[id.Name] = true
					}
				}
			}
		}
	}
	return all
}

// packages are the packages that a document may use: their export data, by
// path, and their paths, by name.
type packages struct {
	exports map[string]string
	named   map[string]string
}

// knownPackages returns the public packages of this repository and all packages
// that they and these tests import.
func knownPackages(t *testing.T) packages {
	t.Helper()
	const root = "github.com/holdfast-go/holdfast"
	cmd := exec.Command("go", "list", "-test", "-deps", "-export", "-f", "{{.Name}}\t{{.ImportPath}}\t{{.Export}}",
		"./...", root, root+"/dashboard", root+"/dialect", root+"/fault", root+"/faultserver/...", root+"/provider/...", root+"/settings")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, said.Bytes())
	}
	p := packages{map[string]string{}, map[string]string{"rand": "math/rand/v2"}}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		name, path := fields[0], fields[1]
		if strings.Contains(path, " ") || fields[2] == "" {
			continue // a package with its tests
		}
		p.exports[path] = fields[2]
		if strings.Contains("/"+path, "/internal/") || strings.Contains("/"+path, "/vendor/") {
			continue
		}
		if known, ok := p.named[name]; !ok || name != "rand" && len(path) < len(known) {
			p.named[name] = path
		}
	}
	return p
}

func (p packages) open(path string) (io.ReadCloser, error) {
	export, ok := p.exports[path]
	if !ok {
		return nil, fmt.Errorf("%s is not among what test/integration imports", path)
	}
	return os.Open(export)
}

// imports adds the missing imports to a file.
func (p packages) imports(file *ast.File, declared map[string]bool) {
	has := map[string]bool{}
	for _, spec := range file.Imports {
		has[spec.Path.Value] = true
	}
	var decl ast.GenDecl
	for n := range ast.Preorder(file) {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || declared[id.Name] || p.named[id.Name] == "" {
			continue
		}
		path := fmt.Sprintf("%q", p.named[id.Name])
		if has[path] {
			continue
		}
		has[path] = true
		spec := &ast.ImportSpec{Path: &ast.BasicLit{Kind: token.STRING, Value: path, ValuePos: file.Package}}
		decl.Specs = append(decl.Specs, spec)
		file.Imports = append(file.Imports, spec)
	}
	if len(decl.Specs) > 0 {
		decl.Tok = token.IMPORT
		file.Decls = append([]ast.Decl{&decl}, file.Decls...)
	}
}
