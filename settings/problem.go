package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something that is wrong with a setting.
type Problem struct {
	// Path is the place in the file, "providers.ollama.base_url"; empty for the
	// file as a whole.
	Path string
	// Variable is the environment variable, if the value is from there and not from
	// the file.
	Variable string
	// Message shows the value, unless it may be a credential, and what is allowed.
	Message string
}

// String gives "providers.mixedbread.retry.base_delay: -5s must be positive, …".
func (p Problem) String() string {
	if where := cmp.Or(p.Variable, p.Path); where != "" {
		return where + ": " + p.Message
	}
	return p.Message
}

// Error is the error of [Load] for invalid settings. It has every problem, at least one
// and at most a hundred.
type Error struct {
	// File is the settings file, empty if there is none.
	File     string
	Problems []Problem
}

// maxProblems bounds Error.Problems, since a file of a megabyte can have a hundred
// thousand.
const maxProblems = 100

// Error gives a heading, and a line for each problem.
func (e *Error) Error() string {
	count := "1 problem"
	if n := len(e.Problems); n != 1 {
		count = fmt.Sprintf("%d problems", n)
	}
	where := e.File
	ofVariable := func(p Problem) bool { return p.Variable != "" }
	if slices.ContainsFunc(e.Problems, ofVariable) {
		where = "the environment"
		if slices.ContainsFunc(e.Problems, func(p Problem) bool { return !ofVariable(p) }) {
			where = e.File + " and the environment"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "holdfast: %s in %s", count, where)
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// problems collects them.
type problems []Problem

func (ps *problems) addf(path, format string, args ...any) {
	ps.add(Source{Setting: path}, fmt.Sprintf(format, args...))
}

// add adds a problem of a value that is from there.
func (ps *problems) add(from Source, message string) {
	switch n := len(*ps); {
	case n < maxProblems:
		*ps = append(*ps, Problem{from.Setting, from.Variable, message})
	case n == maxProblems:
		*ps = append(*ps, Problem{Message: "and more that are not listed"})
	}
}
