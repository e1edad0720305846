package exit

import "testing"

func TestTable(t *testing.T) {
	got := Table("Exit status", []Row{{0, "answered"}, {Interrupted, "interrupted"}})
	if want := "Exit status:\n    0  answered\n  130  interrupted"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
