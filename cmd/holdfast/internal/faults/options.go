package faults

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/admin"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/listen"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// options are the flags of the command.
type options struct {
	plan, listen, backend string
	as                    string
	tls, h2               bool
	tlsCA, record         string
	admin, adminToken     string
}

// echo is the default backend.
const echo = "echo"

// backends are the services behind the faults.
var backends = map[string]faultserver.Service{
	echo:         faultserver.Echo,
	"embeddings": faultserver.Embeddings,
	"ollama":     faultserver.Ollama,
}

// check checks all flags before the command has any effect.
func (o *options) check(given func(flag string) bool) error {
	_, known := backends[cmp.Or(o.backend, echo)]
	switch {
	case o.plan == "":
		return errors.New("--plan is missing: must be a built-in plan or a file with one; holdfast faults plans lists the built-in plans")
	case given("as") && !slices.Contains(fault.Providers(), fault.Provider(o.as)):
		return fmt.Errorf("--as %q: must be %s", o.as, providerNames())
	case given("as") && given("backend"):
		return fmt.Errorf("--backend %s cannot be combined with --as %s, which has a service of its own", o.backend, o.as)
	case !known:
		return fmt.Errorf("--backend %q: must be %s", o.backend, backendNames())
	case given("tls-ca") && !o.tls:
		return errors.New("--tls-ca needs --tls: without it there is no certificate")
	case given("tls-ca") && o.tlsCA == "":
		return errors.New("--tls-ca is empty: must be a file to write")
	case given("record") && o.record == "":
		return errors.New("--record is empty: must be a file to write")
	case given("record") && given("tls-ca") && files.Same(o.record, o.tlsCA):
		return fmt.Errorf("--record and --tls-ca are both %s: must be two files", o.record)
	case given("record") && plans.IsFile(o.plan) && files.Same(o.record, o.plan):
		return fmt.Errorf("--record %s: is the plan itself, and would be lost", o.record)
	case given("tls-ca") && plans.IsFile(o.plan) && files.Same(o.tlsCA, o.plan):
		return fmt.Errorf("--tls-ca %s: is the plan itself, and would be lost", o.tlsCA)
	case given("admin-token") && !given("admin"):
		return errors.New("--admin-token needs --admin: without it no request needs a token")
	case given("admin-token") && !admin.ValidToken(o.adminToken):
		return errors.New("--admin-token: must be 16 to 256 letters, digits or marks, without blanks")
	}
	if err := listen.CheckAddress(o.listen); err != nil {
		return fmt.Errorf("--listen %q: %w", o.listen, err)
	}
	if !given("admin") {
		return nil
	}
	if err := listen.CheckAddress(o.admin); err != nil {
		return fmt.Errorf("--admin %q: %w", o.admin, err)
	}
	if host, _, _ := net.SplitHostPort(o.admin); host != "localhost" && !listen.IsLoopback(o.admin) {
		return fmt.Errorf("--admin %q: must be on loopback, such as 127.0.0.1:0, because it can change the plan", o.admin)
	}
	return nil
}

// flags are the flags that decide about plans.
func (o *options) flags() plans.Flags {
	return plans.Flags{TLS: o.tls, H2: o.h2, As: fault.Provider(o.as)}
}

// providerNames is the list "openai, anthropic, … or github".
func providerNames() string {
	var names []string
	for _, p := range fault.Providers() {
		names = append(names, string(p))
	}
	return format.List(names, "or")
}

// backendNames is the list "echo, embeddings or ollama".
func backendNames() string { return format.List(slices.Sorted(maps.Keys(backends)), "or") }
