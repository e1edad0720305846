package house

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write api/*.txt anew")

// public maps each package that users import to the file with its API as text.
var public = map[string]string{
	".":                   "holdfast.txt",
	"dialect":             "dialect.txt",
	"fault":               "fault.txt",
	"faultserver":         "faultserver.txt",
	"otelholdfast":        "otelholdfast.txt",
	"promholdfast":        "promholdfast.txt",
	"provider/bedrock":    "provider-bedrock.txt",
	"provider/mixedbread": "provider-mixedbread.txt",
	"provider/ollama":     "provider-ollama.txt",
	"settings":            "settings.txt",
}

// TestAPI compares the exported API with api/*.txt, so that a review sees every
// change. After an intended change:
//
//	go test ./test/house -run TestAPI -update
func TestAPI(t *testing.T) {
	for pkg, file := range public {
		got, err := apiOf(filepath.Join("../..", pkg))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join("../../api", file)
		if *update {
			if err := os.WriteFile(at, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(at)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, line := range apart(want, got) {
			t.Errorf("api/%s: %s", file, line)
		}
	}
}

// TestPlantedAPI makes changes and expects one line for each.
func TestPlantedAPI(t *testing.T) {
	const before = "func Do(n int) error\n\ntype T struct {\n\tA int\n}\n"
	for name, c := range map[string]struct{ after, want string }{
		"nothing":             {before, ""},
		"a function is gone":  {strings.Replace(before, "func Do(n int) error\n", "", 1), "gone: func Do(n int) error"},
		"a field is new":      {strings.Replace(before, "A int", "A int\n\tB int", 1), "new: \tB int"},
		"a field moves":       {before + "\nfunc Do(n int) error\n", "the same lines in another order, or another number of times"},
		"a parameter changes": {strings.Replace(before, "n int", "n uint", 1), "gone: func Do(n int) error new: func Do(n uint) error"},
	} {
		if got := strings.Join(apart([]byte(before), []byte(c.after)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// apart returns the lines that only one of two texts has.
func apart(want, got []byte) (lines []string) {
	was, is := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for _, l := range was {
		if !slices.Contains(is, l) {
			lines = append(lines, "gone: "+l)
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			lines = append(lines, "new: "+l)
		}
	}
	if len(lines) == 0 && !bytes.Equal(want, got) {
		lines = append(lines, "the same lines in another order, or another number of times")
	}
	return lines
}

// apiOf prints the exported declarations of a package, ordered by name, without
// comments and function bodies.
func apiOf(dir string) ([]byte, error) {
	fset := token.NewFileSet()
	entries, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, path := range entries {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	decl := func(d ast.Decl) {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
		if err == nil {
			err = format.Node(&out, fset, d)
		}
		fmt.Fprint(&out, "\n\n")
	}
	values := func(vs []*doc.Value) {
		for _, v := range vs {
			decl(v.Decl)
		}
	}
	funcs := func(fs []*doc.Func) {
		for _, f := range fs {
			decl(f.Decl)
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs)
	for _, t := range pkg.Types {
		decl(t.Decl)
		values(t.Consts)
		values(t.Vars)
		funcs(t.Funcs)
		funcs(t.Methods)
	}
	return bytes.TrimSpace(out.Bytes()), err
}
