package dialect

import (
	"bytes"
	"encoding/json"
	"iter"
)

// member returns the value of a member of the JSON object that text is, as it is written. It
// is nil if there is none. Members of inner objects, and what stands in strings, do not count.
// The rest of the text after the member may be missing.
func member(text []byte, name string) []byte {
	i := blanks(text, 0)
	if i >= len(text) || text[i] != '{' {
		return nil
	}
	for i++; ; i++ {
		i = blanks(text, i)
		if i >= len(text) || text[i] != '"' {
			return nil
		}
		end := stringEnd(text, i)
		if end < 0 {
			return nil
		}
		key := text[i+1 : end-1]
		i = blanks(text, end)
		if i >= len(text) || text[i] != ':' {
			return nil
		}
		i = blanks(text, i+1)
		if end = valueEnd(text, i); end < 0 {
			return nil
		}
		if string(key) == name {
			return text[i:end]
		}
		i = blanks(text, end)
		if i >= len(text) || text[i] != ',' {
			return nil
		}
	}
}

// elements yields the values of the JSON array that text is, as they are written.
func elements(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := blanks(text, 0)
		if i >= len(text) || text[i] != '[' {
			return
		}
		for i++; ; i++ {
			i = blanks(text, i)
			end := valueEnd(text, i)
			if end < 0 || !yield(text[i:end]) {
				return
			}
			i = blanks(text, end)
			if i >= len(text) || text[i] != ',' {
				return
			}
		}
	}
}

// textMember returns a member that is a string.
func textMember(text []byte, name string) (s string) {
	value := member(text, name)
	if len(value) == 0 || len(value) > maxText || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// isObject reports whether a value is an object.
func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// isWhole reports whether text is one JSON value, so that nothing is missing.
func isWhole(text []byte) bool { return len(text) <= maxText && json.Valid(text) }

func blanks(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index after the string that begins at i, or -1.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		n := bytes.IndexAny(text[i:], `"\`)
		if n < 0 {
			return -1
		}
		if i += n; text[i] == '"' {
			return i + 1
		}
		i++ // what is escaped
	}
	return -1
}

// valueEnd returns the index after the value that begins at i, or -1.
func valueEnd(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = stringEnd(text, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1 + min(depth, 0) // of an outer value: the end is before it
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}
