// Package integration tests this repository against other programs. It has only
// tests.
//
// Debian's curl meets every fault of package faultserver and of its h2fault,
// and must end with the exit code of its manual for such a failure. This
// confirms the faults independently. holdfast's client meets the faults of
// HTTP/2 over net/http's frames. The official clients of Ollama and of
// Mixedbread use the fault server as their service and must agree with our
// providers.
//
// Debian's PostgreSQL is written to through pgx and a policy while it is
// killed, restarted and stopped.
package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// The exit codes of curl(1), "EXIT CODES".
const (
	done         = 0
	unsupported  = 1  // protocol: an answer of HTTP/0.9 among others
	connect      = 7  // failed to connect
	weird        = 8  // weird server reply
	h2Framing    = 16 // error in the HTTP/2 framing layer
	partial      = 18 // partial file
	httpError    = 22 // 400 or above, with --fail
	outOfMemory  = 27
	timeout      = 28
	handshake    = 35 // TLS
	redirects    = 47 // too many
	empty        = 52 // the server did not answer
	sendError    = 55
	receiveError = 56
	certificate  = 60 // could not be verified
	encoding     = 61 // unrecognized content encoding
	h2Stream     = 92 // stream error in HTTP/2
	tooLarge     = 100
)

// A meeting is the expected behaviour of curl for one fault.
type meeting struct {
	// The fault of every request or of every connection, or a whole plan.
	fault fault.Fault
	conn  fault.ConnFault
	plan  fault.Plan
	tls   bool
	path  string // of the URL; empty means /work
	// args precede the URL. URL is replaced by it.
	args string
	// exit lists the valid exit codes of curl. If there are several, why gives
	// the cause (often the version: Debian 12 has 7.88.1). If done is one of
	// them, why gives the reason.
	exit []int
	why  string
	// says is a part of curl's output.
	says string
	// server checks the server's record if the exit code is not enough.
	server func(t *testing.T, s server)
}

// server is the interface of both fault servers.
type server interface {
	URL() string
	Record() []faultserver.Attempt
	Connections() int
	Close() error
}

func (m *meeting) asPlan() fault.Plan {
	switch {
	case m.conn != fault.ConnFault{}:
		return fault.Plan{Connections: []fault.ConnRule{{Fault: m.conn}}}
	case m.plan.Rules != nil || m.plan.Connections != nil || m.plan.Capacity != nil:
		return m.plan
	default:
		return fault.Plan{Rules: []fault.Rule{{Fault: m.fault}}}
	}
}

// impatient ends endless waits. It is the shortest limit that a busy machine
// keeps on a fast connection.
const impatient = " --max-time 0.5"

// large is a body larger than all windows and buffers.
const large = 8 << 20

func TestCurlMeetsEveryFault(t *testing.T) {
	body := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(body, make([]byte, large), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, entry := range fault.Catalog() {
		meet(t, entry.ID, curlMeets, body, func(t *testing.T, m meeting) (server, []byte) {
			if !m.tls {
				return faultserver.Start(t, m.asPlan()), nil
			}
			s := faultserver.Start(t, m.asPlan(), faultserver.TLS())
			return s, s.Certificate().Raw
		})
	}
	for _, entry := range h2fault.Catalog() {
		meet(t, entry.ID, curlMeetsH2, body, func(t *testing.T, m meeting) (server, []byte) {
			if !m.tls {
				return h2fault.Start(t, m.asPlan()), nil
			}
			s := h2fault.Start(t, m.asPlan(), h2fault.TLS())
			return s, s.Certificate().Raw
		})
	}
	for id := range curlMeets {
		if !listed(id, fault.Catalog()) {
			t.Errorf("%s has a meeting, but is in no catalog", id)
		}
	}
	for id := range curlMeetsH2 {
		if !listed(id, h2fault.Catalog()) {
			t.Errorf("%s has a meeting, but is in no catalog", id)
		}
	}
}

func listed(id fault.ID, catalog []fault.Entry) bool {
	return slices.ContainsFunc(catalog, func(e fault.Entry) bool { return e.ID == id })
}

func meet(t *testing.T, id fault.ID, meetings map[fault.ID]meeting, body string, start func(*testing.T, meeting) (server, []byte)) {
	m, ok := meetings[id]
	if !ok {
		t.Errorf("%s has no meeting: add one", id)
		return
	}
	t.Run(string(id), func(t *testing.T) {
		t.Parallel()
		s, authority := start(t, m)
		url := s.URL() + cmp.Or(m.path, "/work")
		args := strings.Fields(strings.NewReplacer("URL", url, "LARGE", body).Replace(m.args))
		if authority != nil {
			path := filepath.Join(t.TempDir(), "authority.pem")
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority})
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--cacert", path)
		}
		exit, said := curl(t, append(args, url))
		if !slices.Contains(m.exit, exit) {
			t.Errorf("curl %s: exit %d, want one of %v\n%s", strings.Join(args, " "), exit, m.exit, said)
		}
		if m.why == "" && (len(m.exit) > 1 || slices.Contains(m.exit, done)) {
			t.Errorf("it may end with any of %v, and why is empty", m.exit)
		}
		if !strings.Contains(said, m.says) {
			t.Errorf("curl does not say %q:\n%s", m.says, said)
		}
		t.Logf("exit %d: %s", exit, said)
		met := func(a faultserver.Attempt) bool { return a.Met(id) }
		if id != fault.IDRefuse && !slices.ContainsFunc(s.Record(), met) { // the server does not see refused connections
			t.Errorf("the server has not struck: %+v", s.Record())
		}
		if m.server != nil {
			m.server(t, s)
		}
	})
}

// curl returns the exit code and the output, with as little influence of the
// environment as possible.
func curl(t *testing.T, args []string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	args = append([]string{"--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "10", "--output", os.DevNull}, args...)
	cmd := exec.CommandContext(ctx, "curl", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String())
}
