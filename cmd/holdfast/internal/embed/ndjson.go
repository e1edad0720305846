package embed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

var (
	errNotJSON = errors.New(`is not JSON: must be a string or {"id": …, "text": …}`)
	errNoText  = errors.New(`has no text: must be a string or {"id": …, "text": …}`)
)

// columnError is an error at a column of a line, from 1, in bytes.
type columnError struct {
	column int
	text   string
}

func (e *columnError) Error() string { return e.text }

// parseNDJSON reads a text from a line that is UTF-8 and not blank. Unlike json.Unmarshal it
// takes keys exactly as they are, rejects a key that is given twice, and half of a surrogate
// pair, which would become another character.
func parseNDJSON(line []byte) (item, error) {
	var whole json.RawMessage
	if json.Unmarshal(line, &whole) != nil {
		return item{}, errNotJSON
	}
	if first := bytes.TrimLeft(line, " \t\r\n"); first[0] != '{' {
		return parseText(line, len(line)-len(first), first)
	}
	var found struct {
		text, id           json.RawMessage
		textEnds, idEnds   int
		likeText, likeID   string // a key that differs only in its case
		textTwice, idTwice bool
	}
	d := json.NewDecoder(bytes.NewReader(line))
	_, err := d.Token() // the brace
	for err == nil && d.More() {
		var key json.Token
		var value json.RawMessage
		if key, err = d.Token(); err != nil {
			break
		}
		err = d.Decode(&value)
		switch name, _ := key.(string); {
		case name == "text":
			found.textTwice = found.text != nil
			found.text, found.textEnds = value, int(d.InputOffset())
		case name == "id":
			found.idTwice = found.id != nil
			found.id, found.idEnds = value, int(d.InputOffset())
		case strings.EqualFold(name, "text"):
			found.likeText = name
		case strings.EqualFold(name, "id"):
			found.likeID = name
		}
	}
	switch {
	case err != nil:
		return item{}, errNotJSON
	case found.textTwice:
		return item{}, errors.New(`has the key "text" twice`)
	case found.idTwice:
		return item{}, errors.New(`has the key "id" twice`)
	case found.text == nil && found.likeText != "":
		return item{}, fmt.Errorf(`has the key %q: must be "text"`, format.Excerpt(found.likeText))
	case found.text == nil:
		return item{}, errNoText
	case found.id == nil && found.likeID != "":
		return item{}, fmt.Errorf(`has the key %q: must be "id"`, format.Excerpt(found.likeID))
	case len(found.id) > 0 && strings.IndexByte("[{tf", found.id[0]) >= 0:
		return item{}, errors.New("its id: must be a string or a number")
	}
	t, err := parseText(line, found.textEnds-len(found.text), found.text)
	if string(found.id) != "null" && err == nil {
		t.id = found.id
		err = checkSurrogates(line, found.idEnds-len(found.id), found.id)
	}
	return t, err
}

// parseText reads a text from a JSON value, which begins at this byte of the line.
func parseText(line []byte, at int, value json.RawMessage) (item, error) {
	if value[0] != '"' {
		return item{}, errNoText
	}
	if err := checkSurrogates(line, at, value); err != nil {
		return item{}, err
	}
	var t item
	if err := json.Unmarshal(value, &t.text); err != nil {
		return item{}, errNotJSON
	}
	return t, checkText(t.text)
}

// checkSurrogates checks that each \ud800 to \udfff in a JSON string is half of a pair.
// encoding/json would replace another one.
func checkSurrogates(line []byte, at int, value json.RawMessage) error {
	escape := func(i int) rune { // \uXXXX at i, otherwise 0
		if i+6 <= len(value) && value[i] == '\\' && value[i+1] == 'u' {
			n, _ := strconv.ParseUint(string(value[i+2:i+6]), 16, 16)
			return rune(n)
		}
		return 0
	}
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		switch r := escape(i); {
		case !utf16.IsSurrogate(r):
			i++ // also passes the second of two backslashes
		case utf16.DecodeRune(r, escape(i+6)) != '\ufffd':
			i += 11
		default:
			return &columnError{at + i + 1, fmt.Sprintf(`%s is half of a surrogate pair: must be a character`, line[at+i:at+i+6])}
		}
	}
	return nil
}
