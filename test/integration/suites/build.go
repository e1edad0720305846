package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

//go:embed through/through.go
var throughGo []byte

const (
	holdfastPath = "github.com/holdfast-go/holdfast"
	throughPath  = "holdfast.suites/through"
	addedFile    = "zz_holdfast_test.go"
)

// patch replaces text that occurs once in a file.
type patch struct {
	file     string
	old, new string
}

func (p patch) apply(src []byte) ([]byte, error) {
	if n := bytes.Count(src, []byte(p.old)); n != 1 {
		return nil, fmt.Errorf("%s has %d times, want once: %q", p.file, n, p.old)
	}
	return bytes.Replace(src, []byte(p.old), []byte(p.new), 1), nil
}

// hooked makes http.Client ask HoldfastHook for its RoundTripper.
var hooked = patch{
	file: "net/http/client.go",
	old: `	if c.Transport != nil {
		return c.Transport
	}
	return DefaultTransport
}
`,
	new: `	if c.Transport != nil {
		return HoldfastThrough(c.Transport)
	}
	return HoldfastThrough(DefaultTransport)
}

var HoldfastHook func(RoundTripper) RoundTripper

func HoldfastThrough(rt RoundTripper) RoundTripper {
	if HoldfastHook == nil {
		return rt
	}
	return HoldfastHook(rt)
}
`,
}

// program is a compiled test program of one package.
type program struct {
	pkg  string
	path string
	dir  string // in which it runs
}

// workshop makes the programs.
type workshop struct {
	root    string // of holdfast
	dir     string
	goroot  string
	builds  int
	overlay map[string]string // of every suite
}

func newWorkshop(ctx context.Context, root, dir string, builds int) (*workshop, error) {
	w := &workshop{builds: builds, overlay: map[string]string{}}
	var err error
	if w.root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if w.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	goroot, err := w.command(ctx, w.root, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	w.goroot = strings.TrimSpace(string(goroot))
	if err := w.patchStd(hooked, w.overlay); err != nil {
		return nil, err
	}
	mod := fmt.Sprintf("module %s\n\ngo 1.26.0\n\nrequire %s v0.0.0\n", throughPath, holdfastPath)
	if err := write(filepath.Join(w.dir, "through", "go.mod"), []byte(mod)); err != nil {
		return nil, err
	}
	return w, write(filepath.Join(w.dir, "through", "through.go"), throughGo)
}

// patchStd adds a patched file of the standard library to an overlay.
func (w *workshop) patchStd(p patch, overlay map[string]string) error {
	name := filepath.Join(w.goroot, "src", filepath.FromSlash(p.file))
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if src, err = p.apply(src); err != nil {
		return err
	}
	to := filepath.Join(w.dir, "std", filepath.FromSlash(p.file))
	overlay[name] = to
	return write(to, src)
}

// build downloads a suite and compiles its test programs.
func (w *workshop) build(ctx context.Context, s suite) ([]program, error) {
	dir := filepath.Join(w.dir, strings.NewReplacer("/", "_", ".", "_", " ", "_").Replace(s.Name))
	if s.Module == "" {
		return w.buildStd(ctx, s, dir)
	}
	src := filepath.Join(dir, "src")
	if err := w.copyModule(ctx, s, src); err != nil {
		return nil, err
	}
	for _, p := range s.patches {
		name := filepath.Join(src, filepath.FromSlash(p.file))
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if text, err = p.apply(text); err != nil {
			return nil, err
		}
		if err := write(name, text); err != nil {
			return nil, err
		}
	}
	version, err := w.goVersion(ctx, src)
	if err != nil {
		return nil, err
	}
	if _, err := w.command(ctx, src, "mod", "edit", "-go=1.26.0", "-godebug=default=go"+version,
		"-require="+holdfastPath+"@v0.0.0", "-replace="+holdfastPath+"="+w.root,
		"-require="+throughPath+"@v0.0.0", "-replace="+throughPath+"="+filepath.Join(w.dir, "through")); err != nil {
		return nil, err
	}
	packages, err := w.list(ctx, src, s.Packages)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		if err := write(filepath.Join(p.Dir, addedFile), setter(p.Name, throughPath)); err != nil {
			return nil, err
		}
	}
	return w.compile(ctx, src, dir, packages, w.overlay)
}

// buildStd compiles packages of the standard library. Their tests cannot import a
// module, so the overlay adds holdfast to the standard library.
func (w *workshop) buildStd(ctx context.Context, s suite, dir string) ([]program, error) {
	overlay := map[string]string{}
	for name, to := range w.overlay {
		overlay[name] = to
	}
	for _, p := range s.patches {
		if err := w.patchStd(p, overlay); err != nil {
			return nil, err
		}
	}
	add := func(importPath, file string, src []byte) error {
		src = bytes.ReplaceAll(src, []byte(`"`+holdfastPath), []byte(`"holdfast`))
		to := filepath.Join(dir, "std", filepath.FromSlash(importPath), file)
		overlay[filepath.Join(w.goroot, "src", filepath.FromSlash(importPath), file)] = to
		return write(to, src)
	}
	deps, err := w.command(ctx, w.root, "list", "-deps", "-json=ImportPath,Dir,GoFiles,SFiles,Standard", ".")
	if err != nil {
		return nil, err
	}
	parts, err := decode(deps)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Standard {
			continue
		}
		for _, file := range append(p.GoFiles, p.SFiles...) {
			src, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			if err := add("holdfast"+strings.TrimPrefix(p.ImportPath, holdfastPath), file, src); err != nil {
				return nil, err
			}
		}
	}
	if err := add("holdfastthrough", "through.go", throughGo); err != nil {
		return nil, err
	}
	packages, err := w.list(ctx, w.root, s.Packages)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		name := p.Name
		if p.ImportPath == "net/http" { // holdfast imports it
			name += "_test"
		}
		if err := add(p.ImportPath, addedFile, setter(name, "holdfastthrough")); err != nil {
			return nil, err
		}
	}
	return w.compile(ctx, w.root, dir, packages, overlay)
}

// setter is the file that sets the hook in a test program.
func setter(pkg, throughPath string) []byte {
	return fmt.Appendf(nil, `package %s

import (
	holdfastHTTP "net/http"

	holdfastThrough %q
)

func init() { holdfastHTTP.HoldfastHook = holdfastThrough.Hook() }
`, pkg, throughPath)
}

// listed is what the go command tells of a package.
type listed struct {
	ImportPath, Dir, Name                      string
	Standard                                   bool
	GoFiles, SFiles, TestGoFiles, XTestGoFiles []string
}

func decode(list []byte) (all []listed, err error) {
	for d := json.NewDecoder(bytes.NewReader(list)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// list returns the packages that have tests.
func (w *workshop) list(ctx context.Context, dir string, patterns []string) ([]listed, error) {
	args := append([]string{"list", "-mod=mod", "-json=ImportPath,Dir,Name,TestGoFiles,XTestGoFiles"}, patterns...)
	found, err := w.command(ctx, dir, args...)
	if err != nil {
		return nil, err
	}
	all, err := decode(found)
	if err != nil {
		return nil, err
	}
	var tested []listed
	for _, p := range all {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			tested = append(tested, p)
		}
	}
	return tested, nil
}

func (w *workshop) compile(ctx context.Context, src, dir string, packages []listed, overlay map[string]string) ([]program, error) {
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return nil, err
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := write(overlayFile, text); err != nil {
		return nil, err
	}
	var programs []program
	for i, p := range packages {
		file := filepath.Join(dir, fmt.Sprintf("%d_%s.test", i, path.Base(p.ImportPath)))
		if _, err := w.command(ctx, src, "test", "-c", "-mod=mod", "-vet=off", fmt.Sprintf("-p=%d", w.builds),
			"-overlay="+overlayFile, "-o="+file, p.ImportPath); err != nil {
			return nil, err
		}
		programs = append(programs, program{p.ImportPath, file, p.Dir})
	}
	return programs, nil
}

// copyModule copies a downloaded module, without the files that a build would not
// expect in a main module.
func (w *workshop) copyModule(ctx context.Context, s suite, to string) error {
	found, err := w.command(ctx, w.dir, "mod", "download", "-json", s.Module+"@"+s.Version)
	if err != nil {
		return err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(found, &m); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	folders := s.folders
	if folders == nil {
		folders = []string{"."}
	}
	for _, f := range folders {
		from, to := filepath.Join(m.Dir, f), filepath.Join(to, f)
		if info, err := os.Stat(from); err != nil {
			return err
		} else if !info.IsDir() {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if err := write(to, text); err != nil {
				return err
			}
		} else if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return err
		}
	}
	// The module cache is read-only, and so are its copies.
	if err := filepath.WalkDir(to, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(name, 0o755)
		}
		return os.Chmod(name, 0o644)
	}); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(to, "vendor"))
}

// goVersion returns the version of Go that a module asks for, without the patch. holdfast
// needs a newer one, but the module keeps the behaviour of its own.
func (w *workshop) goVersion(ctx context.Context, dir string) (string, error) {
	text, err := w.command(ctx, dir, "mod", "edit", "-json")
	if err != nil {
		return "", err
	}
	var m struct{ Go string }
	if err := json.Unmarshal(text, &m); err != nil {
		return "", err
	}
	parts := strings.SplitN(cmp.Or(m.Go, "1.20"), ".", 3)
	if len(parts) < 2 {
		return "", fmt.Errorf("%s asks for Go %q", dir, m.Go)
	}
	return parts[0] + "." + parts[1], nil
}

// command runs the go command and returns what it prints.
func (w *workshop) command(ctx context.Context, dir string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

func write(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
