package providers

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/settings"
)

// load reads settings without the environment.
func load(t *testing.T, text string) settings.Settings {
	t.Helper()
	loaded, err := Load(io.Discard, cmdtest.JSON(t, text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestLoadErrors(t *testing.T) {
	for path, want := range map[string]string{
		cmdtest.JSON(t, `{"providers": {"ollama": {"base_ulr": "x"}}}`): "base_ulr",
		"./no-such-file": "./no-such-file: no such file",
	} {
		_, err := Load(io.Discard, path, nil)
		if exit.StatusOf(err) != exit.Config || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "holdfast:") {
			t.Errorf("%s: %v, want exit status %d and %q, without the program's name", path, err, exit.Config, want)
		}
	}
}

func TestChoose(t *testing.T) {
	const search = `"search": {"base_url": "http://127.0.0.1:1"}`
	none := load(t, `{}`)
	one := load(t, `{"providers": {`+search+`}}`)
	two := load(t, `{"providers": {`+search+`, "ollama": {"base_url": "http://127.0.0.1:2"}}}`)
	for _, tt := range []struct {
		settings settings.Settings
		provider string
		baseURL  string
		problem  string
	}{
		{one, "", "http://127.0.0.1:1", ""},
		{two, "search", "http://127.0.0.1:1", ""},
		{two, "ollama", "http://127.0.0.1:2", ""},
		{none, "", "", "the settings set nothing: must be mixedbread or ollama"},
		{two, "", "", "the settings have several: must be ollama or search"},
		{one, "serch", "", `"serch" is not in the settings: did you mean search?`},
		{one, "x", "", `"x" is not in the settings: must be mixedbread, ollama or search`},
	} {
		cfg, err := Choose(tt.settings, tt.provider)
		switch {
		case tt.problem == "" && (err != nil || cfg.BaseURL != tt.baseURL):
			t.Errorf("%q: %s, %v; want %s", tt.provider, cfg.BaseURL, err, tt.baseURL)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
			t.Errorf("%q: %v, want %q", tt.provider, err, tt.problem)
		}
	}
}

func TestGroups(t *testing.T) {
	loaded := load(t, `{"providers": {"search": {"base_url": "http://127.0.0.1:1"}}}`)
	if got, want := Configured(loaded), []string{"search"}; !slices.Equal(got, want) {
		t.Errorf("configured are %q, want %q", got, want)
	}
	count := 0
	for _, g := range Groups(loaded) {
		for _, s := range g.Settings {
			if strings.HasPrefix(s.Setting, "providers.") || strings.HasPrefix(s.Setting, g.Provider) {
				t.Errorf("%s: the setting %s has the name of its provider", g.Provider, s.Setting)
			}
			if IsDefault(s) == (g.Provider == "search" && s.Setting == "base_url") {
				t.Errorf("%s: %s is from %s", g.Provider, s.Setting, s.From())
			}
			count++
		}
	}
	if count != len(loaded.Sources) {
		t.Errorf("the groups have %d settings, want %d", count, len(loaded.Sources))
	}
}
