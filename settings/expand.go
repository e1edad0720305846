package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// reference is one at the beginning of a text.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts variables where text names them. Its error shows nothing of the text
// but the variable's name: the rest may be a credential.
func expand(text string, value func(name string) string) (string, error) {
	var b strings.Builder
	for {
		before, _, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		text = text[len(before):]
		if rest, ok := strings.CutPrefix(text, "$$"); ok {
			b.WriteByte('$')
			text = rest
			continue
		}
		name := reference.FindStringSubmatch(text)
		if name == nil {
			return "", errors.New("has a $ that begins no ${NAME}: write $$ for a dollar")
		}
		v := value(name[1])
		if v == "" {
			return "", fmt.Errorf("${%s} is not set, or empty", name[1])
		}
		b.WriteString(v)
		text = text[len(name[0]):]
	}
}
