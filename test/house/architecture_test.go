package house

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/core/call"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

const architecture = "../../ARCHITECTURE.md"

// TestArchitecture draws the pictures of ARCHITECTURE.md from the code: the layers
// from the table of this package and the packages' own first sentences, an
// operation's way from a run of call.Run. After a change that is meant:
//
//	go test ./test/house -run TestArchitecture -update
func TestArchitecture(t *testing.T) {
	page, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	drawn := string(page)
	for name, picture := range map[string]string{"layers": drawLayers(t), "order": drawOrder(t)} {
		if drawn, err = replaceBlock(drawn, name, picture); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(architecture, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if drawn != string(page) {
		t.Errorf("the pictures differ from the code:\n%s", drawn)
	}
}

// replaceBlock replaces the code block below the comment <!-- name -->.
func replaceBlock(page, name, block string) (string, error) {
	mark := "<!-- " + name + " -->\n```text\n"
	before, rest, ok := strings.Cut(page, mark)
	_, after, ended := strings.Cut(rest, "```\n")
	if !ok || !ended {
		return "", fmt.Errorf("ARCHITECTURE.md has no block %s", name)
	}
	return before + mark + block + "```\n" + after, nil
}

// drawLayers draws a line for each package. The packages of the command line are one.
func drawLayers(t *testing.T) string {
	var b strings.Builder
	for layer, pkgs := range slices.Backward(layers) {
		if pkgs = slices.DeleteFunc(slices.Clone(pkgs), func(p string) bool { return strings.HasPrefix(p, "cmd/holdfast/") }); len(pkgs) == 0 {
			continue
		}
		slices.Sort(pkgs)
		for i, pkg := range pkgs {
			number := "  "
			if i == 0 {
				number = fmt.Sprintf("%2d", layer)
			}
			fmt.Fprintf(&b, "%s  %-*s  %s\n", number, 28, strings.Replace(pkg, ".", "holdfast (the root)", 1), synopsis(t, pkg))
		}
	}
	return b.String()
}

// synopsis is the first sentence of a package's comment, without the package's name.
func synopsis(t *testing.T, pkg string) string {
	dir := filepath.Join("../..", pkg)
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Doc == nil {
			continue
		}
		text := new(doc.Package).Synopsis(parsed.Doc.Text())
		for _, prefix := range []string{"Package " + parsed.Name.Name + " ", "Command " + parsed.Name.Name + " "} {
			text = strings.TrimPrefix(text, prefix)
		}
		return strings.TrimSuffix(text, ".")
	}
	t.Errorf("%s has no package comment", pkg)
	return ""
}

// drawOrder draws what call.Run asks for, in five operations.
func drawOrder(t *testing.T) string {
	ok, failed := outcome.Result{Outcome: outcome.Success}, outcome.Result{Outcome: outcome.Transient}
	var b strings.Builder
	for _, op := range []struct {
		name string
		recorder
	}{
		{"success", recorder{ends: []outcome.Result{ok}}},
		{"one retry", recorder{ends: []outcome.Result{failed, ok}}},
		{"retries exhausted", recorder{ends: []outcome.Result{failed, failed}}},
		{"rejected", recorder{rejects: true}},
		{"opened meanwhile", recorder{ends: []outcome.Result{failed}, opens: true}},
	} {
		d := call.Run(&op.recorder, &retry.Config{Retries: 1, Jitter: retry.None, Base: time.Second, Max: time.Second}, false)
		line := fmt.Sprintf("%-18s", op.name)
		for _, step := range append(op.steps, "["+d.Why.String()+"]") {
			if utf8.RuneCountInString(lastLine(line))+len(step) > 100 {
				line += "\n" + strings.Repeat(" ", 18)
			}
			line += " " + step
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// recorder records the effects of an operation.
type recorder struct {
	steps   []string
	ends    []outcome.Result
	rejects bool // the breaker does, at once
	opens   bool // the breaker does, during the backoff
	made    int
}

func (r *recorder) step(s string) { r.steps = append(r.steps, s) }

func (r *recorder) Ended() time.Time          { return time.Time{} }
func (r *recorder) Chance() float64           { return 0 }
func (r *recorder) Deadline() time.Time       { return time.Time{} }
func (r *recorder) Admit() bool               { r.step("Admit"); return !r.rejects }
func (r *recorder) Admits(time.Time) bool     { r.step("Admits"); return true }
func (r *recorder) Confirm() bool             { r.step("Confirm"); return !r.opens || r.made == 0 }
func (r *recorder) Probe() bool               { return false }
func (r *recorder) Settle(o outcome.Outcome)  { r.step("Settle(" + o.String() + ")") }
func (r *recorder) Note(outcome.Outcome) bool { r.step("Note"); return false }
func (r *recorder) Cooldown() retry.Reason    { r.step("Cooldown"); return retry.Go }
func (r *recorder) CoolingDown() bool         { r.step("CoolingDown"); return false }
func (r *recorder) Acquire() retry.Reason     { r.step("Acquire"); return retry.Go }
func (r *recorder) Release()                  { r.step("Release") }

func (r *recorder) Attempt(n int) outcome.Result {
	r.step(fmt.Sprintf("Attempt(%d)", n))
	r.made = n
	return r.ends[n-1]
}

func (r *recorder) Backoff(retry.Decision) retry.Reason {
	r.step("Backoff")
	return retry.Go
}

// TestWalk checks the list of functions through which a request passes: each exists
// in its file, and no file is entered more than three times from others. The order
// and its effects, which call each other, count as one stay.
func TestWalk(t *testing.T) {
	page, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(page), "<!-- walk -->\n```text\n")
	block, _, ended := strings.Cut(block, "```\n")
	if !ok || !ended {
		t.Fatal("ARCHITECTURE.md has no block walk")
	}
	entered, callers := map[string]int{}, []string{} // the files of the callers, by depth
	row := regexp.MustCompile(`^((?:  )*)([\w.]+) +([\w/]+\.go)$`)
	for line := range strings.Lines(block) {
		m := row.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || len(m[1])/2 > len(callers) {
			t.Fatalf("no function and file, below its caller: %q", line)
		}
		depth, name, file := len(m[1])/2, m[2], m[3]
		if !declares(t, file, name) {
			t.Errorf("%s does not declare %s", file, name)
		}
		callers = append(callers[:depth], file)
		const order = "internal/core/call/call.go"
		if depth == 0 || callers[depth-1] != file && callers[depth-1] != order {
			entered[file]++
		}
	}
	if len(entered) < 10 {
		t.Errorf("the walk enters %d files only", len(entered))
	}
	for file, times := range entered {
		if times > 3 {
			t.Errorf("the walk enters %s %d times, want at most 3", file, times)
		}
	}
}

// declares reports whether a file has the function or method: f or T.f.
func declares(t *testing.T, file, name string) bool {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", file), nil, 0)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		full := f.Name.Name
		if f.Recv != nil {
			of := f.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if id, ok := of.(*ast.Ident); ok {
				full = id.Name + "." + full
			}
		}
		if full == name {
			return true
		}
	}
	return false
}
