package faults

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// If a listener or a file cannot be opened, the files are as they were.
func TestFailedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	old := filepath.Join(dir, "old.ndjson")
	if err := os.WriteFile(old, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh.ndjson")
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"--record " + old + " --listen " + taken.Addr().String(), exit.Failure, "--listen " + taken.Addr().String() + ": address already in use"},
		{"--record " + fresh + " --admin " + taken.Addr().String(), exit.Failure, "--admin " + taken.Addr().String() + ": address already in use"},
		{"--record " + fresh + " --tls --tls-ca " + dir, exit.Config, "--tls-ca " + dir + ": is a directory"},
		{"--record " + fresh + "/x", exit.Config, "no such file"},
	} {
		out, err := cmdtest.Await(""), cmdtest.Await("")
		if status := program.Run(t.Context(), append([]string{"faults", "--plan", "healthy"}, strings.Fields(tt.args)...), out, err); status != tt.status ||
			!strings.Contains(err.String(), tt.says) || out.String() != "" {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %d and %q", tt.args, status, out, err, tt.status, tt.says)
		}
		if data, err := os.ReadFile(old); err != nil || string(data) != "old\n" {
			t.Errorf("%s: the old record is now %q, %v", tt.args, data, err)
		}
		if _, err := os.Stat(fresh); err == nil {
			t.Errorf("%s: left %s behind", tt.args, fresh)
		}
	}
}

func TestServe(t *testing.T) {
	plan := cmdtest.JSON(t, `{"seed": 7, "rules": [{"nth": "1", "fault": {"status": 503}}, {"nth": "2", "fault": {"close": "before_answer"}}]}`)
	r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", plan, "--backend", "embeddings")
	url, rest, _ := strings.Cut(r.Stdout.String(), " ")
	if want := "follows " + plan + ": 2 rules, seed 7 · Ctrl-C ends it\n"; !strings.HasPrefix(url, "http://127.0.0.1:") || rest != want {
		t.Errorf("it wrote %q, want a loopback URL and %q", r.Stdout, want)
	}

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for i, want := range []int{503, 0, 200} {
		status := 0
		resp, err := client.Post(url+"/v1/embeddings", "application/json", strings.NewReader(`{"model": "m", "input": "op-1"}`))
		if err == nil {
			status = resp.StatusCode
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if status != want {
			t.Errorf("request %d: status %d (%v), want %d", i+1, status, err, want)
		}
	}

	transport.CloseIdleConnections()
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d, want 0: Ctrl-C is how it ends", status)
	}
	said := strings.TrimPrefix(r.Stdout.String(), url+" "+rest)
	want := `^3 requests on \d connections? · 2 met a fault \(conn.fin_before_answer 1, http.status 1\) · work done 1, done twice 0\n$`
	if !regexp.MustCompile(want).MatchString(said) {
		t.Errorf("at the end it wrote %q, want %s", said, want)
	}
	if e := r.Stderr.String(); e != "" {
		t.Errorf("stderr has %q, want nothing", e)
	}
}

// The provider of --as also applies to plans that replace the first.
func TestAs(t *testing.T) {
	const token = "0123456789abcdef"
	r := program.Start(t, "/_holdfast/\n", "faults", "--plan", cmdtest.JSON(t, `{"rules": [{"fault": {"status": 401}}]}`), "--as", "openai", "--admin", "127.0.0.1:0", "--admin-token", token)
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	_, adminURL, _ := strings.Cut(r.Stdout.String(), "admin on ")
	adminURL = strings.TrimSpace(adminURL)
	if !strings.Contains(r.Stdout.String(), ": 1 rule, as openai, seed 0 ·") {
		t.Errorf("it wrote %q", r.Stdout)
	}
	ask := func(want int, says string) {
		t.Helper()
		status, body := cmdtest.Fetch(t, http.MethodPost, url+"/v1/chat/completions", "", `{"model": "m", "messages": [{"role": "user", "content": "hi"}]}`)
		if status != want || !strings.Contains(body, says) {
			t.Errorf("%d %s, want %d and %s", status, body, want, says)
		}
	}
	ask(401, `"code":"invalid_api_key"`)
	for plan, want := range map[string]int{`{"rules": [{"fault": {"api": "overloaded"}}]}`: 200, `{"as": "gemini"}`: 422} {
		if status, body := cmdtest.Fetch(t, http.MethodPut, adminURL+"plan", "Bearer "+token, plan); status != want {
			t.Errorf("%s: %d %s, want %d", plan, status, body, want)
		}
	}
	ask(503, `"type":"server_error"`)
	if status, _ := cmdtest.Fetch(t, http.MethodPut, adminURL+"plan", "Bearer "+token, `{}`); status != 200 {
		t.Errorf("the empty plan: %d", status)
	}
	ask(200, `"object":"chat.completion"`)
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d: %s", status, r.Stderr)
	}
}

func TestOtherMachines(t *testing.T) {
	plan := cmdtest.JSON(t, `{}`)
	for _, tt := range []struct {
		listen string
		note   bool
	}{{"127.0.0.1:0", false}, {"localhost:0", false}, {"0.0.0.0:0", true}, {":0", true}, {"[::]:0", true}} {
		r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", plan, "--listen", tt.listen)
		url, _, _ := strings.Cut(r.Stdout.String(), " ")
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Errorf("--listen %s: the URL is %s, which other programs may not connect to", tt.listen, url)
		}
		if status, _ := cmdtest.Fetch(t, http.MethodGet, url, "", ""); status != 200 {
			t.Errorf("--listen %s: GET %s: %d", tt.listen, url, status)
		}
		if noted := strings.Contains(r.Stderr.String(), "can be reached from other machines"); noted != tt.note {
			t.Errorf("--listen %s: stderr has %q; noted: %v, want %v", tt.listen, r.Stderr, noted, tt.note)
		}
		if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
			t.Errorf("--listen %s: exit status %d, want 0", tt.listen, status)
		}
	}
}

func TestTLS(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	r := program.Start(t, "curl --cacert "+ca, "faults", "--plan", cmdtest.JSON(t, `{"connections": [{"nth": "1", "fault": {"tls": "expired"}}]}`), "--tls", "--tls-ca", ca)
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	authority, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatalf("%s is no certificate", authority)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	if resp, err := client.Get(url); err == nil {
		resp.Body.Close()
		t.Error("an expired certificate was taken")
	}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatalf("with the authority of %s: %v", ca, err)
	}
	resp.Body.Close()
	if status := r.Interrupt(t, strings.TrimPrefix(url, "https://")); status != 0 || !strings.HasPrefix(url, "https://") {
		t.Errorf("%s: exit status %d", url, status)
	}
	if said := r.Stdout.String(); !strings.Contains(said, "(tls.expired 1)") {
		t.Errorf("it wrote %q", said)
	}
}

func TestHTTP2(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	plan := cmdtest.JSON(t, `{"rules": [{"nth": "1", "fault": {"h2": "rst_stream_internal"}}]}`)
	for _, args := range [][]string{{"--h2"}, {"--h2", "--tls", "--tls-ca", ca}} {
		r := program.Start(t, "Ctrl-C ends it\n", append([]string{"faults", "--plan", plan}, args...)...)
		url, _, _ := strings.Cut(r.Stdout.String(), " ")
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
		if len(args) > 1 {
			authority, err := os.ReadFile(ca)
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(authority)
			transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		}
		client := &http.Client{Transport: transport}
		if resp, err := client.Post(url, "text/plain", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
			t.Errorf("%v: the first answer is %v, %v; want INTERNAL_ERROR", args, resp, err)
		}
		resp, err := client.Get(url)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("%v: answered in %s", args, resp.Proto)
		}
		transport.CloseIdleConnections()
		_, addr, _ := strings.Cut(url, "://")
		if status := r.Interrupt(t, addr); status != 0 {
			t.Errorf("%v: exit status %d", args, status)
		}
		if said := r.Stdout.String(); !strings.Contains(said, "2 requests on 1 connection · 1 met a fault (h2.rst_stream_internal 1)") {
			t.Errorf("%v: it wrote %q", args, said)
		}
	}
}

func TestRecordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attempts.ndjson")
	if err := os.WriteFile(file, []byte("of another day\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", cmdtest.JSON(t, `{"rules": [{"nth": "2", "fault": {"status": 503}}]}`), "--record", file)
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	for range 3 {
		cmdtest.Fetch(t, http.MethodGet, url, "", "")
	}
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d: %s", status, r.Stderr)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for object := range bytes.Lines(data) {
		var a struct{ Number, Status int }
		if err := json.Unmarshal(object, &a); err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		statuses = append(statuses, a.Number*1000+a.Status)
	}
	if fmt.Sprint(statuses) != "[1200 3200 2503]" && fmt.Sprint(statuses) != "[1200 2503 3200]" {
		t.Errorf("recorded %v in\n%s", statuses, data)
	}
}

// A record that cannot be written ends the command: /dev/full takes no byte.
func TestRecordError(t *testing.T) {
	r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", "healthy", "--record", "/dev/full")
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	cmdtest.Fetch(t, http.MethodGet, url, "", "")
	select {
	case status := <-r.Status:
		if said := r.Stderr.String(); status != exit.Failure || !strings.Contains(said, "--record /dev/full: no space left on device") {
			t.Errorf("exit status %d, stderr %q; want %d, and no space left", status, said, exit.Failure)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("still running: stdout %q, stderr %q", r.Stdout, r.Stderr)
	}
}
