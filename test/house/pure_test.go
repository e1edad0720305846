package house

import (
	"go/ast"
	"slices"
	"strings"
)

// pure rooms, and the folders in them, get time and chance as arguments and
// leave waiting, locking and the network to the floors above. That is what
// lets one and the same code run in production, in an enumeration and under a
// clock that runs backwards.
var pure = []string{"internal/core", "internal/frame", "internal/outcome", "internal/setting", "fault"}

// clockReaders are the members of package time that ask the clock or start a timer.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// impure packages are named with the folders below them: "net" is net/http too.
var impure = []string{"context", "crypto/rand", "math/rand", "net", "os", "sync"}

// worldly rooms may lock, wait and start goroutines, but take time, chance and
// waiting from a world.World: the same code runs in production and in virtual time.
var worldly = []string{"internal/engine", "internal/lazyctx", "internal/virtual"}

// chance is what a worldly room may not import.
var chance = []string{"crypto/rand", "math/rand"}

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
			ps = append(ps, s.problem(at, "imports %s: a pure room has no clock, lock, context, network or chance of its own", imported))
		}
	}
	for _, sel := range s.uses("time", clockReaders...) {
		ps = append(ps, s.problem(sel.Pos(), "uses time.%s: a pure room gets the time as an argument", sel.Sel.Name))
	}
	for n := range ast.Preorder(s.file) {
		if g, ok := n.(*ast.GoStmt); ok {
			ps = append(ps, s.problem(g.Pos(), "starts a goroutine: a pure room decides, its handle acts"))
		}
	}
	return ps
}

func worldlyAsksItsWorld(s source) []problem {
	if s.isTest() || !isUnder(s.path, worldly) {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		if isUnder(imported, chance) {
			ps = append(ps, s.problem(at, "imports %s: ask the World for chance", imported))
		}
	}
	for _, sel := range s.uses("time", clockReaders...) {
		ps = append(ps, s.problem(sel.Pos(), "uses time.%s: ask the World", sel.Sel.Name))
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

// testingStaysInTests: importing testing registers flags in every program that
// imports the library. Helpers for users' tests take a small local interface.
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

// dotImports take the package's name off every use, and with it the way the
// other rules and a reader recognise one.
func dotImports(s source) []problem {
	var ps []problem
	for _, spec := range s.file.Imports {
		if spec.Name != nil && spec.Name.Name == "." {
			ps = append(ps, s.problem(spec.Pos(), "imports %s with a dot: name the package at each use", spec.Path.Value))
		}
	}
	return ps
}
