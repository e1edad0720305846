package settings

import (
	"io"
	"iter"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/spelling"
)

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// callable is what a provider may be called, so that variables can be named after it.
var callable = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// providers gives what the file says of each provider, and the names of those
// that are not known beforehand, in their order.
func (l *loader) providers(data []byte) (described map[string]any, others []string) {
	described = map[string]any{}
	if len(data) > maxFile {
		l.addf("", "the file is longer than %d bytes", maxFile)
		return described, nil
	}
	root, err := parse(data)
	if err != nil {
		l.addf("", "%s", err)
		return described, nil
	}
	for top := range l.members("", root, []string{"providers"}) {
		for m := range l.members(top.at, top.value, nil) {
			switch {
			case !callable.MatchString(m.key):
				l.addf(m.at, "must be called by lower-case letters, digits, - and _, at most 64, a letter first")
				continue
			case len(described) == maxProviders:
				l.addf(top.at, "has more than %d providers", maxProviders)
				return described, others
			case m.key != "mixedbread" && m.key != "ollama":
				others = append(others, m.key)
			}
			described[m.key] = m.value
		}
	}
	return described, others
}

// member is one of an object's, and where.
type member struct {
	key, at string
	value   any
}

// members gives what v, an object at that place, has; each once, and only under
// the given names, unless there are none.
func (l *loader) members(at string, v any, names []string) iter.Seq[member] {
	return func(yield func(member) bool) {
		o, ok := v.(object)
		if !ok {
			l.addf(at, "must be an object") // not shown: it may be a credential
			return
		}
		seen := map[string]bool{}
		for i, key := range o.keys {
			m := member{key, label(key), o.values[i]}
			if at != "" {
				m.at = at + "." + m.at
			}
			switch {
			case seen[key]:
				l.addf(m.at, "is given twice")
			case names != nil && !slices.Contains(names, key):
				l.unknown(m, names)
			case !yield(m):
				return
			}
			seen[key] = true
		}
	}
}

func (l *loader) unknown(m member, names []string) {
	if near := spelling.Nearest(m.key, names); near != "" {
		l.addf(m.at, "unknown key; did you mean %s?", near)
	} else {
		l.addf(m.at, "unknown key; known are %s", strings.Join(names, ", "))
	}
}

// group reads the part of the provider's object whose paths begin with in.
func (e *entry) group(in, at string, v any) {
	var names []string
	for _, s := range e.settings {
		if rest, ok := strings.CutPrefix(s.path, in); ok {
			if name, _, _ := strings.Cut(rest, "."); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for m := range e.members(at, v, names) {
		if s := e.find(in + m.key); s != nil {
			e.fromFile(s, m)
		} else {
			e.group(in+m.key+".", m.at, m.value)
		}
	}
}

// fromFile sets a field to what the file says.
func (e *entry) fromFile(s *setting, m member) {
	from := Source{Setting: s.from.Setting, File: e.file}
	text, isString := m.value.(string)
	switch into := s.into.(type) {
	case *map[string]Secret:
		*into, s.from = e.header(m), from
		return
	case *string, *Secret:
		if !isString {
			s.bad = true
			e.addf(m.at, "must be a string") // not shown: it may be a credential that lacks its quotes
			return
		}
	}
	shows := shown(m.value) // as it was written: what is expanded may be a credential
	if !isString {
		text = shows
	} else if to, err := expand(text, e.variable); err != nil {
		s.bad = true
		e.addf(m.at, "%s", err)
		return
	} else {
		if s.expanded = to.text != text; s.path == baseURL {
			s.shown = to.shown
		}
		text = to.text
	}
	e.set(s, text, shows, from)
}

// header reads the values of headers, by their canonical names.
func (e *entry) header(m member) map[string]Secret {
	header := map[string]Secret{}
	for h := range e.members(m.at, m.value, nil) {
		name := http.CanonicalHeaderKey(h.key)
		text, isString := h.value.(string)
		to, err := expand(text, e.variable)
		var value Secret
		switch _, twice := header[name]; {
		case twice:
			e.addf(h.at, "is given twice")
		case !isString:
			e.addf(h.at, "must be a string")
		case err != nil:
			e.addf(h.at, "%s", err)
		default:
			if problem := (field{into: &value}).set(nil, to.text, ""); problem != "" {
				e.addf(h.at, "%s", problem)
			}
		}
		header[name] = value
	}
	return header
}
