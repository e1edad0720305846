package tidy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPlantedSource gives the file rules one wrong text at a time, and beside
// each the right one that it is easily mistaken for.
func TestPlantedSource(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             []string
	}{
		// floors
		{"a core imports a shell", "internal/core/retry/x.go",
			"package retry\nimport _ \"github.com/holdfast-go/holdfast/internal/shell\"\n",
			[]string{"internal/core/retry/x.go:2: imports internal/shell of floor 3 from floor 1: only floors below may be imported"}},
		{"a core imports its neighbour", "internal/core/breaker/x.go",
			"package breaker\nimport _ \"github.com/holdfast-go/holdfast/fault\"\n",
			[]string{"internal/core/breaker/x.go:2: imports fault of floor 1 from floor 1: only floors below may be imported"}},
		{"the fault server imports the root", "faultserver/x.go",
			"package faultserver\nimport _ \"github.com/holdfast-go/holdfast\"\n",
			[]string{"faultserver/x.go:2: imports . of floor 4 from floor 4: only floors below may be imported"}},
		{"the root imports the attic", "x.go",
			"package holdfast\nimport _ \"github.com/holdfast-go/holdfast/internal/integration/kit\"\n",
			[]string{"x.go:2: imports internal/integration/kit of floor " + strconv.Itoa(len(floors)) + " from floor 4: only floors below may be imported"}},
		{"a test looks wherever it likes", "internal/core/retry/x_test.go",
			"package retry\nimport _ \"github.com/holdfast-go/holdfast/faultserver\"\n", nil},
		{"so does the attic", "internal/integration/kit/x.go",
			"package kit\nimport (\n_ \"github.com/holdfast-go/holdfast\"\n_ \"github.com/holdfast-go/holdfast/benchmarks\"\n)\n", nil},
		{"downwards is free", "x.go",
			"package holdfast\nimport (\n_ \"net/http\"\n_ \"github.com/holdfast-go/holdfast/internal/wire\"\n_ \"github.com/holdfast-go/holdfast/internal/outcome\"\n)\n", nil},
		{"another module of a similar name is not ours", "fault/x.go",
			"package fault\nimport _ \"github.com/holdfast-go/holdfastly/faultserver\"\n", nil},

		// pure rooms
		{"a core reads the clock under another name, and keeps the function", "internal/core/pause/x.go",
			"package pause\nimport clock \"time\"\nvar now = clock.Now\n",
			[]string{"internal/core/pause/x.go:3: uses time.Now: a pure room gets the time as an argument"}},
		{"a fault plan makes a number of chance and asks the network", "fault/x.go",
			"package fault\nimport (\n_ \"math/rand/v2\"\n_ \"net/http\"\n)\n",
			[]string{
				"fault/x.go:3: imports math/rand/v2: a pure room has no clock, lock, context, network or chance of its own",
				"fault/x.go:4: imports net/http: a pure room has no clock, lock, context, network or chance of its own",
			}},
		{"a core starts a goroutine", "internal/core/call/x.go",
			"package call\nfunc f() {\n\tgo f()\n}\n",
			[]string{"internal/core/call/x.go:3: starts a goroutine: a pure room decides, its shell acts"}},
		{"durations, instants and names like the banned ones are fine", "internal/core/pause/x.go",
			"package pause\nimport (\n\"time\"\n_ \"netip\"\n)\ntype T struct{ After, Now time.Time }\nfunc (t T) f(now time.Time) bool { return t.After.After(now.Add(time.Second)) }\n", nil},
		{"the test of a core and the fault server may", "internal/core/pause/x_test.go",
			"package pause\nimport (\n_ \"sync\"\n\"time\"\n)\nvar start = time.Now()\n", nil},
		{"a room whose name begins like a pure one", "faultserver/x.go",
			"package faultserver\nimport (\n_ \"sync\"\n\"time\"\n)\nvar start = time.Now()\n", nil},

		// testing
		{"a library file imports testing", "faultserver/x.go",
			"package faultserver\nimport (\n_ \"testing\"\n_ \"testing/synctest\"\n)\n",
			[]string{
				"faultserver/x.go:3: imports testing outside a test: take an interface with the methods it needs",
				"faultserver/x.go:4: imports testing/synctest outside a test: take an interface with the methods it needs",
			}},
		{"a nested module may", "benchmarks/x.go", "package main\nimport _ \"testing\"\n", nil},

		// waiting
		{"a test sleeps beside its bubble", "x_test.go",
			"package holdfast\nimport (\n\"testing\"\n\"testing/synctest\"\n\"time\"\n)\nfunc TestX(t *testing.T) {\n" +
				"synctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() })\ntime.Sleep(1)\n}\n",
			[]string{"x_test.go:9: uses time.Sleep in real time: wait inside synctest.Test, or pass the time as an argument"}},
		{"a test sleeps by another name", "x_test.go",
			"package holdfast\nimport \"time\"\nfunc f() {\n<-time.After(1)\n}\n",
			[]string{"x_test.go:4: sleeps on time.After in real time: wait inside synctest.Test, or pass the time as an argument"}},
		{"a test sleeps in a bubble that a helper makes", "x_test.go",
			"package holdfast\nimport \"time\"\nfunc f() {\nbubble(t, func() { time.Sleep(1) })\nelse_(t, func() { time.Sleep(1) })\n}\n",
			[]string{"x_test.go:5: uses time.Sleep in real time: wait inside synctest.Test, or pass the time as an argument"}},
		{"a helper that makes no bubble", "x_test.go",
			"package holdfast\nfunc bubble(f func()) { f() }\nfunc ways(f func()) { bubble(f) }\n",
			[]string{"x_test.go:2: bubble is a bubble maker by name, and calls neither synctest.Test nor another"}},
		{"a test sleeps where it can only be in a bubble", "x_test.go",
			"package holdfast\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() {\nsynctest.Wait()\ntime.Sleep(1)\ntime.Sleep(1)\n}\n",
			[]string{"x_test.go:9: uses time.Sleep in real time: wait inside synctest.Test, or pass the time as an argument"}},
		{"a time limit is no sleep", "x_test.go",
			"package holdfast\nimport \"time\"\nfunc f(c chan int) {\nselect {\ncase <-c:\ncase <-time.After(1):\n}\n}\n", nil},

		// skipping
		{"a test and a benchmark skip", "x_test.go",
			"package holdfast\nimport \"testing\"\nfunc TestX(t *testing.T) {\nt.Skip(\"later\")\n}\nfunc help(tb testing.TB) {\ntb.SkipNow()\n}\n",
			[]string{
				"x_test.go:4: skips with t.Skip: a test runs or fails",
				"x_test.go:7: skips with tb.SkipNow: a test runs or fails",
			}},
		{"something else skips", "x_test.go",
			"package holdfast\nimport \"testing\"\nfunc TestX(t *testing.T) { var lexer interface{ Skip() }; lexer.Skip() }\n", nil},

		// files
		{"a dot import", "x_test.go", "package holdfast\nimport . \"time\"\n",
			[]string{"x_test.go:2: imports \"time\" with a dot: name the package at each use"}},
		{"one line too many", "x.go", "package holdfast\n" + strings.Repeat("\n", maxLines),
			[]string{"x.go: has 801 lines, more than 800: split it by idea"}},
		{"exactly full", "x.go", "package holdfast\n" + strings.Repeat("\n", maxLines-1), nil},
		{"generated", "x.go", "// Code generated by hand. DO NOT EDIT.\n\npackage holdfast\n" + strings.Repeat("\n", maxLines), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.path, moduleOf(tt.path, []string{".", "benchmarks"}), tt.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []problem
			for _, rule := range fileRules {
				got = append(got, rule(s)...)
			}
			expect(t, got, tt.want)
		})
	}
}

// TestPlantedClocks: each way to ask the clock is seen, and each package that a
// pure room may not import.
func TestPlantedClocks(t *testing.T) {
	for _, name := range []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"} {
		s, err := parse("internal/outcome/x.go", ".", "package outcome\nimport \"time\"\nvar _ = time."+name+"\n")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, pureStaysPure(s), []string{"internal/outcome/x.go:3: uses time." + name + ": a pure room gets the time as an argument"})
	}
	for _, name := range []string{"sync", "sync/atomic", "context", "net", "net/netip", "os", "os/signal", "math/rand", "math/rand/v2", "crypto/rand"} {
		s, err := parse("internal/core/limit/x.go", ".", "package limit\nimport _ \""+name+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, pureStaysPure(s), []string{"internal/core/limit/x.go:2: imports " + name + ": a pure room has no clock, lock, context, network or chance of its own"})
	}
}

func TestPlantedGoMod(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing but a comment", "module m\n\ngo 1.26 // require nothing\n// replace nothing\n", nil},
		{"one line", "module m\n\nrequire example.com/a v1.0.0\n",
			[]string{"go.mod:3: has a require line: what needs another module lives in a module of its own"}},
		{"a block and a replace", "module m\nrequire (\n\texample.com/a v1.0.0\n)\nreplace example.com/a => ../a\n",
			[]string{
				"go.mod:2: has a require line: what needs another module lives in a module of its own",
				"go.mod:5: has a replace line: what needs another module lives in a module of its own",
			}},
		{"a block without a space", "module m\nrequire(\n\texample.com/a v1.0.0\n)\n",
			[]string{"go.mod:2: has a require line: what needs another module lives in a module of its own"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, rootRequiresNothing("go.mod", tt.text), tt.want) })
	}
}

func TestPlantedModules(t *testing.T) {
	modules := []string{".", "benchmarks", "tools"}
	tests := []struct {
		name, work, makefile string
		want                 []string
	}{
		{"all named", "go 1.26\nuse (\n\t. // the root\n\t./benchmarks\n)\n", "MODULES := . benchmarks\n", nil},
		{"one by one", "go 1.26\nuse .\nuse ./benchmarks\n", "MODULES := . benchmarks\n", nil},
		{"forgotten in go.work", "use (\n\t.\n\t// ./benchmarks\n)\nreplace x => ./benchmarks\n", "MODULES := . benchmarks\n",
			[]string{"go.work: does not name module benchmarks: add it to its use list"}},
		{"forgotten in the Makefile", "use (\n\t.\n\t./benchmarks\n)\n", "MODULES := .\n# benchmarks\n",
			[]string{"Makefile: does not name module benchmarks: add it to its MODULES list"}},
		{"named, but gone", "use (\n\t.\n\t./benchmarks\n\t./gone\n)\n", "MODULES := . benchmarks gone\n",
			[]string{
				"Makefile: names module gone, which has no go.mod",
				"go.work: names module gone, which has no go.mod",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, modulesAreListed(modules, tt.work, tt.makefile), tt.want) })
	}
}

// TestPlantedTree goes the whole way from a tree of files: a clean one gives
// nothing, and each planted file gives its one problem.
func TestPlantedTree(t *testing.T) {
	clean := map[string]string{
		"go.mod":                     "module github.com/holdfast-go/holdfast\n\ngo 1.26\n",
		"go.work":                    "go 1.26\nuse (\n.\n./benchmarks\n)\n",
		"Makefile":                   "MODULES := . benchmarks\n",
		"doc.go":                     "// Package holdfast holds.\npackage holdfast\n",
		"x.go":                       "package holdfast\n",
		"benchmarks/go.mod":          "module github.com/holdfast-go/holdfast/benchmarks\n",
		"benchmarks/main.go":         "// Command benchmarks measures.\npackage main\n\nimport _ \"testing\"\n",
		"internal/tidy/tidy_test.go": "// Package tidy tidies.\npackage tidy\n",
		"tools/go.mod":               "module github.com/holdfast-go/holdfast/tools\n",
		"testdata/broken.go":         "this is not Go",
		".cache/go.mod":              "module hidden\n",
	}
	tests := []struct{ name, path, text, want string }{
		{"nothing", "x.go", clean["x.go"], ""},
		{"a room without a floor", "util/x.go", "// Package util is a drawer.\npackage util\n",
			"util: has no floor: add it to the table in internal/tidy/floors_test.go"},
		{"a room of tests without a floor", "check/x_test.go", "// Package check is a drawer.\npackage check\n",
			"check: has no floor: add it to the table in internal/tidy/floors_test.go"},
		{"no package comment", "doc.go", "//go:build go1.26\n\n//lint:file-ignore U1000 not yet\npackage holdfast\n",
			".: has no package comment"},
		{"a package comment only in a test", "internal/tidy/x.go", "package tidy\n",
			"internal/tidy: has no package comment"},
		{"a module that nobody lists", "go.work", "go 1.26\nuse .\n",
			"go.work: does not name module benchmarks: add it to its use list"},
		{"a requirement", "go.mod", "module github.com/holdfast-go/holdfast\nrequire example.com/a v1.0.0\n",
			"go.mod:2: has a require line: what needs another module lives in a module of its own"},
		{"testing in the root module", "x.go", "package holdfast\n\nimport _ \"testing\"\n",
			"x.go:3: imports testing outside a test: take an interface with the methods it needs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := make(fstest.MapFS)
			for path, text := range clean {
				tree[path] = &fstest.MapFile{Data: []byte(text)}
			}
			tree[tt.path] = &fstest.MapFile{Data: []byte(tt.text)}
			repo, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			expect(t, repo.check(), want)
		})
	}
}

func expect(t *testing.T, problems []problem, want []string) {
	t.Helper()
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprint(p))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
