package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"status", "statuses", "reset", "close", "connect"}
	for word, want := range map[string]string{
		"status":                "status",
		"statsu":                "status", // two swapped letters are one mistake
		"statusses":             "statuses",
		"conect":                "connect",
		"clse":                  "close",
		"x":                     "",
		"":                      "",
		"latency":               "",
		"resett":                "reset",
		strings.Repeat("s", 65): "", // too long
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%q gives %q, want %q", word, got, want)
		}
	}
	if got := Nearest("ab", []string{"ac", "ad"}); got != "ac" {
		t.Errorf("of two equally similar names it is %q", got)
	}
}
