package plans

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

// ParseYAML reads a plan from YAML and checks it. The error is a *YAMLError.
//
// It converts the YAML to JSON, so that fault.Parse is the only decoder, and adds the line
// and the column to its problems. It accepts the part of YAML that JSON can express: one
// document without aliases, tags and keys that are not text. Values such as yes, 0x1F and
// 2026-11-22 are text.
func ParseYAML(data []byte) (fault.Plan, error) {
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
		return fault.Plan{}, &YAMLError{c.problems}
	}
	plan, err := fault.Parse(c.out.Bytes())
	if malformed := (*fault.Error)(nil); errors.As(err, &malformed) {
		placed := &YAMLError{}
		for _, p := range malformed.Problems {
			at := locate(root, p.Path)
			placed.Problems = append(placed.Problems, PlacedProblem{p, at.Line, at.Column})
		}
		slices.SortStableFunc(placed.Problems, func(a, b PlacedProblem) int { return cmp.Compare(a.Line, b.Line) }) // in the order of the text
		return fault.Plan{}, placed
	}
	return plan, err
}

// YAMLError lists the problems of a plan in YAML, at least one.
type YAMLError struct{ Problems []PlacedProblem }

// PlacedProblem is a problem with its place in the text. Line is 0 if the place is unknown.
type PlacedProblem struct {
	fault.Problem
	Line, Column int
}

func (p PlacedProblem) String() string {
	if p.Line == 0 {
		return p.Problem.String()
	}
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Problem)
}

// Error has the layout of fault.Error.
func (e *YAMLError) Error() string {
	var placed fault.Error
	for _, p := range e.Problems {
		placed.Problems = append(placed.Problems, fault.Problem{Message: p.String()})
	}
	return placed.Error()
}

// yamlTree reads the only document of a text.
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
	return &YAMLError{[]PlacedProblem{{fault.Problem{Message: message}, line, column}}}
}

// yamlSyntax is the error of a text that is not YAML.
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

// yamlConverter converts nodes to JSON, and collects those that JSON cannot express.
type yamlConverter struct {
	out      bytes.Buffer
	problems []PlacedProblem
}

func (c *yamlConverter) addf(n *yaml.Node, format string, args ...any) {
	if len(c.problems) < fault.MaxProblems {
		c.problems = append(c.problems, PlacedProblem{fault.Problem{Message: fmt.Sprintf(format, args...)}, n.Line, n.Column})
	}
}

func (c *yamlConverter) node(n *yaml.Node) {
	if n.Style&yaml.TaggedStyle != 0 {
		c.addf(n, "the tag %s is not allowed: leave it out", n.Tag)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		c.addf(n, "the alias *%s is not allowed: write out its value", n.Value)
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

// mapping keeps repeated keys: the decoder reports them.
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
	default: // text, and numbers in a form that JSON does not have
		c.text(n.Value)
	}
}

func (c *yamlConverter) text(s string) {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("holdfast: a text that is not JSON: " + err.Error())
	}
	c.out.Write(quoted)
}

// locate finds the node of a problem's path. If the path is missing, it is the nearest
// node that exists.
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

// step goes one step along the path: to the key and the value of a mapping, or to the item
// of a list, which is both. A key may contain dots. Of equal keys it takes the last, which
// is the one that the decoder reports.
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
