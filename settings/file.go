package settings

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/spelling"
)

// read reads at most one byte more than a file may have. Other things than files are an
// error: a pipe blocks until another process writes to it, and a device may have no end.
func read(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		kind := "a device"
		switch {
		case info.IsDir():
			kind = "a directory"
		case info.Mode()&fs.ModeNamedPipe != 0:
			kind = "a pipe"
		case info.Mode()&fs.ModeSocket != 0:
			kind = "a socket"
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is " + kind + ": must be a file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// callable matches the names of providers, from which the names of variables are
// made.
var callable = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// providers gives each provider's object in the file, and the names of those that
// only the file has, in their order.
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
				l.addf(m.at, "its name must begin with a letter, and have only lower-case letters, digits, - and _, at most 64")
				continue
			case len(described) == maxProviders:
				l.addf(top.at, "has more than %d providers", maxProviders)
				return described, others
			case m.key != mixedbreadName && m.key != ollamaName:
				others = append(others, m.key)
			}
			described[m.key] = m.value
		}
	}
	return described, others
}

// member is a member of an object, with its place.
type member struct {
	key, at string
	value   any
}

// members gives the members of v, an object at that place; each once, and only
// those with one of the names, unless there are none. Former names are taken too,
// but not listed.
func (l *loader) members(at string, v any, names []string, former ...string) iter.Seq[member] {
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
			case names != nil && !slices.Contains(names, key) && !slices.Contains(former, key):
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

// group reads the keys of the provider's object that begin with in.
func (e *entry) group(in, at string, v any) {
	var names, former []string
	for _, f := range e.fields {
		if rest, ok := strings.CutPrefix(f.Key, in); ok {
			if name, _, _ := strings.Cut(rest, "."); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if rest, ok := strings.CutPrefix(f.OldKey, in); ok && rest != "" && !strings.Contains(rest, ".") {
			former = append(former, rest)
		}
	}
	for m := range e.members(at, v, names, former...) {
		key := in + m.key
		if f := e.find(func(f *field) bool { return f.Key == key }); f != nil {
			e.fromFile(f, m)
		} else if f := e.find(func(f *field) bool { return f.OldKey == key }); f != nil {
			e.warnings.addf(m.at, "is the former name of %s: rename it", f.Key)
			e.fromFile(f, m)
		} else {
			e.group(key+".", m.at, m.value)
		}
	}
}

// fromFile sets a field to its value in the file.
func (e *entry) fromFile(f *field, m member) {
	if f.from.File != "" {
		e.addf(m.at, "is given twice, once under a former name")
		return
	}
	if f.Name == headerField {
		e.service.Header, f.from.File = e.header(m), e.file
		return
	}
	text, isString := m.value.(string)
	if f.kind == setting.Text && !isString {
		f.bad = true
		e.addf(m.at, "must be a string") // not shown: it may be a credential that lacks its quotes
		return
	}
	shows := shown(m.value) // as it was written: what is expanded may be a credential
	if !isString {
		text = shows
	} else if to, err := expand(text, e.variable); err != nil {
		f.bad = true
		e.addf(m.at, "%s", err)
		return
	} else {
		if f.expanded = to.text != text; f.Name == baseURLField {
			f.shown = to.shown
		}
		text = to.text
	}
	e.set(f, text, shows, Source{Setting: m.at, File: e.file})
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
		case !sendable(to.text):
			e.addf(h.at, unsendable)
		default:
			value = NewSecret(to.text)
		}
		header[name] = value
	}
	return header
}
