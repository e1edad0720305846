package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/holdfast-go/holdfast/fault"
)

// A plan in YAML is read as a tree of nodes and written as the JSON that it
// stands for, which fault.Parse then judges: there is one decoder, with one
// opinion. What it says is wrong gets its line and column from the tree.
//
// Taken is the part of YAML that JSON can say: no aliases, tags or keys that are
// not text, and one document. yes, 0x1F and 2026-11-22 are text, as they look.

// parseYAML reads a plan from YAML and checks it. The error is a *yamlError.
func parseYAML(data []byte) (fault.Plan, error) {
	if len(data) > fault.MaxPlanBytes {
		return fault.Plan{}, tooLarge(int64(len(data)))
	}
	root, err := yamlTree(data)
	if err != nil {
		return fault.Plan{}, err
	}
	var c yamlConverter
	c.node(root)
	if len(c.problems) > 0 {
		return fault.Plan{}, &yamlError{c.problems}
	}
	plan, err := fault.Parse(c.out.Bytes())
	if malformed := (*fault.Error)(nil); errors.As(err, &malformed) {
		placed := &yamlError{}
		for _, p := range malformed.Problems {
			at := locate(root, p.Path)
			placed.problems = append(placed.problems, placedProblem{p, at.Line, at.Column})
		}
		slices.SortStableFunc(placed.problems, func(a, b placedProblem) int { return cmp.Compare(a.line, b.line) }) // as one reads
		return fault.Plan{}, placed
	}
	return plan, err
}

// yamlError is what is wrong with a plan in YAML, never nothing.
type yamlError struct{ problems []placedProblem }

// placedProblem is a problem with its place in the text; line 0 is nowhere.
type placedProblem struct {
	fault.Problem
	line, column int
}

func (p placedProblem) String() string {
	if p.line == 0 {
		return p.Problem.String()
	}
	return fmt.Sprintf("line %d, column %d: %s", p.line, p.column, p.Problem)
}

// Error is laid out as a fault.Error is.
func (e *yamlError) Error() string {
	if len(e.problems) == 1 {
		return "fault plan: " + e.problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fault plan: %d problems", len(e.problems))
	for _, p := range e.problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// yamlTree reads the one document of a text.
func yamlTree(data []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, yamlSyntax(err)
	}
	var document, another yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		return nil, yamlProblem(1, 1, "is empty; a plan in which nothing goes wrong is {}")
	case err != nil:
		return nil, yamlSyntax(err)
	}
	switch err := loader.Load(&another); {
	case err == nil:
		return nil, yamlProblem(another.Line, another.Column, "a second document begins: a plan is one")
	case !errors.Is(err, io.EOF):
		return nil, yamlSyntax(err)
	}
	return document.Content[0], nil
}

func yamlProblem(line, column int, message string) error {
	return &yamlError{[]placedProblem{{fault.Problem{Message: message}, line, column}}}
}

// yamlSyntax says where the text stops being YAML.
func yamlSyntax(err error) error {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return yamlProblem(0, 0, err.Error())
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ": " + message
	}
	return yamlProblem(load.Mark.Line, load.Mark.Column, message)
}

// yamlConverter writes JSON, and notes what JSON cannot say.
type yamlConverter struct {
	out      bytes.Buffer
	problems []placedProblem
}

func (c *yamlConverter) addf(n *yaml.Node, format string, args ...any) {
	if len(c.problems) < fault.MaxProblems {
		c.problems = append(c.problems, placedProblem{fault.Problem{Message: fmt.Sprintf(format, args...)}, n.Line, n.Column})
	}
}

func (c *yamlConverter) node(n *yaml.Node) {
	if n.Style&yaml.TaggedStyle != 0 {
		c.addf(n, "the tag %s is not taken here: leave it out", n.Tag)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		c.addf(n, "the alias *%s is not taken here: write out what it stands for", n.Value)
	case yaml.MappingNode:
		c.mapping(n)
	case yaml.SequenceNode:
		c.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				c.out.WriteByte(',')
			}
			c.node(item)
		}
		c.out.WriteByte(']')
	default:
		c.scalar(n)
	}
}

// mapping keeps a key that comes twice: that is for the decoder to say.
func (c *yamlConverter) mapping(n *yaml.Node) {
	c.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			c.out.WriteByte(',')
		}
		if key := n.Content[i]; key.Kind == yaml.ScalarNode {
			c.text(key.Value)
		} else {
			c.addf(key, "a key must be text")
			c.text("")
		}
		c.out.WriteByte(':')
		c.node(n.Content[i+1])
	}
	c.out.WriteByte('}')
}

func (c *yamlConverter) scalar(n *yaml.Node) {
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		c.out.WriteString("null")
	case tag == "!!bool":
		c.out.WriteString(strings.ToLower(n.Value))
	case (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)):
		c.out.WriteString(n.Value)
	default: // text, and the numbers that JSON does not know
		c.text(n.Value)
	}
}

func (c *yamlConverter) text(s string) {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("holdfast: a text that is no JSON: " + err.Error())
	}
	c.out.Write(quoted)
}

// locate finds the place that a problem's path names, or the one nearest to it
// that the text has: what is missing is missing there.
func locate(n *yaml.Node, path string) *yaml.Node {
	at := n
	for path != "" {
		key, value, rest := step(n, path)
		if key == nil {
			break
		}
		at, n, path = key, value, rest
	}
	return at
}

// step goes one step along the path: to the key and the value, or twice to the
// item of a list. A key may hold dots, and of equal keys the last is meant: the
// one too many.
func step(n *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	switch n.Kind {
	case yaml.MappingNode:
		best := -1
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			tail, ok := strings.CutPrefix(path, k.Value)
			if !ok || tail != "" && tail[0] != '.' && tail[0] != '[' || len(k.Value) < best {
				continue
			}
			best = len(k.Value)
			key, value, rest = k, n.Content[i+1], strings.TrimPrefix(tail, ".")
		}
	case yaml.SequenceNode:
		number, tail, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(number); ok && err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i], strings.TrimPrefix(tail, ".")
		}
	}
	return key, value, rest
}
