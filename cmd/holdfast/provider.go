package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/spelling"
	"github.com/holdfast-go/holdfast/settings"
)

// chosen is how a provider of the settings is to be called. Without a name it is
// the only one of which anything is set.
func chosen(loaded settings.Settings, name string) (holdfast.Config, error) {
	all := map[string]holdfast.Config{
		"mixedbread": loaded.Mixedbread.Config(),
		"ollama":     loaded.Ollama.LLM(), // the longer of its limits
	}
	for name, p := range loaded.Others {
		all[name] = p.Config()
	}
	set := namesSet(loaded)
	known := slices.Sorted(maps.Keys(all))
	cfg, ok := all[name]
	switch {
	case name == "" && len(set) == 1:
		return all[set[0]], nil
	case name == "" && len(set) == 0:
		return cfg, fmt.Errorf("--provider is missing, and the settings set nothing: must be %s", oneOf(known))
	case name == "":
		return cfg, fmt.Errorf("--provider is missing, and the settings have several: must be %s", oneOf(set))
	case !ok:
		if meant := spelling.Nearest(name, known); meant != "" {
			return cfg, fmt.Errorf("--provider %q is not in the settings: did you mean %s?", plain(name), meant)
		}
		return cfg, fmt.Errorf("--provider %q is not in the settings: must be %s", plain(name), oneOf(known))
	}
	return cfg, nil
}

// namesSet are the providers of which anything is set.
func namesSet(loaded settings.Settings) (set []string) {
	for _, p := range providers(loaded) {
		if slices.ContainsFunc(p.settings, func(s settings.Source) bool { return !isDefault(s) }) {
			set = append(set, p.name)
		}
	}
	return set
}

// oneOf lists names as a sentence does.
func oneOf(names []string) string {
	last := len(names) - 1
	if last <= 0 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// parseBelow reads an address below a base: a path, or the whole of it.
func parseBelow(base, raw string) (*url.URL, error) {
	if strings.Contains(raw, "://") {
		target, err := parseTarget(raw)
		if err != nil {
			return nil, err
		}
		if b, err := url.Parse(base); err == nil && (target.Scheme != b.Scheme || target.Host != b.Host) {
			return nil, fmt.Errorf("the URL is not at %s://%s, where the provider's credentials belong: must be a path below its base URL", b.Scheme, b.Host)
		}
		return target, nil
	}
	target, err := url.Parse(raw)
	switch {
	case err != nil, target.Host != "", target.User != nil, target.Opaque != "":
		return nil, errors.New("the path cannot be parsed: must be like /models, below the provider's base URL")
	case slices.Contains(strings.Split(target.Path, "/"), ".."):
		return nil, errors.New(`the path has a ".." in it: must stay below the provider's base URL`)
	}
	target.Fragment, target.RawFragment = "", "" // a reader's, not the service's
	return target, nil
}
