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

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
)

// ParseYAML reads a plan from YAML and checks it. The error is a *YAMLError.
//
// It converts the YAML to JSON, so that fault.Parse is the only decoder, and adds the line
// and the column to its problems. It accepts the part of YAML that JSON can express: one
// document without directives, aliases, tags and keys that are not text. Values such as yes,
// 0x1F and 2026-11-22 are text. Time and memory are linear in the length of the text.
func ParseYAML(data []byte) (fault.Plan, error) {
	if len(data) > fault.MaxPlanBytes {
		return fault.Plan{}, tooLarge(int64(len(data)))
	}
	root, err := yamlTree(data)
	if err != nil {
		return fault.Plan{}, err
	}
	var c yamlConverter
	c.node(root, 1)
	if len(c.problems) > 0 {
		return fault.Plan{}, &YAMLError{c.problems}
	}
	plan, err := fault.Parse(c.out.Bytes())
	if malformed := (*fault.Error)(nil); errors.As(err, &malformed) {
		placed, l := &YAMLError{}, locator{}
		for _, p := range malformed.Problems {
			at := l.locate(root, p.Path)
			placed.Problems = append(placed.Problems, PlacedProblem{p, at.Line, at.Column})
		}
		slices.SortStableFunc(placed.Problems, func(a, b PlacedProblem) int { return cmp.Compare(a.Line, b.Line) }) // in the order of the text
		return fault.Plan{}, placed
	}
	return plan, err
}

// Limits of a plan in YAML, beside its length. Plans are far below them.
const (
	maxYAMLDepth = 64   // lists and mappings within each other
	maxYAMLKey   = 1024 // bytes of a key
)

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
	line := 0
	for text := range bytes.Lines(data) { // many directives take the parser quadratic time
		if line++; text[0] == '%' {
			return nil, yamlProblem(line, 1, "a line that begins with % is a directive, which is not allowed: leave it out")
		}
	}
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
		return yamlProblem(0, 0, excerpt(err.Error(), 200))
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ": " + message
	}
	return yamlProblem(load.Mark.Line, load.Mark.Column, excerpt(message, 200))
}

// yamlConverter converts nodes to JSON, and collects those that JSON cannot express.
type yamlConverter struct {
	out      bytes.Buffer
	problems []PlacedProblem
	full     bool // out is longer than a plan may be
}

func (c *yamlConverter) addf(n *yaml.Node, format string, args ...any) {
	if len(c.problems) < fault.MaxProblems {
		c.problems = append(c.problems, PlacedProblem{fault.Problem{Message: fmt.Sprintf(format, args...)}, n.Line, n.Column})
	}
}

// node converts a node, which is within depth-1 others.
func (c *yamlConverter) node(n *yaml.Node, depth int) {
	switch {
	case c.full:
		return
	case c.out.Len() > fault.MaxPlanBytes:
		c.full = true
		c.addf(n, "the plan is too long: written as JSON, it has more than %d bytes up to here", fault.MaxPlanBytes)
		return
	case n.Style&yaml.TaggedStyle != 0:
		c.addf(n, "the tag %s is not allowed: leave it out", excerpt(n.Tag, 40))
		return
	case depth > maxYAMLDepth && n.Kind != yaml.ScalarNode:
		c.addf(n, "is nested more than %d levels deep", maxYAMLDepth)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		c.addf(n, "the alias *%s is not allowed: write out its value", excerpt(n.Value, 40))
	case yaml.MappingNode:
		c.mapping(n, depth)
	case yaml.SequenceNode:
		c.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				c.out.WriteByte(',')
			}
			c.node(item, depth+1)
		}
		c.out.WriteByte(']')
	default:
		c.scalar(n)
	}
}

// mapping keeps repeated keys: the decoder reports them.
func (c *yamlConverter) mapping(n *yaml.Node, depth int) {
	c.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			c.out.WriteByte(',')
		}
		switch key := n.Content[i]; {
		case key.Kind != yaml.ScalarNode:
			c.addf(key, "a key must be text")
			c.text("")
		case len(key.Value) > maxYAMLKey:
			c.addf(key, "a key has %d bytes, at most %d are allowed", len(key.Value), maxYAMLKey)
			c.text("")
		default:
			c.text(key.Value)
		}
		c.out.WriteByte(':')
		c.node(n.Content[i+1], depth+1)
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

// excerpt is the printable beginning of a text.
func excerpt(s string, columns int) string { return format.Truncate(format.Printable(s), columns) }

// locator finds the nodes of problems. It has the positions of the keys of each mapping on
// the way, so that a thousand problems in a long mapping do not each search it.
type locator map[*yaml.Node]map[string]int

// locate finds the node of a problem's path. If the path is missing, it is the nearest
// node that exists.
func (l locator) locate(n *yaml.Node, path string) *yaml.Node {
	at := n
	for path != "" {
		key, value, rest := l.step(n, path)
		if key == nil {
			break
		}
		at, n, path = key, value, rest
	}
	return at
}

// step goes one step along the path: to the key and the value of a mapping, or to the item
// of a list, which is both. A key may contain dots: the longest one is taken. Of equal keys
// it takes the last, which is the one that the decoder reports.
func (l locator) step(n *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	switch n.Kind {
	case yaml.MappingNode:
		keys := l.keys(n)
		for end := min(len(path), maxYAMLKey); end >= 0; end-- {
			tail := path[end:]
			if tail != "" && tail[0] != '.' && tail[0] != '[' {
				continue
			}
			if i, ok := keys[path[:end]]; ok {
				return n.Content[i], n.Content[i+1], strings.TrimPrefix(tail, ".")
			}
		}
	case yaml.SequenceNode:
		number, tail, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(number); ok && err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i], strings.TrimPrefix(tail, ".")
		}
	}
	return nil, nil, ""
}

// keys are the positions of the keys of a mapping.
func (l locator) keys(n *yaml.Node) map[string]int {
	keys, ok := l[n]
	if !ok {
		keys = make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			keys[n.Content[i].Value] = i
		}
		l[n] = keys
	}
	return keys
}
