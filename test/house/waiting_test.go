package house

import (
	"go/ast"
	"go/token"
	"slices"
)

// bubbleMakers are test helpers that run their function literals in a bubble. The
// declaration of one must call synctest.Test or another bubble maker.
var bubbleMakers = []string{"bothProtocols", "bothProtocolsInStreams", "bubble", "bubbled", "everyPath", "linesAndEvents", "symptom"}

// testsDoNotSleep forbids sleeps in real time: such a test is slow on a quiet
// machine and wrong on a busy one. A sleep in a synctest bubble is exact and takes
// no time. So a sleep is allowed in function literals of synctest.Test or a bubble
// maker, and right after synctest.Wait, which panics outside of a bubble. A receive
// from time.After is a sleep if it is a statement, and a timeout in a select.
func testsDoNotSleep(s source) []problem {
	if !s.isTest() {
		return nil
	}
	bubbles := bubblesOf(s)
	inBubble := func(n ast.Node) bool {
		return slices.ContainsFunc(bubbles, func(b ast.Node) bool { return b.Pos() <= n.Pos() && n.End() <= b.End() })
	}
	var ps []problem
	for _, sel := range s.uses("time", "Sleep") {
		if !inBubble(sel) {
			ps = append(ps, s.problem(sel.Pos(), "uses time.Sleep in real time: wait inside synctest.Test, or pass the time as an argument"))
		}
	}
	afters := s.uses("time", "After")
	for n := range ast.Preorder(s.file) {
		if at, ok := bareAfter(n, afters); ok && !inBubble(n) {
			ps = append(ps, s.problem(at, "sleeps on time.After in real time: wait inside synctest.Test, or pass the time as an argument"))
		}
	}
	for _, decl := range s.file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && slices.Contains(bubbleMakers, f.Name.Name) && !slices.ContainsFunc(calls(f.Body), makesBubble(s)) {
			ps = append(ps, s.problem(f.Pos(), "%s has the name of a bubble maker, but calls neither synctest.Test nor another bubble maker", f.Name.Name))
		}
	}
	return ps
}

// bubblesOf finds the code that certainly runs in a bubble.
func bubblesOf(s source) []ast.Node {
	var bubbles []ast.Node
	for _, call := range calls(s.file) {
		if !makesBubble(s)(call) {
			continue
		}
		for _, arg := range call.Args {
			if lit, ok := arg.(*ast.FuncLit); ok {
				bubbles = append(bubbles, lit)
			}
		}
	}
	waits := s.uses("testing/synctest", "Wait")
	for n := range ast.Preorder(s.file) {
		block, ok := n.(*ast.BlockStmt)
		if !ok {
			continue
		}
		for i, stmt := range block.List[:max(0, len(block.List)-1)] {
			if x, ok := stmt.(*ast.ExprStmt); ok && slices.ContainsFunc(waits, func(w *ast.SelectorExpr) bool { return x.Pos() == w.Pos() }) {
				bubbles = append(bubbles, block.List[i+1])
			}
		}
	}
	return bubbles
}

// makesBubble recognises calls that run their function literals in a bubble.
func makesBubble(s source) func(*ast.CallExpr) bool {
	tests := s.uses("testing/synctest", "Test")
	return func(call *ast.CallExpr) bool {
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			return slices.Contains(tests, f)
		case *ast.Ident:
			return slices.Contains(bubbleMakers, f.Name)
		}
		return false
	}
}

func calls(in ast.Node) (all []*ast.CallExpr) {
	for n := range ast.Preorder(in) {
		if call, ok := n.(*ast.CallExpr); ok {
			all = append(all, call)
		}
	}
	return all
}

// bareAfter recognises the statement <-time.After(d) outside a select.
func bareAfter(n ast.Node, afters []*ast.SelectorExpr) (token.Pos, bool) {
	var list []ast.Stmt
	switch n := n.(type) {
	case *ast.BlockStmt:
		list = n.List
	case *ast.CaseClause:
		list = n.Body
	case *ast.CommClause:
		list = n.Body // without Comm, where a timeout stands
	}
	for _, stmt := range list {
		x, ok := stmt.(*ast.ExprStmt)
		if !ok {
			continue
		}
		receive, ok := x.X.(*ast.UnaryExpr)
		if !ok || receive.Op != token.ARROW {
			continue
		}
		if call, ok := receive.X.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(afters, sel) {
				return stmt.Pos(), true
			}
		}
	}
	return token.NoPos, false
}

// testsDoNotSkip forbids skipped tests: they check nothing. make test installs the
// programs that the tests need, or stops and names those that are missing.
func testsDoNotSkip(s source) []problem {
	if !s.isTest() {
		return nil
	}
	receivers := make(map[string]bool)
	for _, typ := range s.uses("testing", "T", "B", "F", "TB") {
		for n := range ast.Preorder(s.file) {
			if field, ok := n.(*ast.Field); ok && field.Type.Pos() <= typ.Pos() && typ.End() == field.Type.End() {
				for _, name := range field.Names {
					receivers[name.Name] = true
				}
			}
		}
	}
	var ps []problem
	for n := range ast.Preorder(s.file) {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			continue
		}
		if x, ok := sel.X.(*ast.Ident); ok && receivers[x.Name] {
			ps = append(ps, s.problem(sel.Pos(), "skips with %s.%s: a test runs or fails", x.Name, sel.Sel.Name))
		}
	}
	return ps
}
