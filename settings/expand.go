package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// reference matches a ${NAME} at the beginning of a text.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expanded is a text in which variables are replaced by their values.
type expanded struct {
	text  string
	shown string // an address as it may be shown: with the names of variables in its path
}

// expand replaces the variables in text by their values. Its error shows the name
// of a variable, but not the text, which may be a credential.
func expand(text string, value func(name string) string) (expanded, error) {
	var whole, shown strings.Builder
	add := func(text string) {
		whole.WriteString(text)
		shown.WriteString(text)
	}
	for {
		before, _, found := strings.Cut(text, "$")
		add(before)
		if !found {
			return expanded{whole.String(), shown.String()}, nil
		}
		text = text[len(before):]
		if rest, ok := strings.CutPrefix(text, "$$"); ok {
			add("$")
			text = rest
			continue
		}
		name := reference.FindStringSubmatch(text)
		if name == nil {
			return expanded{}, errors.New("has a $ that begins no ${NAME}: write $$ for a dollar")
		}
		v := value(name[1])
		if v == "" {
			return expanded{}, fmt.Errorf("${%s} is not set, or empty", name[1])
		}
		if inPath(whole.String()) {
			shown.WriteString(name[0])
		} else {
			shown.WriteString(v)
		}
		whole.WriteString(v)
		text = text[len(name[0]):]
	}
}

// inPath reports whether the end of an address is in its path, where a token may
// stand.
func inPath(address string) bool {
	_, rest, ok := strings.Cut(address, "://")
	return ok && strings.Contains(rest, "/")
}
