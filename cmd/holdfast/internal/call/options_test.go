package call

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// A call has the settings of the provider; flags override them.
func TestSettings(t *testing.T) {
	var got http.Header
	var path string
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{
		{Match: fault.Match{Path: "/v1/down"}, Fault: fault.Fault{Status: 503}},
		{Match: fault.Match{Path: "/v1/hang"}, Fault: fault.Fault{Hang: fault.BeforeAnswer}},
	}}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		got, path = r.Header.Clone(), r.Path
		return faultserver.Answer{Status: 200, Body: []byte("well")}
	}))
	t.Setenv("SEARCH_KEY", cmdtest.Secret)
	file := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"search": {
		"base_url": "%s/v1", "api_key": "${SEARCH_KEY}", "header": {"Accept": "text/plain"},
		"retry": {"max_retries": 1, "base_delay": "1ms"}, "timeouts": {"read": "50ms"}
	}}}`, server.URL()))

	for _, tt := range []struct {
		args   []string
		status int
		stdout string
		stderr []string // nil: nothing
		header map[string]string
		path   string
	}{
		{[]string{"/models?q=1"}, 0, "well", nil, map[string]string{"Authorization": "Bearer " + cmdtest.Secret, "Accept": "text/plain", "User-Agent": "holdfast"}, "/v1/models"},
		{[]string{"models"}, 0, "well", nil, nil, "/v1/models"},
		{[]string{"--provider", "search", server.URL() + "/v2"}, 0, "well", nil, nil, "/v2"},
		{[]string{"-H", "Authorization: mine", "-H", "Accept: a/b", "/models"}, 0, "well", nil, map[string]string{"Authorization": "mine", "Accept": "a/b"}, ""},
		{[]string{"/down"}, 22, "", []string{"after 2 attempts"}, nil, ""},
		{[]string{"--retries", "0", "/down"}, 22, "", []string{"after 1 attempt "}, nil, ""},
		{[]string{"--retries", "3", "--max-delay", "2ms", "/down"}, 22, "", []string{"after 4 attempts"}, nil, ""},
		{[]string{"/hang"}, 28, "", []string{"read timeout of 50ms", "after 2 attempts"}, nil, ""},
		{[]string{"--read-timeout", "20ms", "--no-repeat", "/hang"}, 28, "", []string{"read timeout of 20ms", "after 1 attempt "}, nil, ""},
	} {
		got, path = nil, ""
		status, stdout, stderr := runCall(t, append([]string{"--config", file}, tt.args...)...)
		if status != tt.status || tt.stdout != "" && stdout != tt.stdout || tt.stderr == nil && stderr != "" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d", tt.args, status, stdout, stderr, tt.status)
		}
		for _, says := range tt.stderr {
			if !strings.Contains(stderr, says) {
				t.Errorf("%q: stderr %q does not say %q", tt.args, stderr, says)
			}
		}
		for name, want := range tt.header {
			if got.Get(name) != want {
				t.Errorf("%q: %s is %q, want %q", tt.args, name, got.Get(name), want)
			}
		}
		if tt.path != "" && path != tt.path {
			t.Errorf("%q: went to %s, want %s", tt.args, path, tt.path)
		}
		if strings.Contains(stdout+stderr, cmdtest.Secret) {
			t.Errorf("%q shows a credential: %s%s", tt.args, stdout, stderr)
		}
	}
	// Settings can be from the environment alone.
	t.Setenv("MIXEDBREAD_BASE_URL", server.URL()+"/v3")
	if status, stdout, stderr := runCall(t, "--provider", "mixedbread", "/embeddings"); status != 0 || stdout != "well" || path != "/v3/embeddings" {
		t.Errorf("exit status %d, %q, %q, went to %q", status, stdout, stderr, path)
	}
}

// Invalid settings are reported before anything is sent, and without a secret.
func TestInvalidSettings(t *testing.T) {
	one := cmdtest.JSON(t, `{"providers": {"search": {"base_url": "http://127.0.0.1:1/v1", "api_key": "`+cmdtest.Secret+`"}}}`)
	two := cmdtest.JSON(t, `{"providers": {"search": {"base_url": "http://127.0.0.1:1"}, "ollama": {"timeouts": {"llm": 5}}}}`)
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--config", one, "--provider", "serch", "/"}, 2, `--provider "serch" is not in the settings: did you mean search?`},
		{[]string{"--config", one, "--provider", "x", "/"}, 2, `--provider "x" is not in the settings: must be mixedbread, ollama or search`},
		{[]string{"--config", two, "/"}, 2, "--provider is missing, and the settings have several: must be ollama or search"},
		{[]string{"--config", cmdtest.JSON(t, `{}`), "/"}, 2, "--provider is missing, and the settings set nothing: must be mixedbread or ollama"},
		{[]string{"--provider", "", "/"}, 2, "--provider is empty"},
		{[]string{"--config", "", "/"}, 2, "--config is empty"},
		{[]string{"--config", one, "https://elsewhere.test/?key=" + cmdtest.Secret}, 2, "the URL is not at http://127.0.0.1:1"},
		{[]string{"--config", one, "//elsewhere.test/x"}, 2, "the path cannot be parsed"},
		{[]string{"--config", one, "/a/../../b"}, 2, `the path has a ".." in it`},
		{[]string{"--config", one + ".not", "/"}, 3, "no such file"},
		{[]string{"--config", cmdtest.JSON(t, `{"providers": {"search": {"base_ulr": "x"}}}`), "/"}, 3, "base_ulr"},
		{[]string{"/"}, 2, "the URL has no scheme"},
	} {
		status, stdout, stderr := runCall(t, tt.args...)
		if status != tt.status || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d and %q", tt.args, status, stdout, stderr, tt.status, tt.says)
		}
		if strings.Contains(stderr, cmdtest.Secret) {
			t.Errorf("%q shows a credential: %s", tt.args, stderr)
		}
	}
}
