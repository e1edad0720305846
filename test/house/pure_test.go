package house

import (
	"go/ast"
	"slices"
	"strings"
)

// pure packages, and the packages below them, get the time and random numbers as
// arguments. They do not wait, lock or use the network. So the same code runs in
// production, in enumerations of all interleavings and in virtual time.
var pure = []string{"internal/core", "internal/fifo", "internal/frame", "internal/outcome", "internal/setting", "fault"}

// clockReaders are the members of package time that read the clock or start a timer.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// impure packages include the packages below them: "net" includes net/http.
var impure = []string{"context", "crypto/rand", "math/rand", "net", "os", "sync"}

// worldly packages may lock, wait and start goroutines, but only by a world.World,
// which also gives them the time and random numbers. So the same code runs in
// production and in virtual time. The root is named without the packages below it.
var worldly = []string{".", "internal/engine", "internal/lazyctx", "internal/virtual", "internal/wire"}

// randomSources must not be imported by worldly packages.
var randomSources = []string{"crypto/rand", "math/rand"}

// deadlines are the members of package context that start a timer.
var deadlines = []string{"WithDeadline", "WithDeadlineCause", "WithTimeout", "WithTimeoutCause"}

func isUnder(p string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return p == top || strings.HasPrefix(p, top+"/") })
}

func pureStaysPure(s source) []problem {
	if s.isTest() || !isUnder(s.path, pure) {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		if isUnder(imported, impure) {
			ps = append(ps, s.problem(at, "imports %s: a pure package has no clock, lock, context, network or random source", imported))
		}
	}
	for _, sel := range s.uses("time", clockReaders...) {
		ps = append(ps, s.problem(sel.Pos(), "uses time.%s: a pure package gets the time as an argument", sel.Sel.Name))
	}
	for n := range ast.Preorder(s.file) {
		if g, ok := n.(*ast.GoStmt); ok {
			ps = append(ps, s.problem(g.Pos(), "starts a goroutine: a pure package only decides"))
		}
	}
	return ps
}

// worldlyUsesItsWorld checks that worldly packages use no other source of time,
// timers, random numbers and goroutines.
func worldlyUsesItsWorld(s source) []problem {
	if s.isTest() || !isUnder(s.pkg(), worldly) {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		if isUnder(imported, randomSources) {
			ps = append(ps, s.problem(at, "imports %s: a worldly package gets random numbers from its World", imported))
		}
	}
	for _, sel := range s.uses("time", clockReaders...) {
		ps = append(ps, s.problem(sel.Pos(), "uses time.%s: a worldly package gets the time from its World", sel.Sel.Name))
	}
	for _, sel := range s.uses("context", deadlines...) {
		ps = append(ps, s.problem(sel.Pos(), "uses context.%s, which starts a timer: use a lazyctx.Context", sel.Sel.Name))
	}
	for n := range ast.Preorder(s.file) {
		if g, ok := n.(*ast.GoStmt); ok {
			ps = append(ps, s.problem(g.Pos(), "starts a goroutine: use World.Go"))
		}
	}
	return ps
}

// testingStaysInTests forbids package testing outside of tests: it would register
// flags in every program that imports the library. Helpers for users' tests take a
// small interface.
func testingStaysInTests(s source) []problem {
	if s.isTest() || s.module != "." {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		if isUnder(imported, []string{"testing"}) {
			ps = append(ps, s.problem(at, "imports %s outside a test: take an interface with the methods it needs", imported))
		}
	}
	return ps
}

// dotImports forbids dot imports: they hide the package of each use from the other
// rules and from readers.
func dotImports(s source) []problem {
	var ps []problem
	for _, spec := range s.file.Imports {
		if spec.Name != nil && spec.Name.Name == "." {
			ps = append(ps, s.problem(spec.Pos(), "imports %s with a dot: name the package at each use", spec.Path.Value))
		}
	}
	return ps
}
