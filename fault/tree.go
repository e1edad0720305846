package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// node is a JSON value that keeps the order of its keys and their repetitions,
// unlike a map.
type node struct {
	kind  kind
	text  string   // of a string, unquoted; of a number, bool or null, as written
	keys  []string // of an object, in order
	items []node   // of an object, one for each key; of an array
}

type kind byte

const (
	aNull kind = iota
	aBool
	aNumber
	aString
	anArray
	anObject
)

// String returns a short form for problems.
func (n node) String() string {
	switch n.kind {
	case anObject:
		return "an object"
	case anArray:
		return "a list"
	case aString:
		if len(n.text) > 40 {
			return strconv.Quote(n.text[:40] + "…")
		}
		return strconv.Quote(n.text)
	default:
		return n.text
	}
}

// parseTree reads one JSON value and rejects text after it.
func parseTree(data []byte) (node, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return node{}, syntaxError(data, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return parseNode(d)
}

// parseNode reads the next value. Its depth is bounded: encoding/json has
// already parsed the text.
func parseNode(d *json.Decoder) (node, error) {
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		n := node{kind: anArray}
		if t == '{' {
			n.kind = anObject
		}
		for d.More() {
			if n.kind == anObject {
				key, err := d.Token()
				if err != nil {
					return node{}, err
				}
				n.keys = append(n.keys, key.(string))
			}
			item, err := parseNode(d)
			if err != nil {
				return node{}, err
			}
			n.items = append(n.items, item)
		}
		_, err := d.Token() // the closing bracket
		return n, err
	case string:
		return node{kind: aString, text: t}, nil
	case json.Number:
		return node{kind: aNumber, text: t.String()}, nil
	case bool:
		return node{kind: aBool, text: strconv.FormatBool(t)}, nil
	default:
		return node{kind: aNull, text: "null"}, nil
	}
}

// syntaxError adds the line and column of a JSON syntax error.
func syntaxError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	before := data[:min(max(int(syntax.Offset)-1, 0), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %s", line, column, syntax.Error())
}
