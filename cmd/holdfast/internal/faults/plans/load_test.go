package plans

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlanNameOrFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, file := range []string{"outage", "mine", "slo", "mine.json", filepath.Join("sub", "outage")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(`{"seed": 99}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		plan    string
		seed    uint64 // 99 is the file's
		notes   string
		refused string
	}{
		{"flaky", 1, "", ""},
		{"outage", 1, "for the file of that name write ./outage", ""},
		{"./outage", 99, "", ""},
		{"sub/outage", 99, "", ""},
		{"mine.json", 99, "", ""},
		{"mine", 0, "", `"mine" is not a built-in plan; did you mean the file ./mine?`},
		{"slo", 0, "", `"slo" is not a built-in plan; did you mean slow, or the file ./slo?`},
		{"outge", 0, "", `"outge" is not a built-in plan; did you mean outage?`},
		{"quuxquux", 0, "", `"quuxquux" is not a built-in plan; there are healthy, flaky, outage`},
		{"no.json", 0, "", "no such file"},
	} {
		plan, note, err := Load(tt.plan)
		switch {
		case tt.refused != "":
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s: error %v, want %q", tt.plan, err, tt.refused)
			}
		case err != nil || plan.Seed != tt.seed:
			t.Errorf("%s: seed %d, error %v; want seed %d", tt.plan, plan.Seed, err, tt.seed)
		case tt.notes == "" && note != "" || !strings.Contains(note, tt.notes):
			t.Errorf("%s: note %q, want %q", tt.plan, note, tt.notes)
		}
	}
}

func TestPlanFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, text, says string }{
		{"a.yaml", "seed: 7\n", ""},
		{"a.YML", "seed: 7\n", ""},
		{"a.json", `{"seed": 7}`, ""},
		{"noextension", `{"seed": 7}`, ""},
		{"b.json", "seed: 7\n", "line 1, column 1: "},
		{"b.yaml", "sed: 7\n", "line 1, column 1: sed: unknown key; did you mean seed?"},
	} {
		file := filepath.Join(dir, tt.name)
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		plan, _, err := Load(file)
		switch {
		case tt.says == "" && (err != nil || plan.Seed != 7):
			t.Errorf("%s: seed %d, error %v", tt.name, plan.Seed, err)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.says)
		}
	}
}

// A file of 100 MB is rejected by its size, without being read.
func TestHugePlanIsNotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "huge.yaml")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(100 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, _, err := Load(file); err == nil || err.Error() != "fault plan: has 104857600 bytes, at most 1048576 are allowed" {
		t.Errorf("error %v", err)
	}
}
