package files

import (
	"os"
	"testing"
)

func TestReplacement(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Symlink("file", "link"); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string, commit bool) {
		t.Helper()
		r, err := Replace(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Abandon()
		if _, err := r.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if commit {
			if err := r.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(when, want string) {
		t.Helper()
		got, err := os.ReadFile("file")
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: the file has %q, %v; want %q", when, got, err, want)
		}
		entries, err := os.ReadDir(".")
		if n := len(entries); err != nil || n > 2 {
			t.Errorf("%s: the folder has %v, %v", when, entries, err)
		}
	}
	write("file", "lost", false)
	expect("abandoned", "")
	write("file", "first", true)
	expect("committed", "first")
	if err := os.Chmod("file", 0o640); err != nil {
		t.Fatal(err)
	}
	write("file", "lost", false)
	expect("abandoned again", "first")
	write("link", "second", true)
	expect("committed by its link", "second")
	if info, err := os.Stat("file"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want that of the file before", info.Mode(), err)
	}
	write(os.DevNull, "nothing", true)
	if _, err := Replace("."); err == nil || err.Error() != "is a directory" {
		t.Errorf("a directory: %v", err)
	}
}
