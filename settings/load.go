package settings

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
)

// maxFile bounds a settings file, and maxProviders how many it describes.
const (
	maxFile      = 1 << 20
	maxProviders = 100
)

// Load reads the settings from the file at path, if path is not empty, and from
// the environment, if lookup is not nil: [os.LookupEnv] is one. A path is never
// looked up anywhere else.
//
// The error is an [*Error] with every problem at once, or says why the file could
// not be read. No error shows a credential.
func Load(path string, lookup func(string) (string, bool)) (Settings, error) {
	if path == "" {
		return load("", nil, lookup)
	}
	data, err := read(path)
	if err != nil {
		return Settings{}, fmt.Errorf("holdfast: reading settings: %w", err)
	}
	return load(path, data, lookup)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// load is Load with the file's text at hand.
func load(path string, data []byte, lookup func(string) (string, bool)) (Settings, error) {
	l := &loader{file: path, lookup: lookup, owners: map[string]string{}}
	described := map[string]any{}
	var others []string
	if path != "" {
		described, others = l.providers(data)
	}
	s := Settings{Mixedbread: mixedbreadProvider(), Ollama: ollamaProvider(), Others: map[string]Provider{}}
	l.provider(&s.Mixedbread.Service, &s.Mixedbread, described)
	l.provider(&s.Ollama.Service, &s.Ollama, described)
	for _, name := range others {
		p := otherProvider(name)
		l.provider(&p.Service, &p, described)
		s.Others[name] = p
	}
	if len(l.problems) > 0 {
		return Settings{}, &Error{File: path, Problems: l.problems}
	}
	s.Sources = l.sources
	return s, nil
}

// loader is what there is while settings are read.
type loader struct {
	file   string
	lookup func(string) (string, bool)
	problems
	sources []Source
	owners  map[string]string // of each variable: the setting that it is for
}

// variable is the value of an environment variable, empty if it is not set.
func (l *loader) variable(name string) string {
	if l.lookup == nil {
		return ""
	}
	value, ok := l.lookup(name)
	if !ok {
		return ""
	}
	return value
}

// named is what a provider may be called, so that variables can be named after it.
var named = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

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
			case !named.MatchString(m.key):
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
	if len(l.problems) > maxProblems {
		return // it would not be listed: don't look for what was meant
	}
	if near := nearest(m.key, names); near != "" {
		l.addf(m.at, "unknown key; did you mean %s?", near)
	} else {
		l.addf(m.at, "unknown key; known are %s", strings.Join(names, ", "))
	}
}

// provider reads one provider: the file first, then the environment, then what the
// values are together.
func (l *loader) provider(s *Service, p interface {
	fields() []field
	checks() []check
}, described map[string]any) {
	e := &entry{loader: l, at: "providers." + s.Name, fields: p.fields()}
	for _, f := range e.fields {
		e.defaults = append(e.defaults, f.value())
		e.from = append(e.from, Source{Setting: e.at + "." + f.path})
		e.bad = append(e.bad, false)
		e.expanded = append(e.expanded, false)
	}
	if v, ok := described[s.Name]; ok {
		e.group("", e.at, v)
	}
	e.environment(strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_")

	if s.RetryBaseDelay > s.RetryMaxDelay && e.isDefault(maxDelay) {
		s.RetryMaxDelay = s.RetryBaseDelay // the default gives way to what was set
	}
	e.validate(s, p.checks())
	for i, f := range e.fields {
		e.from[i].Value = f.meaning(f.value())
	}
	l.sources = append(l.sources, e.from...)
}

// entry is one provider while it is read. Its fields, their defaults and where
// their values come from lie side by side.
type entry struct {
	*loader
	at       string
	fields   []field
	defaults []any
	from     []Source
	bad      []bool // it was given, and is wrong
	expanded []bool // variables were put into it
}

// find gives the number of the field with that path, -1 if there is none.
func (e *entry) find(path string) int {
	return slices.IndexFunc(e.fields, func(f field) bool { return f.path == path })
}

func (e *entry) isDefault(path string) bool {
	from := e.from[e.find(path)]
	return from.File == "" && from.Variable == ""
}

// group reads the part of the provider's object whose paths begin with in.
func (e *entry) group(in, at string, v any) {
	var names []string
	for _, f := range e.fields {
		if rest, ok := strings.CutPrefix(f.path, in); ok {
			if name, _, _ := strings.Cut(rest, "."); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for m := range e.members(at, v, names) {
		if i := e.find(in + m.key); i >= 0 {
			e.fromFile(i, m)
		} else {
			e.group(in+m.key+".", m.at, m.value)
		}
	}
}

// fromFile sets a field to what the file says.
func (e *entry) fromFile(i int, m member) {
	from := Source{Setting: e.from[i].Setting, File: e.file}
	text, isString := m.value.(string)
	switch into := e.fields[i].into.(type) {
	case *map[string]Secret:
		*into, e.from[i] = e.header(m), from
		return
	case *string, *Secret:
		if !isString {
			e.addf(m.at, "must be a string") // not shown: it may be a credential that lacks its quotes
			return
		}
	}
	shows := shown(m.value) // as it was written: what is expanded may be a credential
	if !isString {
		text = shows
	} else if expanded, err := expand(text, e.variable); err != nil {
		e.addf(m.at, "%s", err)
		e.bad[i] = true
		return
	} else {
		e.expanded[i] = expanded != text
		text = expanded
	}
	e.set(i, text, shows, from)
}

// header reads the values of headers, by their canonical names.
func (e *entry) header(m member) map[string]Secret {
	header := map[string]Secret{}
	for h := range e.members(m.at, m.value, nil) {
		name := http.CanonicalHeaderKey(h.key)
		text, isString := h.value.(string)
		expanded, err := expand(text, e.variable)
		var value Secret
		switch _, twice := header[name]; {
		case twice:
			e.addf(h.at, "is given twice")
		case !isString:
			e.addf(h.at, "must be a string")
		case err != nil:
			e.addf(h.at, "%s", err)
		default:
			if problem := (field{into: &value}).set(nil, expanded, ""); problem != "" {
				e.addf(h.at, "%s", problem)
			}
		}
		header[name] = value
	}
	return header
}

// environment sets the fields that a variable names.
func (e *entry) environment(prefix string) {
	for i, f := range e.fields {
		if f.env == "" {
			continue
		}
		name := prefix + f.env
		if owner, taken := e.owners[name]; taken {
			e.addf(e.at, "needs another name: %s would be its variable and that of %s", name, owner)
			return
		}
		e.owners[name] = e.from[i].Setting
		if text := e.variable(name); text != "" {
			e.expanded[i] = false
			e.set(i, text, quoted(text), Source{Setting: e.from[i].Setting, Variable: name})
		}
	}
}

func (e *entry) set(i int, text, shows string, from Source) {
	problem := e.fields[i].set(e.defaults[i], text, shows)
	e.bad[i] = problem != ""
	if e.bad[i] {
		e.add(from, problem)
		return
	}
	e.from[i] = from
}

// validate tells every problem that [holdfast.Config.Validate] finds as one of the
// setting that it comes from.
func (e *entry) validate(s *Service, checks []check) {
	if _, twice := s.Header["Authorization"]; twice && s.APIKey.Set() {
		e.addf(e.at+".header.Authorization", "is set beside api_key, which is sent as this header: set one of them")
	}
	told := map[string]bool{} // a provider's configurations have most in common
	for _, c := range checks {
		joined, _ := c.config.Validate().(interface{ Unwrap() []error })
		if joined == nil {
			continue
		}
		for _, err := range joined.Unwrap() {
			name, text, _ := strings.Cut(strings.TrimPrefix(err.Error(), "holdfast: Config."), " ")
			i := e.find(c.attempt)
			if name != "Timeouts.Attempt" {
				i = slices.IndexFunc(e.fields, func(f field) bool {
					return strings.EqualFold(strings.ReplaceAll(f.path, "_", ""), name)
				})
			}
			if i < 0 {
				e.addf(e.at, "%s", err)
				continue
			}
			message := e.retold(s, i, text)
			if key := e.fields[i].path + message; message != "" && !told[key] {
				told[key] = true
				e.add(e.from[i], message)
			}
		}
	}
}

// retold is a problem of the root package in the words of this one, empty if it
// follows from another.
func (e *entry) retold(s *Service, i int, text string) string {
	path := e.fields[i].path
	switch {
	case e.bad[i], path == maxDelay && e.bad[e.find(baseDelay)]:
		return ""
	case e.expanded[i] && strings.Contains(text, `"`):
		return "the value that its variables make does not hold: " + e.fields[i].rule // not shown: it may be a credential
	case path == baseURL && s.BaseURL == "":
		if near := nearest(s.Name, []string{"mixedbread", "ollama"}); near != "" {
			return text + "; or did you mean " + near + "?"
		}
		return text
	}
	if value, ok := strings.CutPrefix(text, `is "`); ok {
		text = `"` + strings.Replace(value, `": `, `" `, 1)
	} else if value, ok := strings.CutPrefix(text, "is "); ok {
		text = strings.Replace(value, ": ", " ", 1)
	}
	return strings.NewReplacer("BaseDelay", "base_delay", "or Off", "or off").Replace(text)
}
