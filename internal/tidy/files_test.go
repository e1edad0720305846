package tidy

import (
	"fmt"
	"go/ast"
	"strings"
)

// maxLines bounds a hand-written file. Files are split by idea, and an idea
// with its comments rarely takes 400 lines; at twice that a file has begun to
// know everything, long before the thousands at which it can't be split any
// more. A table of test timelines fits too.
const maxLines = 800

func fileSize(s source) []problem {
	lines := strings.Count(s.text, "\n")
	if lines <= maxLines || ast.IsGenerated(s.file) {
		return nil
	}
	return []problem{{path: s.path, text: fmt.Sprintf("has %d lines, more than %d: split it by idea", lines, maxLines)}}
}

// roomIsExplained: a package says what it is for, in a file that is not a test
// unless it has nothing but tests.
func roomIsExplained(room string, sources []source) []problem {
	testsOnly := true
	for _, s := range sources {
		testsOnly = testsOnly && s.isTest()
	}
	for _, s := range sources {
		// Text leaves out directives, which are comments to a tool.
		if s.isTest() == testsOnly && s.file.Doc.Text() != "" {
			return nil
		}
	}
	return []problem{{path: room, text: "has no package comment"}}
}
