package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// failing is a service whose paths fail in different ways.
func failing(t *testing.T, opts ...faultserver.Option) *faultserver.Server {
	t.Helper()
	on := func(path, nth string, f fault.Fault) fault.Rule {
		return fault.Rule{Match: fault.Match{Path: path}, Nth: nth, Fault: f}
	}
	return faultserver.Start(t, fault.Plan{Rules: []fault.Rule{
		on("/flaky", "1-2", fault.Fault{Status: 503}),
		on("/shaky", "1-2", fault.Fault{Reset: fault.BeforeAnswer}),
		on("/missing", "", fault.Fault{Status: 404, Body: "no such thing\n"}),
		on("/long", "", fault.Fault{Status: 500, Body: strings.Repeat("x", 100<<10)}),
		on("/redirect", "", fault.Fault{Status: 302, Header: map[string]string{"Location": "/?key=" + cmdtest.Secret}}),
		on("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}),
		on("/stall", "", fault.Fault{Stall: &fault.Stall{After: 5}}),
		on("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}),
		on("/torn", "", fault.Fault{Cut: &fault.Cut{After: 5, By: fault.RST}}),
		on("/empty", "", fault.Fault{Close: fault.BeforeAnswer}),
		on("/reset", "", fault.Fault{Reset: fault.BeforeAnswer}),
		on("/garbage", "", fault.Fault{H1: fault.Garbage}),
	}}, opts...)
}

// calls runs holdfast call, and gives what it came to.
func calls(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = program.Run(t.Context(), append([]string{"call"}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

func TestCallAnswers(t *testing.T) {
	server := failing(t)
	file := cmdtest.JSON(t, "eleven more")
	for _, tt := range []struct {
		args []string
		want string // in stdout
	}{
		{[]string{"/?key=" + cmdtest.Secret}, `{"method":"GET","path":"/",`},
		{[]string{"/a//b/../c"}, `"path":"/a//b/../c"`},
		{[]string{"/#top"}, `"path":"/"`},
		{[]string{"-X", "DELETE", "/"}, `"method":"DELETE"`},
		{[]string{"-X", "HEAD", "-i", "/"}, "HTTP/1.1 200 OK\r\n"},
		{[]string{"-d", "12345", "/"}, `"method":"POST"`},
		{[]string{"-d", "12345", "/"}, `"body_bytes":5}`},
		{[]string{"-d", "", "/"}, `"method":"POST"`},
		{[]string{"-X", "PUT", "-d", "@" + file, "/"}, `"body_bytes":11}`},
		{[]string{"-d", "@" + cmdtest.JSON(t, ""), "/"}, `"body_bytes":0}`},
		{[]string{"-i", "/"}, "HTTP/1.1 200 OK\r\nContent-Length: "},
		{[]string{"-H", "X-Request-ID: mine", "-H", "Host: example.com", "/"}, `"request_id":"mine"`},
		{[]string{"--idempotency-key", "mine", "/"}, `"request_id":"mine"`},
		{[]string{"--idempotency-key", "auto", "--total", "20s", "--max-delay", "1ms", "/flaky"}, `"path":"/flaky"`},
		{[]string{"-o", "-", "/"}, `"method":"GET"`},
		{[]string{"-d", "@" + file, "--base-delay", "off", "/shaky"}, `"body_bytes":11}`},
	} {
		last := len(tt.args) - 1
		status, stdout, stderr := calls(t, append(tt.args[:last:last], server.URL()+tt.args[last])...)
		if status != 0 || !strings.Contains(stdout, tt.want) || stderr != "" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want 0, %q and nothing", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

// What is sent beside the method, the path and the body's length.
func TestCallSends(t *testing.T) {
	var got http.Header
	server := faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		got = r.Header.Clone()
		got.Set("Body", string(r.Body))
		return faultserver.Answer{Status: 204}
	}))
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		args []string
		want map[string]string // empty: not sent
	}{
		{nil, map[string]string{"Accept": "*/*", "User-Agent": "holdfast", "Content-Type": "", "Idempotency-Key": ""}},
		{[]string{"-d", "a=b"}, map[string]string{"Content-Type": form, "Body": "a=b", "Content-Length": "3"}},
		{[]string{"-d", "@" + cmdtest.JSON(t, "c\n")}, map[string]string{"Content-Type": form, "Body": "c\n", "Content-Length": "2"}},
		{[]string{"-d", "{}", "-H", "content-type:text/json"}, map[string]string{"Content-Type": "text/json", "Body": "{}"}},
		{[]string{"-H", "A: 1", "-H", "a:  2 : 3 ", "-H", "User-Agent: me"}, map[string]string{"A": "1 2 : 3", "User-Agent": "me"}},
		{[]string{"--idempotency-key", "mine"}, map[string]string{"Idempotency-Key": "mine", "X-Request-Id": "mine"}},
	} {
		status, _, stderr := calls(t, append(tt.args, server.URL())...)
		if status != 0 {
			t.Errorf("%q: exit status %d, stderr %q", tt.args, status, stderr)
		}
		for name, want := range tt.want {
			if value := strings.Join(got[name], " "); value != want {
				t.Errorf("%q: %s is %q, want %q", tt.args, name, value, want)
			}
		}
	}
	target, err := url.Parse("http://127.0.0.1/a")
	if err != nil {
		t.Fatal(err)
	}
	o := caller{headers: []string{"Host: example.com"}}
	if req, err := o.request(t.Context(), target, nil, nil); err != nil || req.Host != "example.com" || req.Header["Host"] != nil {
		t.Errorf("the request is to host %q (%v), want example.com", req.Host, err)
	}
	if calls(t, "--idempotency-key", "auto", server.URL()); got.Get("Idempotency-Key") == "" || got.Get("Idempotency-Key") != got.Get("X-Request-Id") {
		t.Errorf("Idempotency-Key %q, X-Request-ID %q; want the same", got.Get("Idempotency-Key"), got.Get("X-Request-Id"))
	}
}

func TestCallTellsWhatHappens(t *testing.T) {
	server := failing(t)
	status, stdout, stderr := calls(t, "-v", "--base-delay", "1ms", server.URL()+"/flaky?key="+cmdtest.Secret)
	if status != 0 || !strings.Contains(stdout, `"path":"/flaky"`) {
		t.Errorf("exit status %d, stdout %q", status, stdout)
	}
	took := regexp.MustCompile(`(?m)^ +\d+\.\d{3} s  `)
	untimed := regexp.MustCompile(`[\d.]+[nµm]?s( before|$)|[0-9a-f-]{36}`)
	var said []string
	for line := range strings.Lines(stderr) {
		if !took.MatchString(line) {
			t.Errorf("%q does not begin with its time", line)
		}
		said = append(said, untimed.ReplaceAllString(strings.TrimSpace(took.ReplaceAllString(line, "")), "T$1"))
	}
	want := []string{
		"request T",
		"GET /flaky · 1m0s for an attempt",
		"attempt 1 of 4",
		"attempt 1: 503 Service Unavailable after T",
		"waiting T before attempt 2",
		"attempt 2 of 4",
		"attempt 2: 503 Service Unavailable after T",
		"waiting T before attempt 3",
		"attempt 3 of 4",
		"attempt 3: 200 OK after T",
		fmt.Sprintf("done: %d bytes written", len(stdout)),
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("it told\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// Each failure has its exit status, is explained once, and repeats no secret:
// neither with -v nor without.
func TestCallFails(t *testing.T) {
	server, secure := failing(t), failing(t, faultserver.TLS())
	handshakeless := faultserver.Start(t, fault.Plan{Connections: []fault.ConnRule{{Fault: fault.ConnFault{Close: true}}}}, faultserver.TLS())
	plainURL := server.URL()
	for _, tt := range []struct {
		args   string
		want   int
		stdout string
		says   string
	}{
		{"/missing", exit.HTTPError, "no such thing\n", "1  404 after"},
		{"-i /missing", exit.HTTPError, "HTTP 404 Not Found\r\n", "not found after 1 attempt"},
		{"/long", exit.HTTPError, "xxx", "only the first 64 KiB are kept"},
		{"--retries 2 --base-delay 1ms /long", exit.HTTPError, "xxx", "after 3 attempts"},
		{"--retries 2 --base-delay off -d x /reset", exit.ReceiveError, "", "after 3 attempts"},
		{"--retries 2 --base-delay off -d x --no-repeat /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"--retries 2 --base-delay off -d x --repeat safe /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"--retries 2 --base-delay off -X PUT -d x --repeat safe /reset", exit.ReceiveError, "", "after 3 attempts"},
		{"--retries 2 --base-delay off --repeat never /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"/redirect", exit.Failure, "Found", "1  302 after"},
		{"--attempt-timeout 20ms /hang", exit.TimedOut, "", "attempt timeout of 20ms"},
		{"--total 20ms -d x /hang", exit.TimedOut, "", "total timeout of 20ms"},
		{"--read-timeout 20ms /stall", exit.TimedOut, `{"met`, "read timeout of 20ms; 5 bytes of it had come"},
		{"/cut", exit.PartialBody, `{"met`, "the answer broke off: unexpected EOF; 5 bytes"},
		{"/torn", exit.ReceiveError, `{"met`, "connection reset by peer; 5 bytes"},
		{"/empty", exit.EmptyReply, "", "connection failed after 1 attempt"},
		{"/reset", exit.ReceiveError, "", "connection reset by peer"},
		{"/garbage", exit.ReceiveError, "", "malformed HTTP"},
		{"http://" + cmdtest.FreeAddress(t) + "/", exit.NotConnected, "", "connection refused"},
		{secure.URL() + "/", exit.BadCertificate, "", "failed to verify certificate"},
		{handshakeless.URL() + "/", exit.TLSError, "", "connection failed after 1 attempt"},
		{strings.Replace(plainURL, "http:", "https:", 1) + "/", exit.TLSError, "", "connection failed after 1 attempt"},
	} {
		for _, verbose := range []bool{false, true} {
			args := []string{"--retries", "0", "-H", "Authorization: Bearer " + cmdtest.Secret, "-H", "X-Key:" + cmdtest.Secret}
			if verbose {
				args = append(args, "-v")
			}
			args = append(args, strings.Fields(tt.args)...)
			to := args[len(args)-1]
			if strings.HasPrefix(to, "/") {
				to = plainURL + to
			}
			args[len(args)-1] = to + "?key=" + cmdtest.Secret
			status, stdout, stderr := calls(t, args...)
			if status != tt.want || !strings.HasPrefix(stdout, tt.stdout) || !strings.Contains(stderr, tt.says) {
				t.Errorf("%s: exit status %d, stdout %.80q, stderr %q; want %d, %q and %q", tt.args, status, stdout, stderr, tt.want, tt.stdout, tt.says)
			}
			if n := strings.Count("\n"+strings.ReplaceAll(stderr, "holdfast: note", ""), "holdfast: "); n != 1 {
				t.Errorf("%s: stderr has %q, want one message of holdfast", tt.args, stderr)
			}
			if said := stdout + stderr; strings.Contains(said, cmdtest.Secret) {
				t.Errorf("%s repeats a secret: %q", tt.args, said)
			}
		}
	}
}

func TestCallWrongUse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{nil, exit.Usage, "the URL is missing"},
		{[]string{"-H", "Authorization:", "Bearer", cmdtest.Secret, "http://h/"}, exit.Usage, "call takes one URL; got 3 arguments"},
		{[]string{"h:80/" + cmdtest.Secret}, exit.Usage, "the URL has no scheme"},
		{[]string{"/?u=http://" + cmdtest.Secret}, exit.Usage, "the URL has no scheme"},
		{[]string{"ftp://h/" + cmdtest.Secret}, exit.Usage, "must begin with http:// or https://"},
		{[]string{"http:///" + cmdtest.Secret}, exit.Usage, "the URL has no host"},
		{[]string{"http://h:" + cmdtest.Secret}, exit.Usage, "the URL cannot be parsed"},
		{[]string{"http://u:" + cmdtest.Secret + "@h/"}, exit.Usage, "the URL has a user or password in it"},
		{[]string{"http://u:" + cmdtest.Secret + "/x@h/"}, exit.Usage, "the URL has a user or password in it"},
		{[]string{"-H", cmdtest.Secret, "http://h/"}, exit.Usage, "-H, number 1: has no colon"},
		{[]string{"-H", "A: b", "-H", "Bearer " + cmdtest.Secret + ": x", "http://h/"}, exit.Usage, "-H, number 2: what stands before the colon is no name"},
		{[]string{"-H", "A: " + cmdtest.Secret + "\n", "http://h/"}, exit.Usage, "control character"},
		{[]string{"-H", "Content-Length: 1", "http://h/"}, exit.Usage, "Content-Length follows from the data"},
		{[]string{"-u" + cmdtest.Secret, "http://h/"}, exit.Usage, "unknown flag: -u; holdfast call --help lists"},
		{[]string{"--user=" + cmdtest.Secret, "http://h/"}, exit.Usage, "unknown flag: --user"},
		{[]string{"-d", cmdtest.Secret, "-d", cmdtest.Secret, "http://h/"}, exit.Usage, "-d is given 2 times"},
		{[]string{"-X", "GE T", "http://h/"}, exit.Usage, `-X "GE T": must be a method`},
		{[]string{"-o", "", "http://h/"}, exit.Usage, "-o is empty"},
		{[]string{"--retries", "101", "http://h/"}, exit.Usage, "--retries 101: must be 0 to 100"},
		{[]string{"--retries", "many", "http://h/"}, exit.Usage, `--retries "many": must be a whole number`},
		{[]string{"--total", "soon", "http://h/"}, exit.Usage, `--total "soon": must be a duration up to a year, such as 1.5s, or off`},
		{[]string{"--total", "-1s", "http://h/"}, exit.Usage, "must be a duration"},
		{[]string{"--total", "9000h", "http://h/"}, exit.Usage, "must be a duration up to a year"},
		{[]string{"--max-delay", "off", "http://h/"}, exit.Usage, "--max-delay: must be positive"},
		{[]string{"--max-delay", "1s", "--base-delay", "2s", "http://h/"}, exit.Usage, "--max-delay 1s: must be at least --base-delay, which is 2s"},
		{[]string{"--repeat", "often", "http://h/"}, exit.Usage, `--repeat "often": must be keyed, safe or never`},
		{[]string{"--repeat", "safe", "--no-repeat", "http://h/"}, exit.Usage, "--no-repeat and --repeat safe"},
		{[]string{"--idempotency-key", cmdtest.Secret + "\n", "http://h/"}, exit.Usage, "--idempotency-key: must be printable"},
		{[]string{"-d", "@./no-such-file", "http://h/"}, exit.Config, "-d @./no-such-file: no such file"},
		{[]string{"-d", "@.", "http://h/"}, exit.Config, "-d @.: is a directory"},
		{[]string{"-o", ".", "http://h/"}, exit.Config, "-o .: is a directory"},
		{[]string{"-o", "./no-such-folder/x", "http://h/"}, exit.Config, "-o ./no-such-folder/x: no such file"},
	} {
		status, stdout, stderr := calls(t, tt.args...)
		if status != tt.want || stdout != "" || !strings.HasPrefix(stderr, "holdfast: ") || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d, nothing and %q", tt.args, status, stdout, stderr, tt.want, tt.says)
		}
		if strings.Contains(stderr, cmdtest.Secret) {
			t.Errorf("%q repeats a secret: %q", tt.args, stderr)
		}
	}
}

// What -o names is either as it was, or complete.
func TestCallWritesAFileWholeOrNot(t *testing.T) {
	server := failing(t)
	folder := t.TempDir()
	path, link := filepath.Join(folder, "out"), filepath.Join(folder, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		to, path string
		status   int
		want     string // empty: no such file
	}{
		{path, "/cut", exit.PartialBody, ""},
		{path, "/missing", exit.HTTPError, ""},
		{path, "/first", 0, `"path":"/first"`},
		{path, "/cut", exit.PartialBody, `"path":"/first"`},
		{path, "/torn", exit.ReceiveError, `"path":"/first"`},
		{path, "/missing", exit.HTTPError, `"path":"/first"`},
		{link, "/second", 0, `"path":"/second"`},
	} {
		status, stdout, stderr := calls(t, "-o", tt.to, server.URL()+tt.path)
		got, err := os.ReadFile(path)
		if status != tt.status || !strings.Contains(string(got), tt.want) || (err != nil) != (tt.want == "") {
			t.Errorf("%s: exit status %d, stderr %q, the file has %q (%v); want %d and %q", tt.path, status, stderr, got, err, tt.status, tt.want)
		}
		if (stdout != "") != (tt.path == "/missing") {
			t.Errorf("%s: stdout has %q", tt.path, stdout)
		}
		if tt.status == 0 {
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 || entries[0].Type()&os.ModeSymlink == 0 {
		t.Errorf("the folder has %v (%v), want the file and the link to it", entries, err)
	}
	if _, _, stderr := calls(t, "-o", path, server.URL()+"/third"); stderr != "" {
		t.Errorf("stderr has %q", stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file that was replaced had mode 640, this one has %v (%v)", info.Mode(), err)
	}
	if status, _, stderr := calls(t, "-o", os.DevNull, server.URL()+"/"); status != 0 {
		t.Errorf("-o %s: exit status %d, %q", os.DevNull, status, stderr)
	}
}

func TestCallCannotWrite(t *testing.T) {
	var stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"call", failing(t).URL()}, cmdtest.FullDisk{}, &stderr); status != exit.WriteError {
		t.Errorf("exit status %d, stderr %q; want %d", status, &stderr, exit.WriteError)
	}
}

func TestCallIsInterrupted(t *testing.T) {
	server := failing(t)
	for _, tt := range []struct{ path, when string }{
		{"/hang", "attempt 1 of"},
		{"/flaky", "waiting"},
		{"/stall", `{"met`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		said := cmdtest.Await(tt.when)
		status := make(chan int, 1)
		go func() {
			status <- program.Run(ctx, []string{"call", "-v", "--base-delay", "1h", "--max-delay", "1h", server.URL() + tt.path}, said, said)
		}()
		select {
		case <-said.Seen:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: it did not say %q: %q", tt.path, tt.when, said)
		}
		cancel()
		select {
		case got := <-status:
			if got != exit.Interrupted || !strings.Contains(said.String(), "canceled by the caller") {
				t.Errorf("%s: exit status %d, it said %q; want %d", tt.path, got, said, exit.Interrupted)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: still running 5 s after the interrupt: %q", tt.path, said)
		}
	}
}

// The program itself: what comes from a pipe, and the signal of Ctrl-C while it
// waits for that.
func TestCallAsProgram(t *testing.T) {
	server := failing(t)
	cmd := program.Command(t, "call", "-d", "@-", server.URL()+"/")
	cmd.Stdin = strings.NewReader("from a pipe")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"body_bytes":11}`) {
		t.Errorf("%v: %s", err, out)
	}

	cmd = program.Command(t, "call", "-v", "-d", "@-", server.URL()+"/")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	said := cmdtest.Await("attempt 1 of")
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-said.Seen:
	case <-time.After(10 * time.Second):
		t.Errorf("it did not begin: %q", said)
	}
	// More than a pipe holds: when it is written, the program is reading.
	if _, err := stdin.Write(make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exit.Interrupted {
		t.Errorf("exit status %d, it said %q; want %d", got, said, exit.Interrupted)
	}
}

// A terminal's Read ends when somebody types; an interrupt does not wait for that.
func TestCallLeavesStdin(t *testing.T) {
	silent, typist := io.Pipe()
	defer typist.Close()
	o := caller{data: []string{"@-"}}
	body, _, err := o.body(struct{ io.Reader }{silent})
	closer, ok := body.(io.ReadCloser)
	if err != nil || !ok {
		t.Fatalf("the body is a %T (%v): must be closable", body, err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := closer.Read(make([]byte, 1))
		ended <- err
	}()
	closer.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it read something")
		}
	case <-time.After(5 * time.Second):
		t.Error("Close does not free the Read")
	}
}

// What no server on loopback can be made to do.
func TestCallStatusOf(t *testing.T) {
	err := &holdfast.Error{Err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}
	if got := statusOf(err, false); got != exit.NoSuchHost {
		t.Errorf("exit status %d, want %d", got, exit.NoSuchHost)
	}
}

// The help lists every exit status once, in order.
func TestCallHelpListsStatuses(t *testing.T) {
	_, stdout, _ := calls(t, "--help")
	last := -1
	for _, s := range statuses {
		if s.Status <= last || !strings.Contains(stdout, fmt.Sprintf("%5d  %s\n", s.Status, s.Meaning)) {
			t.Errorf("%d is not in its place", s.Status)
		}
		last = s.Status
	}
}
