package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxFile bounds the length of a settings file, maxProviders the providers in it.
const (
	maxFile      = 1 << 20
	maxProviders = 100
)

// Load reads the settings from the file at path, if path is not empty, and from
// the environment, if lookup is not nil: [os.LookupEnv] is one. It looks for no
// other file.
//
// The error is an [*Error] with every problem, or the reason why the file could not
// be read. No error shows a credential.
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

// load is Load with the file's text.
func load(path string, data []byte, lookup func(string) (string, bool)) (Settings, error) {
	l := &loader{file: path, lookup: lookup, owners: map[string]string{}}
	described := map[string]any{}
	var others []string
	if path != "" {
		described, others = l.providers(data)
	}
	s := Settings{Others: map[string]Provider{}}
	l.provider(&s.Mixedbread.Service, s.Mixedbread.Service.fields(preset(mixedbreadName)), described)
	l.provider(&s.Ollama.Service, s.Ollama.fields(), described)
	for _, name := range others {
		var p Provider
		l.provider(&p.Service, p.fields(preset(name)), described)
		s.Others[name] = p
	}
	if len(l.problems) > 0 {
		return Settings{}, &Error{File: path, Problems: l.problems}
	}
	s.Sources, s.Warnings = l.sources, l.warnings
	return s, nil
}

// loader is the state of a Load.
type loader struct {
	file   string
	lookup func(string) (string, bool)
	problems
	warnings problems
	sources  []Source
	owners   map[string]string // the setting that each variable is for
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

// provider reads one provider: first the file, then the environment. Then it
// checks the values together.
func (l *loader) provider(s *Service, fields []*field, described map[string]any) {
	e := &entry{loader: l, at: "providers." + s.Name, service: s, fields: fields}
	for _, f := range fields {
		f.from.Setting = e.at + "." + f.Key
	}
	if v, ok := described[s.Name]; ok {
		e.group("", e.at, v)
	}
	e.environment(strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_")
	for _, f := range fields {
		f.fill()
	}
	e.validate()
	for _, f := range fields {
		f.from.Value = cmp.Or(f.shown, f.text())
		l.sources = append(l.sources, f.from)
	}
}

// entry is one provider that is being read.
type entry struct {
	*loader
	at      string // its place in the file
	service *Service
	fields  []*field
}

// find gives the field that f holds for, nil if there is none.
func (e *entry) find(holds func(*field) bool) *field {
	if i := slices.IndexFunc(e.fields, holds); i >= 0 {
		return e.fields[i]
	}
	return nil
}

// named gives the field of that name in Config.
func (e *entry) named(name string) *field {
	return e.find(func(f *field) bool { return f.Name == name })
}

// environment sets the fields that have a variable set.
func (e *entry) environment(prefix string) {
	for _, f := range e.fields {
		if f.Env == "" {
			continue
		}
		name, former := prefix+f.Env, prefix+f.OldEnv
		if !e.own(name, f) || f.OldEnv != "" && !e.own(former, f) {
			return
		}
		text := e.variable(name)
		if f.OldEnv != "" && e.variable(former) != "" {
			from := Source{Setting: f.from.Setting, Variable: former}
			if text != "" {
				e.warnings.add(from, "is the former name of "+name+", which is set too: it is ignored")
			} else {
				e.warnings.add(from, "is the former name of "+name+": rename it")
				name, text = former, e.variable(former)
			}
		}
		if text != "" {
			f.expanded, f.shown = false, ""
			e.set(f, text, quoted(text), Source{Setting: f.from.Setting, Variable: name})
		}
	}
}

// own reports whether the variable of that name is the field's alone.
func (e *entry) own(name string, f *field) bool {
	owner, taken := e.owners[name]
	if taken {
		e.addf(e.at, "needs another name: %s would be its variable and that of %s", name, owner)
		return false
	}
	e.owners[name] = f.from.Setting
	return true
}

// set sets a field to what text means, or adds the problem with it.
func (e *entry) set(f *field, text, shows string, from Source) {
	problem := f.parse(text, shows)
	f.bad = problem != ""
	if f.bad {
		e.add(from, problem)
	} else {
		f.from.File, f.from.Variable = from.File, from.Variable
	}
}
