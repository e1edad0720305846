package term

import "testing"

func TestWrap(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "id:\n"},
		{"one two", "id: one two\n"},
		{"one two three", "id: one two\n    three\n"},
		{"a-word-beyond-the-width and", "id: a-word-beyond-the-width\n    and\n"},
		{"größer wird", "id: größer\n    wird\n"},
	} {
		if got := Wrap(13, "id: ", tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
