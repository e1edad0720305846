package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

var program = cmdtest.Program(newRoot)

func TestMain(m *testing.M) { program.Main(m) }

func TestWrongUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	healthy := cmdtest.JSON(t, `{}`)
	malformed := cmdtest.JSON(t, `{"version": 1, "rules": [{"fault": {"status": 99}}, {"fault": {"status": 503, "comit": true}}]}`)
	huge := cmdtest.JSON(t, strings.Repeat(" ", 1<<20)+"{}")

	tests := []struct {
		args []string
		want int
		says []string
	}{
		{[]string{"dmo"}, exit.Usage, []string{`unknown command "dmo"; did you mean demo?`}},
		{[]string{"quux"}, exit.Usage, []string{`unknown command "quux"; there are call, config, conformance, demo, embed, faults and version`}},
		{[]string{"--quux"}, exit.Usage, []string{"unknown flag: --quux; holdfast --help lists the flags"}},
		{[]string{"demo", "quux"}, exit.Usage, []string{`demo takes no argument; got "quux"`}},
		{[]string{"demo", "--jsn"}, exit.Usage, []string{"unknown flag: --jsn; holdfast demo --help lists the flags"}},
		{[]string{"demo", "--json=perhaps"}, exit.Usage, []string{`--json "perhaps": must be true or false`}},
		{[]string{"demo", "--seed", "-1"}, exit.Usage, []string{`--seed "-1": must be a whole number from 0`}},
		{[]string{"demo", "--seed"}, exit.Usage, []string{"flag needs an argument: --seed"}},
		{[]string{"demo", "--seconds", "soon"}, exit.Usage, []string{`--seconds "soon": must be a number`}},
		{[]string{"demo", "--seconds", "2.9"}, exit.Usage, []string{"--seconds 2.9: must be 3 to 60"}},
		{[]string{"demo", "--seconds", "61"}, exit.Usage, []string{"--seconds 61: must be 3 to 60"}},
		{[]string{"demo", "--seconds", "NaN"}, exit.Usage, []string{"--seconds NaN: must be 3 to 60"}},
		{[]string{"demo", "--plant", "weed"}, exit.Usage, []string{`--plant "weed": must be fresh-key`}},
		{[]string{"faults"}, exit.Usage, []string{"--plan is missing"}},
		{[]string{"faults", healthy}, exit.Usage, []string{"faults takes no argument", "did you mean --plan " + healthy}},
		{[]string{"faults", "outage"}, exit.Usage, []string{`got "outage"; did you mean --plan outage?`}},
		{[]string{"faults", "lits"}, exit.Usage, []string{`got "lits"; did you mean list?`}},
		{[]string{"faults", "quux"}, exit.Usage, []string{`faults takes no argument; got "quux"`}},
		{[]string{"faults", "list", "quux"}, exit.Usage, []string{`list takes no argument; got "quux"`}},
		{[]string{"faults", "plans", "outge"}, exit.Usage, []string{`"outge" is not a built-in plan; did you mean outage?`}},
		{[]string{"faults", "plans", "a", "b"}, exit.Usage, []string{"at most 1"}},
		{[]string{"faults", "--plan", "outge"}, exit.Usage, []string{`--plan outge: "outge" is not a built-in plan; did you mean outage?`}},
		{[]string{"faults", "--plan", healthy, "--backend", "quux"}, exit.Usage, []string{`--backend "quux": must be echo, embeddings or ollama`}},
		{[]string{"faults", "--plan", healthy, "--listen", "8080"}, exit.Usage, []string{`--listen "8080": must be a host and a port`}},
		{[]string{"faults", "--plan", healthy, "--listen", "127.0.0.1:70000"}, exit.Usage, []string{`--listen "127.0.0.1:70000": must be a host and a port from 0 to 65535`}},
		{[]string{"faults", "--plan", "healthy", "--tls-ca", "ca.pem"}, exit.Usage, []string{"--tls-ca needs --tls"}},
		{[]string{"faults", "--plan", "healthy", "--tls", "--tls-ca", ""}, exit.Usage, []string{"--tls-ca is empty"}},
		{[]string{"faults", "--plan", "healthy", "--record", ""}, exit.Usage, []string{"--record is empty"}},
		{[]string{"faults", "--plan", healthy, "--record", healthy}, exit.Usage, []string{"is the plan itself, and would be lost"}},
		{[]string{"faults", "--plan", "healthy", "--admin", ""}, exit.Usage, []string{`--admin "": must be a host and a port`}},
		{[]string{"faults", "--plan", "healthy", "--admin", ":0"}, exit.Usage, []string{`--admin ":0": must be on loopback`}},
		{[]string{"faults", "--plan", "healthy", "--admin", "0.0.0.0:0"}, exit.Usage, []string{`--admin "0.0.0.0:0": must be on loopback`}},
		{[]string{"faults", "--plan", "healthy", "--admin", "example.com:0"}, exit.Usage, []string{"must be on loopback"}},
		{[]string{"faults", "--plan", "healthy", "--admin-token", "0123456789abcdef"}, exit.Usage, []string{"--admin-token needs --admin"}},
		{[]string{"faults", "--plan", "healthy", "--admin", "127.0.0.1:0", "--admin-token", "short"}, exit.Usage, []string{"--admin-token: must be 16 to 256"}},
		{[]string{"faults", "--plan", "bad-tls"}, exit.Config, []string{"--plan bad-tls: fault plan: 6 problems", "connections[0].fault.tls: needs a server with TLS: give --tls"}},
		{[]string{"faults", "--plan", "h2"}, exit.Config, []string{"--plan h2: fault plan: 7 problems", "connections[0].fault.h2: needs a server that speaks HTTP/2: give --h2", "rules[0].fault.mix[1].fault.h2: needs"}},
		{[]string{"faults", "--plan", "overload", "--h2"}, exit.Config, []string{"--plan overload: fault plan: capacity: "}},
		{[]string{"faults", "explain"}, exit.Usage, []string{"explain takes one argument"}},
		{[]string{"faults", "explain", "outge"}, exit.Usage, []string{`did you mean outage?`}},
		{[]string{"faults", "explain", malformed}, exit.Config, []string{"2 problems", "rules[0].fault.status: 99 must be"}},
		{[]string{"faults", "explain", huge}, exit.Config, []string{"at most 1048576 are allowed"}},
		{[]string{"faults", "--plan", "./no-such-file"}, exit.Config, []string{"--plan ./no-such-file: no such file"}},
		{[]string{"faults", "--plan", t.TempDir()}, exit.Config, []string{"is a directory"}},
		{[]string{"faults", "--plan", huge}, exit.Config, []string{"at most 1048576 are allowed"}},
		{[]string{"faults", "--plan", malformed}, exit.Config, []string{"2 problems", "rules[0].fault.status: 99 must be", "rules[1].fault.comit: unknown key; did you mean commit?"}},
		{[]string{"faults", "--plan", healthy, "--listen", taken.Addr().String()}, exit.Failure, []string{"--listen " + taken.Addr().String() + ": address already in use"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := program.Run(t.Context(), tt.args, &stdout, &stderr); got != tt.want {
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
		{"", "Resilient outbound calls"},
		{"--help", "faults"},
		{"help demo", "--plant fresh-key"},
		{"faults --help", "--listen ADDRESS"},
		{"--version", "holdfast "},
	} {
		var stdout, stderr bytes.Buffer
		if got := program.Run(t.Context(), strings.Fields(tt.args), &stdout, &stderr); got != 0 {
			t.Errorf("%q: exit status %d, want 0", tt.args, got)
		}
		if !strings.Contains(stdout.String(), tt.says) || stderr.Len() > 0 {
			t.Errorf("%q: stdout %q, stderr %q; want %q on stdout", tt.args, &stdout, &stderr, tt.says)
		}
	}
}
