package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// object is a JSON object that keeps the order of its keys, and keys that come
// twice. A map has neither. The other values are those of encoding/json: string,
// json.Number, bool, []any and nil.
type object struct {
	keys   []string
	values []any
}

// parse reads one JSON value and nothing after it.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, syntaxError(data, err)
	}
	r := reader{d: json.NewDecoder(bytes.NewReader(data))}
	r.d.UseNumber()
	return r.next(), r.err
}

// reader reads token by token. After an error it reads nothing.
type reader struct {
	d   *json.Decoder
	err error
}

func (r *reader) token() (token json.Token) {
	if r.err == nil {
		token, r.err = r.d.Token()
	}
	return token
}

func (r *reader) more() bool { return r.err == nil && r.d.More() }

// next reads the next value. encoding/json has read the whole text before, and
// bounds its depth.
func (r *reader) next() any {
	switch token := r.token(); token {
	case json.Delim('{'):
		var o object
		for r.more() {
			key, _ := r.token().(string)
			o.keys, o.values = append(o.keys, key), append(o.values, r.next())
		}
		r.token() // the closing bracket
		return o
	case json.Delim('['):
		var list []any
		for r.more() {
			list = append(list, r.next())
		}
		r.token()
		return list
	default:
		return token
	}
}

// syntaxError adds the line and the column of the error.
func syntaxError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	before := data[:min(max(int(syntax.Offset)-1, 0), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// shown is a value as problems have it, shortened.
func shown(v any) string {
	switch v := v.(type) {
	case object:
		return "an object"
	case []any:
		return "a list"
	case string:
		return quoted(v)
	case json.Number:
		return brief(v.String())
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

func quoted(s string) string { return strconv.Quote(brief(s)) }

// label is a key within a path. It is quoted if it could be taken for two keys.
func label(key string) string {
	if len(key) > 0 && len(key) <= 40 && strings.Trim(quoted(key), `"`) == key && !strings.ContainsAny(key, ". :") {
		return key
	}
	return quoted(key)
}

func brief(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
