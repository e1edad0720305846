package config

import (
	"bytes"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/settings"
)

// Every provider has its group, and every setting its line.
func TestShowIsComplete(t *testing.T) {
	loaded, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := runConfig(t, nil, "show")
	for _, p := range providers.Groups(loaded) {
		head, rest, found := strings.Cut(stdout, p.Provider+"\n")
		if !found || head != "" {
			t.Fatalf("%s is not next in\n%s", p.Provider, stdout)
		}
		group, tail, _ := strings.Cut(rest, "\n\n")
		if n := len(strings.Split(strings.TrimSpace(group), "\n")); n != len(p.Settings) {
			t.Errorf("%s: %d lines, want %d", p.Provider, n, len(p.Settings))
		}
		stdout = tail
	}
	if stdout != "" {
		t.Errorf("after the last provider: %q", stdout)
	}
}

// No control character reaches the terminal.
func TestShowIsPrintable(t *testing.T) {
	var b bytes.Buffer
	writeSettings(&b, term.Terminal{}, settings.Settings{Sources: []settings.Source{
		{Setting: "providers.a.base_url", Value: "http://a\x1b[31m", File: "a\x1b[2J.json"},
		{Setting: "providers.a.request_id_header"},
	}}, false)
	want := "a\n  base_url           http://a�[31m  a�[2J.json\n  request_id_header  \"\"             default\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}
