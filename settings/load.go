package settings

import (
	"cmp"
	"fmt"
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

// provider reads one provider: the file first, then the environment, then what the
// values are together.
func (l *loader) provider(s *Service, p interface {
	fields() []field
	checks() []check
}, described map[string]any) {
	e := newEntry(l, s.Name, p.fields())
	if v, ok := described[s.Name]; ok {
		e.group("", e.at, v)
	}
	e.environment(strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_")

	if s.RetryBaseDelay > s.RetryMaxDelay && e.find(maxDelay).from.From() == "default" {
		s.RetryMaxDelay = s.RetryBaseDelay // the default gives way to what was set
	}
	e.validate(s, p.checks())
	for _, set := range e.settings {
		set.from.Value = cmp.Or(set.shown, set.meaning(set.value()))
		l.sources = append(l.sources, set.from)
	}
}

// entry is one provider while it is read.
type entry struct {
	*loader
	at       string // its place in the file
	settings []*setting
}

// setting is a field while it is read.
type setting struct {
	field
	def      any // its default
	from     Source
	bad      bool   // what was given last is wrong
	expanded bool   // variables were put into it
	shown    string // an address as it may be shown, if it is from the file
}

func newEntry(l *loader, name string, fields []field) *entry {
	e := &entry{loader: l, at: "providers." + name}
	for _, f := range fields {
		e.settings = append(e.settings, &setting{field: f, def: f.value(), from: Source{Setting: e.at + "." + f.path}})
	}
	return e
}

// find gives the setting with that path, nil if there is none.
func (e *entry) find(path string) *setting {
	for _, s := range e.settings {
		if s.path == path {
			return s
		}
	}
	return nil
}

// environment sets the fields that a variable names.
func (e *entry) environment(prefix string) {
	for _, s := range e.settings {
		if s.env == "" {
			continue
		}
		name := prefix + s.env
		if owner, taken := e.owners[name]; taken {
			e.addf(e.at, "needs another name: %s would be its variable and that of %s", name, owner)
			return
		}
		e.owners[name] = s.from.Setting
		if text := e.variable(name); text != "" {
			s.expanded, s.shown = false, ""
			e.set(s, text, quoted(text), Source{Setting: s.from.Setting, Variable: name})
		}
	}
}

func (e *entry) set(s *setting, text, shows string, from Source) {
	problem := s.field.set(s.def, text, shows)
	s.bad = problem != ""
	if s.bad {
		e.add(from, problem)
	} else {
		s.from = from
	}
}
