package files

import (
	"os"
	"testing"
)

func TestOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("old", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"old": "old", "new": ""} {
		out, err := OpenOutput(name)
		if err != nil {
			t.Fatal(err)
		}
		out.Abandon()
		if got, err := os.ReadFile(name); string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s after Abandon: %q, %v", name, got, err)
		}
	}
	out, err := OpenOutput("old")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := out.Truncate(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("old"); err != nil || info.Size() != 0 {
		t.Errorf("after Truncate: %v, %v", info.Size(), err)
	}
}
