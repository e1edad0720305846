// Package providers reads the settings of the providers, from a file and from the
// environment, as the package settings does it for programs.
package providers

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/internal/spelling"
	"github.com/holdfast-go/holdfast/settings"
)

// Lookup returns an environment variable: [os.LookupEnv] is one.
type Lookup = func(name string) (value string, ok bool)

// Load reads the environment, and the file if path is not empty. It writes warnings
// to stderr.
func Load(stderr io.Writer, path string, env Lookup) (settings.Settings, error) {
	loaded, err := settings.Load(path, env)
	var invalid *settings.Error
	switch {
	case errors.As(err, &invalid):
		return loaded, exit.With(exit.Config, settingsError{invalid})
	case err != nil:
		return loaded, exit.Errorf(exit.Config, "%s: %w", path, exit.Reason(err))
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintf(stderr, "holdfast: warning: %s\n", w)
	}
	return loaded, nil
}

// settingsError is an error of the settings without the prefix that exit.Report
// adds.
type settingsError struct{ err *settings.Error }

func (e settingsError) Error() string { return exit.Text(e.err) }
func (e settingsError) Unwrap() error { return e.err }

// Choose returns the configuration of a provider. Without a name it is the only
// provider that is configured.
func Choose(loaded settings.Settings, name string) (holdfast.Config, error) {
	all := map[string]holdfast.Config{
		"mixedbread": loaded.Mixedbread.Config(),
		"ollama":     loaded.Ollama.LLM(), // the longer of its limits
	}
	for name, p := range loaded.Others {
		all[name] = p.Config()
	}
	configured := Configured(loaded)
	known := slices.Sorted(maps.Keys(all))
	cfg, ok := all[name]
	switch {
	case name == "" && len(configured) == 1:
		return all[configured[0]], nil
	case name == "" && len(configured) == 0:
		return cfg, fmt.Errorf("--provider is missing, and the settings set nothing: must be %s", format.List(known, "or"))
	case name == "":
		return cfg, fmt.Errorf("--provider is missing, and the settings have several: must be %s", format.List(configured, "or"))
	case !ok:
		if near := spelling.Nearest(name, known); near != "" {
			return cfg, fmt.Errorf("--provider %q is not in the settings: did you mean %s?", format.Excerpt(name), near)
		}
		return cfg, fmt.Errorf("--provider %q is not in the settings: must be %s", format.Excerpt(name), format.List(known, "or"))
	}
	return cfg, nil
}

// Configured names the providers that the file or the environment sets anything of.
func Configured(loaded settings.Settings) (names []string) {
	for _, g := range Groups(loaded) {
		if slices.ContainsFunc(g.Settings, func(s settings.Source) bool { return !IsDefault(s) }) {
			names = append(names, g.Provider)
		}
	}
	return names
}

// Group is the settings of one provider. Their names are those below the provider.
type Group struct {
	Provider string
	Settings []settings.Source
}

// Groups groups the settings by provider, and keeps their order.
func Groups(loaded settings.Settings) (groups []Group) {
	for _, s := range loaded.Sources {
		provider, name, _ := strings.Cut(strings.TrimPrefix(s.Setting, "providers."), ".")
		if n := len(groups); n == 0 || groups[n-1].Provider != provider {
			groups = append(groups, Group{Provider: provider})
		}
		last := &groups[len(groups)-1]
		s.Setting = name
		last.Settings = append(last.Settings, s)
	}
	return groups
}

// IsDefault reports whether neither the file nor the environment sets a setting.
func IsDefault(s settings.Source) bool { return s.File == "" && s.Variable == "" }
