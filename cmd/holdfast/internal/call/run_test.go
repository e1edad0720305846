package call

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// failing is a service; each of its paths fails in another way.
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

func TestAnswers(t *testing.T) {
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
		status, stdout, stderr := runCall(t, append(tt.args[:last:last], server.URL()+tt.args[last])...)
		if status != 0 || !strings.Contains(stdout, tt.want) || stderr != "" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want 0, %q and nothing", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

// Each failure has its exit status and one message. No output contains a secret, with
// or without -v.
func TestFails(t *testing.T) {
	server, secure := failing(t), failing(t, faultserver.TLS())
	handshakeless := faultserver.Start(t, fault.Plan{Connections: []fault.ConnRule{{Fault: fault.ConnFault{Close: true}}}}, faultserver.TLS())
	plainURL := server.URL()
	for _, tt := range []struct {
		args   string
		want   int
		stdout string
		says   string
	}{
		{"/missing", exit.HTTPError, "no such thing\n", "1  request   404 after"},
		{"-i /missing", exit.HTTPError, "HTTP 404 Not Found\r\n", "not found after 1 attempt"},
		{"/long", exit.HTTPError, "xxx", "bytes of the body of a failure are kept"},
		{"--retries 2 --base-delay 1ms /long", exit.HTTPError, "xxx", "after 3 attempts"},
		{"--retries 2 --base-delay off -d x /reset", exit.ReceiveError, "", "after 3 attempts"},
		{"--retries 2 --base-delay off -d x --no-repeat /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"--retries 2 --base-delay off -d x --repeat safe /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"--retries 2 --base-delay off -X PUT -d x --repeat safe /reset", exit.ReceiveError, "", "after 3 attempts"},
		{"--retries 2 --base-delay off --repeat never /reset", exit.ReceiveError, "", "after 1 attempt"},
		{"/redirect", exit.Failure, "Found", "1  request   302 after"},
		{"--attempt-timeout 20ms /hang", exit.TimedOut, "", "attempt timeout of 20ms"},
		{"--total 20ms -d x /hang", exit.TimedOut, "", "total timeout of 20ms"},
		{"--read-timeout 20ms /stall", exit.TimedOut, `{"met`, "read timeout of 20ms; 5 bytes of it had arrived"},
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
			status, stdout, stderr := runCall(t, args...)
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

// With -i the trailers follow the body, those that were announced and the others. Without
// -i there is only the body.
func TestTrailers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Checksum", "abc")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}))
	defer server.Close()
	const trailers = "\r\nGrpc-Status: 0\r\nX-Checksum: abc\r\n"
	status, stdout, stderr := runCall(t, "-i", server.URL)
	if status != 0 || !strings.HasPrefix(stdout, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(stdout, "\r\n\r\nbody"+trailers) {
		t.Errorf("-i: exit status %d, stdout %q, stderr %q; want the trailers after the body", status, stdout, stderr)
	}
	if _, stdout, _ := runCall(t, server.URL); stdout != "body" {
		t.Errorf("without -i stdout is %q, want the body", stdout)
	}
}

// The file of -o is unchanged or complete.
func TestOutputFile(t *testing.T) {
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
		status, stdout, stderr := runCall(t, "-o", tt.to, server.URL()+tt.path)
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
	if _, _, stderr := runCall(t, "-o", path, server.URL()+"/third"); stderr != "" {
		t.Errorf("stderr has %q", stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file that was replaced had mode 640, this one has %v (%v)", info.Mode(), err)
	}
	if status, _, stderr := runCall(t, "-o", os.DevNull, server.URL()+"/"); status != 0 {
		t.Errorf("-o %s: exit status %d, %q", os.DevNull, status, stderr)
	}
}

func TestWriteError(t *testing.T) {
	var stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"call", failing(t).URL()}, cmdtest.FullDisk{}, &stderr); status != exit.WriteError {
		t.Errorf("exit status %d, stderr %q; want %d", status, &stderr, exit.WriteError)
	}
}

func TestInterrupted(t *testing.T) {
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
				t.Errorf("%s: exit status %d, it wrote %q; want %d", tt.path, got, said, exit.Interrupted)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: still running 5 s after the interrupt: %q", tt.path, said)
		}
	}
}

// As a process: stdin is a pipe, and Ctrl-C is a signal while the program reads it.
func TestProcess(t *testing.T) {
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
	// More than the buffer of a pipe: once it is written, the program is reading.
	if _, err := stdin.Write(make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exit.Interrupted {
		t.Errorf("exit status %d, it wrote %q; want %d", got, said, exit.Interrupted)
	}
}
