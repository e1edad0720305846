package house

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
)

// TestPlantedSource gives the file rules one wrong text at a time, and similar
// texts that are right.
func TestPlantedSource(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             []string
	}{
		// layers
		{"a core imports a handle", "internal/core/retry/x.go",
			"package retry\nimport _ \"github.com/holdfast-go/holdfast/internal/engine\"\n",
			[]string{"internal/core/retry/x.go:2: imports internal/engine of layer 3 from layer 1: import only from lower layers"}},
		{"a core imports a package of its layer", "internal/core/breaker/x.go",
			"package breaker\nimport _ \"github.com/holdfast-go/holdfast/fault\"\n",
			[]string{"internal/core/breaker/x.go:2: imports fault of layer 1 from layer 1: import only from lower layers"}},
		{"the fault server imports the root", "faultserver/x.go",
			"package faultserver\nimport _ \"github.com/holdfast-go/holdfast\"\n",
			[]string{"faultserver/x.go:2: imports . of layer 4 from layer 4: import only from lower layers"}},
		{"the root imports an unlayered package", "x.go",
			"package holdfast\nimport _ \"github.com/holdfast-go/holdfast/test/integration/kit\"\n",
			[]string{fmt.Sprintf("x.go:2: imports test/integration/kit of layer %d from layer 4: import only from lower layers", len(layers))}},
		{"a test imports every package", "internal/core/retry/x_test.go",
			"package retry\nimport _ \"github.com/holdfast-go/holdfast/faultserver\"\n", nil},
		{"so does an unlayered package", "test/integration/kit/x.go",
			"package kit\nimport (\n_ \"github.com/holdfast-go/holdfast\"\n_ \"github.com/holdfast-go/holdfast/benchmarks\"\n)\n", nil},
		{"lower layers may be imported", "x.go",
			"package holdfast\nimport (\n_ \"net/http\"\n_ \"github.com/holdfast-go/holdfast/internal/wire\"\n_ \"github.com/holdfast-go/holdfast/internal/outcome\"\n)\n", nil},
		{"another module has a similar name", "fault/x.go",
			"package fault\nimport _ \"github.com/holdfast-go/holdfastly/faultserver\"\n", nil},

		// pure packages
		{"a core uses the clock under another name, without a call", "internal/core/cooldown/x.go",
			"package cooldown\nimport clock \"time\"\nvar now = clock.Now\n",
			[]string{"internal/core/cooldown/x.go:3: uses time.Now: a pure package gets the time as an argument"}},
		{"a fault plan imports a random source and the network", "fault/x.go",
			"package fault\nimport (\n_ \"math/rand/v2\"\n_ \"net/http\"\n)\n",
			[]string{
				"fault/x.go:3: imports math/rand/v2: a pure package has no clock, lock, context, network or random source",
				"fault/x.go:4: imports net/http: a pure package has no clock, lock, context, network or random source",
			}},
		{"a core starts a goroutine", "internal/core/call/x.go",
			"package call\nfunc f() {\n\tgo f()\n}\n",
			[]string{"internal/core/call/x.go:3: starts a goroutine: a pure package only decides"}},
		{"durations, times and similar names are allowed", "internal/core/cooldown/x.go",
			"package cooldown\nimport (\n\"time\"\n_ \"netip\"\n)\ntype T struct{ After, Now time.Time }\nfunc (t T) f(now time.Time) bool { return t.After.After(now.Add(time.Second)) }\n", nil},
		{"a test of a core may", "internal/core/cooldown/x_test.go",
			"package cooldown\nimport (\n_ \"sync\"\n\"time\"\n)\nvar start = time.Now()\n", nil},
		{"a package name begins like that of a pure package", "faultserver/x.go",
			"package faultserver\nimport (\n_ \"sync\"\n\"time\"\n)\nvar start = time.Now()\n", nil},

		// worldly packages
		{"the engine starts a timer", "internal/engine/x.go",
			"package engine\nimport (\n\"sync\"\n\"time\"\n)\nvar mu sync.Mutex\nvar timer = time.NewTimer(time.Second)\n",
			[]string{"internal/engine/x.go:7: uses time.NewTimer: a worldly package gets the time from its World"}},
		{"a context uses the clock under another name", "internal/lazyctx/x.go",
			"package lazyctx\nimport clock \"time\"\nfunc f(t clock.Time) bool { return clock.Until(t) > 0 }\n",
			[]string{"internal/lazyctx/x.go:3: uses time.Until: a worldly package gets the time from its World"}},
		{"the engine imports random sources", "internal/engine/x.go",
			"package engine\nimport (\n_ \"crypto/rand\"\n_ \"math/rand/v2\"\n)\n",
			[]string{
				"internal/engine/x.go:3: imports crypto/rand: a worldly package gets random numbers from its World",
				"internal/engine/x.go:4: imports math/rand/v2: a worldly package gets random numbers from its World",
			}},
		{"the engine starts a timer by a context, and a goroutine", "internal/engine/x.go",
			"package engine\nimport \"context\"\nfunc f(ctx context.Context) {\n_, _ = context.WithTimeout(ctx, 1)\ngo f(ctx)\n}\n",
			[]string{
				"internal/engine/x.go:4: uses context.WithTimeout, which starts a timer: use a lazyctx.Context",
				"internal/engine/x.go:5: starts a goroutine: use World.Go",
			}},
		{"the engine uses its World", "internal/engine/x.go",
			"package engine\nimport \"github.com/holdfast-go/holdfast/internal/world\"\nfunc f(w world.World) { w.Go(func() { w.Now() }) }\n", nil},
		{"a test of the engine may read the clock", "internal/engine/x_test.go",
			"package engine\nimport \"time\"\nvar start = time.Now()\n", nil},
		{"the World may read the clock", "internal/world/x.go",
			"package world\nimport \"time\"\nvar start = time.Now()\n", nil},
		{"the root reads the clock and imports a random source", "x.go",
			"package holdfast\nimport (\n_ \"math/rand/v2\"\n\"time\"\n)\nvar start = time.Now()\n",
			[]string{
				"x.go:3: imports math/rand/v2: a worldly package gets random numbers from its World",
				"x.go:6: uses time.Now: a worldly package gets the time from its World",
			}},
		{"a round trip starts a timer", "internal/wire/x.go",
			"package wire\nimport \"time\"\nvar timer = time.AfterFunc(1, func() {})\n",
			[]string{"internal/wire/x.go:3: uses time.AfterFunc: a worldly package gets the time from its World"}},
		{"a package below the root may read the clock", "settings/x.go",
			"package settings\nimport \"time\"\nvar start = time.Now()\n", nil},

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
			[]string{"x_test.go:2: bubble has the name of a bubble maker, but calls neither synctest.Test nor another bubble maker"}},
		{"a test sleeps right after synctest.Wait", "x_test.go",
			"package holdfast\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() {\nsynctest.Wait()\ntime.Sleep(1)\ntime.Sleep(1)\n}\n",
			[]string{"x_test.go:9: uses time.Sleep in real time: wait inside synctest.Test, or pass the time as an argument"}},
		{"a timeout is no sleep", "x_test.go",
			"package holdfast\nimport \"time\"\nfunc f(c chan int) {\nselect {\ncase <-c:\ncase <-time.After(1):\n}\n}\n", nil},

		// skipping
		{"a test and a benchmark skip", "x_test.go",
			"package holdfast\nimport \"testing\"\nfunc TestX(t *testing.T) {\nt.Skip(\"later\")\n}\nfunc help(tb testing.TB) {\ntb.SkipNow()\n}\n",
			[]string{
				"x_test.go:4: skips with t.Skip: a test runs or fails",
				"x_test.go:7: skips with tb.SkipNow: a test runs or fails",
			}},
		{"a skip of another type", "x_test.go",
			"package holdfast\nimport \"testing\"\nfunc TestX(t *testing.T) { var lexer interface{ Skip() }; lexer.Skip() }\n", nil},

		// files
		{"a dot import", "x_test.go", "package holdfast\nimport . \"time\"\n",
			[]string{"x_test.go:2: imports \"time\" with a dot: name the package at each use"}},
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

// TestPlantedClocks checks each function that reads the clock, and each package that
// a pure package must not import.
func TestPlantedClocks(t *testing.T) {
	for _, name := range []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"} {
		s, err := parse("internal/outcome/x.go", ".", "package outcome\nimport \"time\"\nvar _ = time."+name+"\n")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, pureStaysPure(s), []string{"internal/outcome/x.go:3: uses time." + name + ": a pure package gets the time as an argument"})
		s.path = "internal/engine/x.go"
		expect(t, worldlyUsesItsWorld(s), []string{"internal/engine/x.go:3: uses time." + name + ": a worldly package gets the time from its World"})
	}
	for _, name := range []string{"sync", "sync/atomic", "context", "net", "net/netip", "os", "os/signal", "math/rand", "math/rand/v2", "crypto/rand"} {
		s, err := parse("internal/core/limit/x.go", ".", "package limit\nimport _ \""+name+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, pureStaysPure(s), []string{"internal/core/limit/x.go:2: imports " + name + ": a pure package has no clock, lock, context, network or random source"})
	}
}

func TestPlantedGoMod(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing but a comment", "module m\n\ngo 1.26 // require nothing\n// replace nothing\n", nil},
		{"one line", "module m\n\nrequire example.com/a v1.0.0\n",
			[]string{"go.mod:3: has a require line: code that needs another module belongs in a nested module"}},
		{"a block and a replace", "module m\nrequire (\n\texample.com/a v1.0.0\n)\nreplace example.com/a => ../a\n",
			[]string{
				"go.mod:2: has a require line: code that needs another module belongs in a nested module",
				"go.mod:5: has a replace line: code that needs another module belongs in a nested module",
			}},
		{"a block without a space", "module m\nrequire(\n\texample.com/a v1.0.0\n)\n",
			[]string{"go.mod:2: has a require line: code that needs another module belongs in a nested module"}},
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

// TestPlantedTree checks whole repositories: a clean one has no problem, and each
// planted file causes one.
func TestPlantedTree(t *testing.T) {
	clean := map[string]string{
		"go.mod":                   "module github.com/holdfast-go/holdfast\n\ngo 1.26\n",
		"go.work":                  "go 1.26\nuse (\n.\n./benchmarks\n)\n",
		"Makefile":                 "MODULES := . benchmarks\n",
		"doc.go":                   "// Package holdfast holds.\npackage holdfast\n",
		"x.go":                     "package holdfast\n",
		"benchmarks/go.mod":        "module github.com/holdfast-go/holdfast/benchmarks\n",
		"benchmarks/main.go":       "// Command benchmarks measures.\npackage main\n\nimport _ \"testing\"\n",
		"test/house/house_test.go": "// Package house checks.\npackage house\n",
		"tools/go.mod":             "module github.com/holdfast-go/holdfast/tools\n",
		"testdata/broken.go":       "this is not Go",
		".cache/go.mod":            "module hidden\n",
	}
	tests := []struct{ name, path, text, want string }{
		{"nothing", "x.go", clean["x.go"], ""},
		{"a package without a layer", "util/x.go", "// Package util helps.\npackage util\n",
			"util: has no layer: add it to the table in test/house/layers_test.go"},
		{"a package of tests without a layer", "check/x_test.go", "// Package check helps.\npackage check\n",
			"check: has no layer: add it to the table in test/house/layers_test.go"},
		{"a module that go.work does not list", "go.work", "go 1.26\nuse .\n",
			"go.work: does not name module benchmarks: add it to its use list"},
		{"a requirement", "go.mod", "module github.com/holdfast-go/holdfast\nrequire example.com/a v1.0.0\n",
			"go.mod:2: has a require line: code that needs another module belongs in a nested module"},
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
