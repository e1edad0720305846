package settings

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// added is a test of a setting that is there in an overlay only: Config.Probe, in
// files "probe". It asks every place that has to know a setting.
const added = `package settings

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

func TestAdded(t *testing.T) {
	c := holdfast.Config{BaseURL: "http://a.test", Probe: -5 * time.Second}
	equal(t, "validation", fmt.Sprint(c.Validate()), "holdfast: Config.Probe is -5s: must be positive, zero for 2s, or Off")

	var r holdfast.Registry
	r.Reset(t)
	c.Probe = 2 * time.Second
	for _, c.Probe = range []time.Duration{2 * time.Second, 0} { // its default, written out and not
		if _, err := r.Open("a", c); err != nil {
			t.Error(err)
		}
	}
	c.Probe = holdfast.Off
	if _, err := r.Open("a", c); !errors.Is(err, holdfast.ErrConfigConflict) || !strings.Contains(err.Error(), "its Config.Probe is 2s, this call has none") {
		t.Error(err)
	}

	got := mustParse(t, inFile("probe", "3s"))
	equal(t, "of the file", got.Others["x"].Config().Probe, 3*time.Second)
	equal(t, "its source", sourceOf(got, "providers.x.probe"), Source{Setting: "providers.x.probe", Value: "3s", File: "providers.json"})
	got = mustParse(t, inFile("probe", "3s"), "X_PROBE", "off")
	equal(t, "of the environment", got.Others["x"].Config().Probe, time.Duration(holdfast.Off))
	got = mustParse(t, "{}")
	equal(t, "the default", sourceOf(got, "providers.ollama.probe"), Source{Setting: "providers.ollama.probe", Value: "2s"})
	equal(t, "problem", fmt.Sprint(failed(inFile("probe", "-3s"))),
		"holdfast: 1 problem in providers.json\n  providers.x.probe: -3s must be positive, zero for 2s, or off")

	if !strings.Contains(docsTable(), "| ` + "`probe` | `…_PROBE`" + ` | duration, or off | 2s | 2s | 2s | how long it is probed |\n") {
		t.Error(docsTable())
	}
}
`

// Adding a setting touches the field of Config and the row of the table, and
// nothing else: with these two in an overlay the setting is checked, compared,
// read, shown and documented, and the tests of all settings hold.
func TestAddingASetting(t *testing.T) {
	folder := t.TempDir()
	overlay := map[string]string{}
	put := func(path, text string) {
		full, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		overlay[full] = filepath.Join(folder, filepath.Base(path))
		if err := os.WriteFile(overlay[full], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(path, before, insert string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, tail, found := strings.Cut(string(text), before)
		if !found {
			t.Fatalf("%s has no %q", path, before)
		}
		put(path, head+insert+before+tail)
	}
	edit("../config.go", "}\n\n// Format prints", "	// Probe is a setting. Default 2s.\n	Probe time.Duration\n")
	edit("../config_table.go", "}\n\n// policyTable", `	of[time.Duration]{
		Row:     row{Name: "Probe", Key: "probe", Env: "PROBE", Off: setting.Always, Doc: "how long it is probed"},
		At:      func(c *Config) *time.Duration { return &c.Probe },
		Default: 2 * time.Second,
	},
`)
	put("added_in_overlay_test.go", added)
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(at, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// All tests but this one, and those that read files of the repository.
	for folder, run := range map[string]string{
		".":  "",
		"..": "Table|Config|Defaults|Registry",
	} {
		cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", at, "-run", run, "-skip", "TestAddingASetting|TestDocsTable|TestComments", ".")
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
