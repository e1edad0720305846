package faults

import (
	"net"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

var program = cmdtest.Of(NewCommand)

func TestWrongUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	healthy := cmdtest.JSON(t, `{}`)
	malformed := cmdtest.JSON(t, `{"version": 1, "rules": [{"fault": {"status": 99}}, {"fault": {"status": 503, "comit": true}}]}`)
	huge := cmdtest.JSON(t, strings.Repeat(" ", 1<<20)+"{}")

	program.Fails(t, exit.Usage, "--plan is missing", "faults")
	program.Fails(t, exit.Usage, "faults takes no argument … did you mean --plan "+healthy, "faults", healthy)
	program.Fails(t, exit.Usage, `got "outage"; did you mean --plan outage?`, "faults", "outage")
	program.Fails(t, exit.Usage, `got "lits"; did you mean list?`, "faults", "lits")
	program.Fails(t, exit.Usage, `faults takes no argument; got "quux"`, "faults", "quux")
	program.Fails(t, exit.Usage, `list takes no argument; got "quux"`, "faults", "list", "quux")
	program.Fails(t, exit.Usage, "faults takes no argument; got 1: are quotes missing?", "faults", "--admin-token", "a", "quux")
	program.Fails(t, exit.Usage, "unknown flag: --admin-token…; ", "faults", "--admin-tokenquux")
	program.Fails(t, exit.Usage, `"outge" is not a built-in plan; did you mean outage?`, "faults", "plans", "outge")
	program.Fails(t, exit.Usage, "at most 1", "faults", "plans", "a", "b")
	program.Fails(t, exit.Usage, `--plan outge: "outge" is not a built-in plan; did you mean outage?`, "faults", "--plan", "outge")
	program.Fails(t, exit.Usage, `--backend "quux": must be echo, embeddings or ollama`, "faults", "--plan", healthy, "--backend", "quux")
	program.Fails(t, exit.Usage, `--as "opnai": must be openai, anthropic, ollama, gemini or github`, "faults", "--plan", healthy, "--as", "opnai")
	program.Fails(t, exit.Usage, "--backend echo cannot be combined with --as gemini", "faults", "--plan", healthy, "--as", "gemini", "--backend", "echo")
	program.Fails(t, exit.Config, `--plan model-api: fault plan: 9 faults, the first at rules[0].fault.api, need a provider: give --as, such as --as openai`, "faults", "--plan", "model-api")
	program.Fails(t, exit.Config, `as: "ollama" contradicts --as openai: leave out one of them`, "faults", "--plan", cmdtest.JSON(t, `{"as": "ollama"}`), "--as", "openai")
	program.Fails(t, exit.Config, "rules[2].fault.mix[0].fault.stream: github has no streams", "faults", "--plan", "model-api", "--as", "github")
	program.Fails(t, exit.Usage, `--listen "8080": must be a host and a port`, "faults", "--plan", healthy, "--listen", "8080")
	program.Fails(t, exit.Usage, `--listen "127.0.0.1:70000": must be a host and a port from 0 to 65535`, "faults", "--plan", healthy, "--listen", "127.0.0.1:70000")
	program.Fails(t, exit.Usage, "--tls-ca needs --tls", "faults", "--plan", "healthy", "--tls-ca", "ca.pem")
	program.Fails(t, exit.Usage, "--tls-ca is empty", "faults", "--plan", "healthy", "--tls", "--tls-ca", "")
	program.Fails(t, exit.Usage, "--record is empty", "faults", "--plan", "healthy", "--record", "")
	program.Fails(t, exit.Usage, "is the plan itself, and would be lost", "faults", "--plan", healthy, "--record", healthy)
	program.Fails(t, exit.Usage, `--admin "": must be a host and a port`, "faults", "--plan", "healthy", "--admin", "")
	program.Fails(t, exit.Usage, `--admin ":0": must be on loopback`, "faults", "--plan", "healthy", "--admin", ":0")
	program.Fails(t, exit.Usage, `--admin "0.0.0.0:0": must be on loopback`, "faults", "--plan", "healthy", "--admin", "0.0.0.0:0")
	program.Fails(t, exit.Usage, "must be on loopback", "faults", "--plan", "healthy", "--admin", "example.com:0")
	program.Fails(t, exit.Usage, "--admin-token needs --admin", "faults", "--plan", "healthy", "--admin-token", "0123456789abcdef")
	program.Fails(t, exit.Usage, "--admin-token: must be 16 to 256", "faults", "--plan", "healthy", "--admin", "127.0.0.1:0", "--admin-token", "short")
	program.Fails(t, exit.Config, "--plan bad-tls: fault plan: 6 faults, the first at connections[0].fault.tls, need a server with TLS: give --tls", "faults", "--plan", "bad-tls")
	program.Fails(t, exit.Config, "--plan h2: fault plan: 7 faults, the first at connections[0].fault.h2, need a server that speaks HTTP/2: give --h2", "faults", "--plan", "h2")
	program.Fails(t, exit.Config, "fault plan: rules[0].fault.h2: needs a server that speaks HTTP/2: give --h2", "faults", "--plan", cmdtest.JSON(t, `{"rules": [{"fault": {"h2": "rst_stream_refused"}}]}`))
	program.Fails(t, exit.Config, "--plan overload: fault plan: capacity: ", "faults", "--plan", "overload", "--h2")
	program.Fails(t, exit.Usage, "explain takes one argument", "faults", "explain")
	program.Fails(t, exit.Usage, `did you mean outage?`, "faults", "explain", "outge")
	program.Fails(t, exit.Config, "2 problems … rules[0].fault.status: 99 must be", "faults", "explain", malformed)
	program.Fails(t, exit.Config, "at most 1048576 are allowed", "faults", "explain", huge)
	program.Fails(t, exit.Config, "--plan ./no-such-file: no such file", "faults", "--plan", "./no-such-file")
	program.Fails(t, exit.Config, "is a directory", "faults", "--plan", t.TempDir())
	program.Fails(t, exit.Config, "at most 1048576 are allowed", "faults", "--plan", huge)
	program.Fails(t, exit.Config, "2 problems … rules[0].fault.status: 99 must be … rules[1].fault.comit: unknown key; did you mean commit?", "faults", "--plan", malformed)
	program.Fails(t, exit.Failure, "--listen "+taken.Addr().String()+": address already in use", "faults", "--plan", healthy, "--listen", taken.Addr().String())
}
