package target

import (
	"strings"
	"testing"
)

const secret = "c4n4ry"

func TestParse(t *testing.T) {
	for _, tt := range []struct{ raw, want, problem string }{
		{"https://h/v1//a/../b?q=1#top", "https://h/v1//a/../b?q=1", ""},
		{"h:80/" + secret, "", "has no scheme"},
		{"/?u=http://" + secret, "", "has no scheme"},
		{"ftp://h/" + secret, "", "must begin with http:// or https://"},
		{"http:///" + secret, "", "has no host"},
		{"http://h:" + secret, "", "cannot be parsed"},
		{"http://u:" + secret + "@h/", "", "has a user or password in it"},
		{"http://u:" + secret + "/x@h/", "", "has a user or password in it"},
	} {
		u, err := Parse(tt.raw)
		switch {
		case tt.problem == "" && (err != nil || u.String() != tt.want):
			t.Errorf("%s: %v, %v; want %s", tt.raw, u, err, tt.want)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), secret)):
			t.Errorf("%s: %v, want %q without the secret", tt.raw, err, tt.problem)
		}
	}
}

func TestParseBelow(t *testing.T) {
	const base = "http://127.0.0.1:1/v1"
	for _, tt := range []struct{ raw, want, problem string }{
		{"/models?q=1#top", "/models?q=1", ""},
		{"models", "models", ""},
		{"http://127.0.0.1:1/v2", "http://127.0.0.1:1/v2", ""},
		{"https://127.0.0.1:1/?key=" + secret, "", "the URL is not at http://127.0.0.1:1"},
		{"http://elsewhere.test/" + secret, "", "the URL is not at http://127.0.0.1:1"},
		{"//elsewhere.test/" + secret, "", "the path cannot be parsed"},
		{"mailto:" + secret, "", "the path cannot be parsed"},
		{"/a/../../" + secret, "", `the path has a ".." in it`},
	} {
		u, err := ParseBelow(base, tt.raw)
		switch {
		case tt.problem == "" && (err != nil || u.String() != tt.want):
			t.Errorf("%s: %v, %v; want %s", tt.raw, u, err, tt.want)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), secret)):
			t.Errorf("%s: %v, want %q without the secret", tt.raw, err, tt.problem)
		}
	}
}
