package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test's binary be the program, for tests that need it as a
// process of its own: its exit status, its signals, its count of goroutines.
func TestMain(m *testing.M) {
	if os.Getenv("HOLDFAST_TEST_AS_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program prepares the program as a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "HOLDFAST_TEST_AS_PROGRAM=1")
	return cmd
}

// writeFile makes a file for a test, and gives its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrongUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	healthy := writeFile(t, `{}`)
	malformed := writeFile(t, `{"version": 1, "rules": [{"fault": {"status": 99}}, {"fault": {"status": 503, "comit": true}}]}`)
	huge := writeFile(t, strings.Repeat(" ", 1<<20)+"{}")

	tests := []struct {
		args []string
		want int
		says []string
	}{
		{[]string{"dmo"}, usage, []string{`unknown command "dmo"; did you mean demo?`}},
		{[]string{"quux"}, usage, []string{`unknown command "quux"; there are call, config, conformance, demo, embed, faults and version`}},
		{[]string{"--quux"}, usage, []string{"unknown flag: --quux; holdfast --help lists"}},
		{[]string{"demo", "quux"}, usage, []string{`demo takes no argument; got "quux"`}},
		{[]string{"demo", "--jsn"}, usage, []string{"unknown flag: --jsn; holdfast demo --help lists"}},
		{[]string{"demo", "--json=perhaps"}, usage, []string{`--json "perhaps": must be true or false`}},
		{[]string{"demo", "--seed", "-1"}, usage, []string{`--seed "-1": must be a whole number from 0`}},
		{[]string{"demo", "--seed"}, usage, []string{"flag needs an argument: --seed"}},
		{[]string{"demo", "--seconds", "soon"}, usage, []string{`--seconds "soon": must be a number`}},
		{[]string{"demo", "--seconds", "2.9"}, usage, []string{"--seconds 2.9: must be 3 to 60"}},
		{[]string{"demo", "--seconds", "61"}, usage, []string{"--seconds 61: must be 3 to 60"}},
		{[]string{"demo", "--seconds", "NaN"}, usage, []string{"--seconds NaN: must be 3 to 60"}},
		{[]string{"demo", "--plant", "weed"}, usage, []string{`--plant "weed": must be fresh-key`}},
		{[]string{"faults"}, usage, []string{"--plan is missing"}},
		{[]string{"faults", healthy}, usage, []string{"faults takes no argument", "did you mean --plan " + healthy}},
		{[]string{"faults", "outage"}, usage, []string{`got "outage"; did you mean --plan outage?`}},
		{[]string{"faults", "lits"}, usage, []string{`got "lits"; did you mean list?`}},
		{[]string{"faults", "quux"}, usage, []string{`faults takes no argument; got "quux"`}},
		{[]string{"faults", "list", "quux"}, usage, []string{`list takes no argument; got "quux"`}},
		{[]string{"faults", "plans", "outge"}, usage, []string{`"outge" is not a built-in plan; did you mean outage?`}},
		{[]string{"faults", "plans", "a", "b"}, usage, []string{"at most 1"}},
		{[]string{"faults", "--plan", "outge"}, usage, []string{`--plan outge: "outge" is not a built-in plan; did you mean outage?`}},
		{[]string{"faults", "--plan", healthy, "--backend", "quux"}, usage, []string{`--backend "quux": must be echo, embeddings or ollama`}},
		{[]string{"faults", "--plan", healthy, "--listen", "8080"}, usage, []string{`--listen "8080": must be a host and a port`}},
		{[]string{"faults", "--plan", healthy, "--listen", "127.0.0.1:70000"}, usage, []string{`--listen "127.0.0.1:70000": must be a host and a port from 0 to 65535`}},
		{[]string{"faults", "--plan", "healthy", "--tls-ca", "ca.pem"}, usage, []string{"--tls-ca needs --tls"}},
		{[]string{"faults", "--plan", "healthy", "--tls", "--tls-ca", ""}, usage, []string{"--tls-ca is empty"}},
		{[]string{"faults", "--plan", "healthy", "--record", ""}, usage, []string{"--record is empty"}},
		{[]string{"faults", "--plan", healthy, "--record", healthy}, usage, []string{"is the plan itself, and would be lost"}},
		{[]string{"faults", "--plan", "healthy", "--admin", ""}, usage, []string{`--admin "": must be a host and a port`}},
		{[]string{"faults", "--plan", "healthy", "--admin", ":0"}, usage, []string{`--admin ":0": must be on loopback`}},
		{[]string{"faults", "--plan", "healthy", "--admin", "0.0.0.0:0"}, usage, []string{`--admin "0.0.0.0:0": must be on loopback`}},
		{[]string{"faults", "--plan", "healthy", "--admin", "example.com:0"}, usage, []string{"must be on loopback"}},
		{[]string{"faults", "--plan", "healthy", "--admin-token", "0123456789abcdef"}, usage, []string{"--admin-token needs --admin"}},
		{[]string{"faults", "--plan", "healthy", "--admin", "127.0.0.1:0", "--admin-token", "short"}, usage, []string{"--admin-token: must be 16 to 256"}},
		{[]string{"faults", "--plan", "bad-tls"}, config, []string{"--plan bad-tls: fault plan: 6 problems", "connections[0].fault.tls: needs a server with TLS: give --tls"}},
		{[]string{"faults", "--plan", "h2"}, config, []string{"--plan h2: fault plan: 7 problems", "connections[0].fault.h2: needs a server that speaks HTTP/2: give --h2", "rules[0].fault.mix[1].fault.h2: needs"}},
		{[]string{"faults", "--plan", "overload", "--h2"}, config, []string{"--plan overload: fault plan: capacity: "}},
		{[]string{"faults", "explain"}, usage, []string{"explain takes one argument"}},
		{[]string{"faults", "explain", "outge"}, usage, []string{`did you mean outage?`}},
		{[]string{"faults", "explain", malformed}, config, []string{"2 problems", "rules[0].fault.status: 99 must be"}},
		{[]string{"faults", "explain", huge}, config, []string{"at most 1048576 are allowed"}},
		{[]string{"faults", "--plan", "./no-such-file"}, config, []string{"--plan ./no-such-file: no such file"}},
		{[]string{"faults", "--plan", t.TempDir()}, config, []string{"is a directory"}},
		{[]string{"faults", "--plan", huge}, config, []string{"at most 1048576 are allowed"}},
		{[]string{"faults", "--plan", malformed}, config, []string{"2 problems", "rules[0].fault.status: 99 must be", "rules[1].fault.comit: unknown key; did you mean commit?"}},
		{[]string{"faults", "--plan", healthy, "--listen", taken.Addr().String()}, failure, []string{"--listen " + taken.Addr().String() + ": address already in use"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), tt.args, &stdout, &stderr); got != tt.want {
				t.Errorf("exit status %d, want %d", got, tt.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout has %q, want nothing", &stdout)
			}
			message := stderr.String()
			if !strings.HasPrefix(message, "holdfast: ") || strings.Count(message, "holdfast: ") != 1 {
				t.Errorf("stderr has %q, want one message of holdfast", message)
			}
			for _, part := range tt.says {
				if !strings.Contains(message, part) {
					t.Errorf("stderr has %q, want it to say %q", message, part)
				}
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"", "Outbound calls that hold"},
		{"--help", "faults"},
		{"help demo", "--plant fresh-key"},
		{"faults --help", "--listen ADDRESS"},
		{"--version", "holdfast "},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), strings.Fields(tt.args), &stdout, &stderr); got != 0 {
			t.Errorf("%q: exit status %d, want 0", tt.args, got)
		}
		if !strings.Contains(stdout.String(), tt.says) || stderr.Len() > 0 {
			t.Errorf("%q: stdout %q, stderr %q; want %q on stdout", tt.args, &stdout, &stderr, tt.says)
		}
	}
}

// watched is an output that tells when a text was written to it.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{} // closed then
}

func watch(want string) *watched { return &watched{want: want, seen: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if w.want != "" && strings.Contains(w.text.String(), w.want) {
		w.want = ""
		close(w.seen)
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// running is the program, run in this process.
type running struct {
	out, err *watched
	cancel   context.CancelFunc // Ctrl-C
	status   chan int
	before   int // goroutines
}

// start runs the program until it has written ready to stdout.
func start(t *testing.T, ready string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{out: watch(ready), err: watch(""), cancel: cancel, status: make(chan int, 1), before: runtime.NumGoroutine()}
	t.Cleanup(cancel)
	go func() { r.status <- run(ctx, args, r.out, r.err) }()
	select {
	case <-r.out.seen:
	case status := <-r.status:
		t.Fatalf("exit status %d before it said %q: stdout %q, stderr %q", status, ready, r.out, r.err)
	case <-time.After(20 * time.Second):
		t.Fatalf("it did not say %q within 20 s: stdout %q, stderr %q", ready, r.out, r.err)
	}
	return r
}

// interrupt ends it, sees that it does so promptly and that nothing is left of
// it, and gives its exit status.
func (r *running) interrupt(t *testing.T, addr string) int {
	t.Helper()
	r.cancel()
	var status int
	select {
	case status = <-r.status:
	case <-time.After(5 * time.Second):
		t.Fatalf("still running 5 s after the interrupt: stdout %q, stderr %q", r.out, r.err)
	}
	if n := leaked(r.before); n > 0 {
		t.Errorf("%d goroutines are left", n)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Errorf("%s still accepts connections", addr)
	}
	return status
}
