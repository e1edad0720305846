package wire

import (
	"fmt"
	"net/url"
	pathpkg "path"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestTarget(t *testing.T) {
	for _, c := range []struct{ base, path, want string }{
		{"http://a.test", "", "http://a.test"},
		{"http://a.test", "x", "http://a.test/x"},
		{"http://a.test/v1", "/x/", "http://a.test/v1/x/"},
		{"http://a.test/v1/", "x?q=1#f", "http://a.test/v1/x?q=1"},
		{"http://a.test/v1", "?q=1", "http://a.test/v1?q=1"},
		{"http://a.test/v1", "/a%2Fb/c", "http://a.test/v1/a%2Fb/c"},
		{"http://a.test/v1", "/a..b/...", "http://a.test/v1/a..b/..."},
		{"http://a.test/v1", "///x", "http://a.test/v1/x"},
		{"http://a.test/v%2F1", "x", "http://a.test/v%2F1/x"},
		{"http://a.test/v1", "?q=a b&r=c  d", "http://a.test/v1?q=a%20b&r=c%20%20d"},
		{"http://a.test/v1", "a;v=1/b%5Cc/100%25/..b;c", "http://a.test/v1/a;v=1/b%5Cc/100%25/..b;c"},
		{"http://a.test/v1", "a/...;/%252e/.;/x", "http://a.test/v1/a/...;/%252e/.;/x"},
	} {
		base, _ := url.Parse(c.base)
		got, err := Target(base, c.path)
		if err != nil || got.String() != c.want {
			t.Errorf("%s below %s is %v, %v, want %s", c.path, c.base, got, err, c.want)
		}
	}
}

// A path that leads elsewhere is an error. It is not turned into a path below the base.
func TestTargetLeadsAway(t *testing.T) {
	base, _ := url.Parse("http://a.test/v1")
	for path, want := range map[string]string{
		"http:/x":       `path "http:/x" leads away from the base URL: must be a path below it`,
		"//evil.test/x": `path "//evil.test/x" leads away from the base URL: must be a path below it`,
		"//me@/x":       `path "…@/x" leads away from the base URL: must be a path below it`,
		"javascript:1":  `path "javascript:1" leads away from the base URL: must be a path below it`,
		"/a/../b?k=v":   `path "/a/../b" has a ".." in it: must stay below the base URL`,
		"/%zz?k=v":      `path "/%zz" cannot be parsed`,
		"/a%00b?k=v":    `path "/a%00b" has a NUL in it, at which some servers end a path: must be left out`,
	} {
		if got, err := Target(base, path); got != nil || err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", path, got, err, want)
		}
	}
	for _, path := range []string{
		"..;/x", "a/..;v=1/b", "..%3B/x", `..\x`, `a\..\..\x`, "..%5cx", "a%5C..%5c..", "%252e%252e/x", "%25zz/%252E%252e/x", "..%252fx", "%25%32e./x", "..%20/x",
		"..%3fx", "..%23/x", "%c0%ae%c0%ae/x", "a%c0%af..%c0%afx", "..%255cx", "%25252e./x",
	} {
		want := fmt.Sprintf("path %q leads upwards, as some servers read it: must stay below the base URL", path)
		if got, err := Target(base, path); got != nil || err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", path, got, err, want)
		}
	}
}

// servers read a path as it is in a request, each in its own way.
var servers = map[string]func(string) string{
	"one that decodes":       func(p string) string { return unescape(p) },
	"one that decodes twice": func(p string) string { return unescape(unescape(p)) },
	"Windows":                func(p string) string { return strings.ReplaceAll(unescape(p), `\`, "/") },
	"Windows after a proxy":  func(p string) string { return strings.ReplaceAll(unescape(unescape(p)), `\`, "/") },
	"a servlet":              func(p string) string { return unescape(parameter.ReplaceAllString(p, "")) },
	"a servlet of late":      func(p string) string { return parameter.ReplaceAllString(unescape(p), "") },
	"a servlet on Windows": func(p string) string {
		return strings.ReplaceAll(parameter.ReplaceAllString(unescape(p), ""), `\`, "/")
	},
	"one in C":            func(p string) string { p, _, _ = strings.Cut(unescape(p), "\x00"); return p },
	"one that drops NULs": func(p string) string { return strings.ReplaceAll(unescape(p), "\x00", "") },
}

// parameter is a parameter of a segment (RFC 3986, 3.3).
var parameter = regexp.MustCompile(`;[^/]*`)

// unescape decodes what is an escape.
func unescape(p string) string {
	return regexp.MustCompile(`%[0-9A-Fa-f]{2}`).ReplaceAllStringFunc(p, func(escape string) string {
		decoded, _ := url.PathUnescape(escape)
		return decoded
	})
}

// One origin has several spellings. A difference in scheme, host or port makes another.
func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"http://a.test/x?q", "http://me@a.test/y", true},
		{"http://a.test", "http://A.test:80", true},
		{"https://a.test:443", "https://a.test", true},
		{"ftp://a.test", "ftp://A.test", true},
		{"http://a.test:8080", "http://A.test:8080", true},
		{"http://a.test", "https://a.test", false},
		{"http://a.test:443", "https://a.test", false},
		{"http://a.test", "http://b.test", false},
		{"http://a.test", "http://a.test:443", false},
		{"https://a.test", "https://a.test:80", false},
		{"http://a.test:8080", "http://a.test:8081", false},
		{"https://a.test", "https://a.test.", false},
		{"http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080", true},
		{"http://[::1]", "http://[::2]", false},
	} {
		a, _ := url.Parse(c.a)
		b, _ := url.Parse(c.b)
		if SameOrigin(a, b) != c.want || SameOrigin(b, a) != c.want {
			t.Errorf("%s and %s: want %v", a, b, c.want)
		}
	}
	// Not every address comes from url.Parse, which makes the scheme lower case.
	if a, b := (&url.URL{Scheme: "HTTPS", Host: "a.test"}), (&url.URL{Scheme: "https", Host: "a.test:443"}); !SameOrigin(a, b) {
		t.Errorf("%s and %s are not the same", a, b)
	}
}

// Each spelling of an origin has the same Origin, whose text has that Origin again.
func TestOriginOf(t *testing.T) {
	for address, want := range map[string]string{
		"https://me:pw@API.Example.com:443/x?q#f": "https://api.example.com",
		"http://a.test:":              "http://a.test",
		"http://a.test:80":            "http://a.test",
		"http://a.test:443":           "http://a.test:443",
		"https://a.test.":             "https://a.test.",
		"http://192.0.2.1:8080":       "http://192.0.2.1:8080",
		"https://[2001:DB8:0::1]:443": "https://[2001:db8::1]",
		"https://[2001:db8::1]:8443":  "https://[2001:db8::1]:8443",
		"http://[FE80::1%25Eth0]":     "http://[fe80::1%25Eth0]",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		origin := OriginOf(u)
		if got := origin.String(); got != want {
			t.Errorf("%s has the origin %s, want %s", address, got, want)
		}
		if again, _ := url.Parse(origin.String()); OriginOf(again) != origin {
			t.Errorf("%s has the origin %v, and its text has %v", address, origin, OriginOf(again))
		}
	}
	if got, want := OriginOf(&url.URL{Scheme: "HTTP", Host: "A:b"}), (Origin{"http", "[a:b]"}); got != want { // no address
		t.Errorf("the origin is %v, want %v", got, want)
	}
}

// Every byte alone, and the bytes that differ in meaning when there are two of them.
func TestPlainPaths(t *testing.T) {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
	for c := range rune(256) {
		if got, want := isPlain(string([]byte{byte(c)})), strings.IndexByte(plain, byte(c)) >= 0; got != want {
			t.Errorf("%q is plain: %v, want %v", c, got, want)
		}
	}
	for path, want := range map[string]bool{
		"": false, "/v1/embeddings": true, "a./b": true, "/a.b/": true, "//a": false, "/a//b": false, "..": false, "/a..b": false, "/a?b": false,
	} {
		if got := isPlain(path); got != want {
			t.Errorf("%q is plain: %v, want %v", path, got, want)
		}
	}
}

// Every path leads to the base's host and below the base's path, or is an error.
func FuzzTarget(f *testing.F) {
	for _, p := range []string{"/x", "//evil.test", "http://evil.test", "/a/../b", "%2e%2e/x", "/..%2f", `\\evil`, "@evil.test/x", ":80/x", "/x?y=//z", "..", "/./..", "javascript:1", "/work/12", "a.b/c-d_e/", "/a//b", "/a/.", ".well-known/x", "", "..;/x", `..\x`, "..%5cx", "%252e%252e/x", "%25zz/%252e./x", "a%00b", "..%00/x", "?q=a b", "a;b/../c", ".%00./x"} {
		f.Add(p)
	}
	base, _ := url.Parse("https://api.test:8443/v1")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := Target(base, path)
		if parsed, wrong := parsedTarget(base, path); !reflect.DeepEqual(got, parsed) || !reflect.DeepEqual(err, wrong) {
			t.Errorf("%q leads to %v, %v; parsed, to %v, %v", path, got, err, parsed, wrong)
		}
		if err != nil {
			return
		}
		// net/http dials and sends what it parses from the text.
		again, err := url.Parse(got.String())
		if err != nil {
			t.Fatalf("%q becomes %q, which cannot be parsed: %v", path, got, err)
		}
		if again.Scheme != "https" || again.Host != "api.test:8443" || again.User != nil {
			t.Errorf("%q leads to %q", path, again)
		}
		if again.Path != "/v1" && !strings.HasPrefix(again.Path, "/v1/") {
			t.Errorf("%q leads to %q", path, again.Path)
		}
		for _, segment := range strings.Split(again.Path, "/") {
			if segment == ".." {
				t.Errorf("%q leads upwards: %q", path, again.Path)
			}
		}
		request := got.RequestURI()
		if strings.ContainsAny(request, " \r\n\x00") {
			t.Errorf("%q is sent as %q", path, request)
		}
		sent, _, _ := strings.Cut(request, "?")
		for name, read := range servers {
			if served := pathpkg.Clean(read(sent)); served != "/v1" && !strings.HasPrefix(served, "/v1/") {
				t.Errorf("%q leads to %q for %s", path, served, name)
			}
		}
	})
}

func TestShown(t *testing.T) {
	u, _ := url.Parse("https://me:s3cret@a.test/x?key=s3cret#s3cret")
	if got := Shown(u); got != "https://a.test/x" {
		t.Error(got)
	}
	if got := Shown(&url.URL{Scheme: "https", Opaque: "me:s3cret@a.test"}); got != "https:" {
		t.Error(got)
	}
	for in, want := range map[string]string{"/x?k=v": "/x", "//me:pw@evil/x": "…@evil/x", "/x#t@k": "…", "//me:p?w@evil/x": "…", "//m@e:p@evil#k": "…@evil", "?k=v": "", "@evil/x": "…@evil/x"} {
		if got := withoutQuery(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}
