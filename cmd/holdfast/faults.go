package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// backends are what a healthy answer can look like.
var backends = map[string]faultserver.Service{
	"echo":       faultserver.Echo,
	"embeddings": faultserver.Embeddings,
	"ollama":     faultserver.Ollama,
}

// faults is what the command is told.
type faults struct {
	plan, listen, backend string
	tls, h2               bool
	tlsCA, record         string
	admin, adminToken     string
}

func newFaults() *cobra.Command {
	var o faults
	cmd := &cobra.Command{
		Use:   "faults --plan PLAN",
		Short: "Serve a plan of faults, for whatever client is to be tried",
		Long: `Serves a plan of faults until Ctrl-C. The plan is the name of a built-in one (see
holdfast faults plans) or a file, JSON or YAML, which has a separator or an
extension in its name: ./mine, mine.yaml. The first word that it prints is the
URL. At the end it says what it saw, and exits with 0.

With --admin the plan can be changed while it runs, and the record read, on a
listener of its own: GET and PUT /_holdfast/plan, GET /_holdfast/record?after=N,
GET /_holdfast/effects, POST /_holdfast/begin. Each takes the token as
"Authorization: Bearer TOKEN".`,
		Example: `  holdfast faults --plan outage
  holdfast faults --plan bad-tls --tls --tls-ca ca.pem
  holdfast faults --plan mine.yaml --record attempts.ndjson --admin 127.0.0.1:0`,
		Args: noPlanArgument,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd.Flags().Changed); err != nil {
				return exit.With(exit.Usage, err)
			}
			plan, note, err := loadPlan(o.plan)
			if err == nil {
				err = followable(plan, o.tls, o.h2)
			}
			if err != nil {
				return badPlan("--plan "+o.plan, err)
			}
			if note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: note: %s\n", note)
			}
			return o.serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), plan)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.plan, "plan", "", "the `PLAN`: a built-in one by name, or a file; required")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on; port 0 is any that is free")
	f.StringVar(&o.backend, "backend", "echo", "what a healthy answer looks like: `"+backendNames()+"`")
	f.BoolVar(&o.tls, "tls", false, "speak TLS, with a certificate that is made for this run")
	f.BoolVar(&o.h2, "h2", false, "speak HTTP/2 and nothing else: by ALPN with --tls, else to who knows beforehand")
	f.StringVar(&o.tlsCA, "tls-ca", "", "write the certificate's authority to `FILE`, for a client to trust")
	f.StringVar(&o.record, "record", "", "write every attempt to `FILE`, one JSON object on a line")
	f.StringVar(&o.admin, "admin", "", "loopback `ADDRESS` of the admin listener; port 0 is any that is free")
	f.StringVar(&o.adminToken, "admin-token", "", "the `TOKEN` that it asks for, 16 to 256 letters; one is made and printed if there is none")
	cmd.AddCommand(newFaultsList(), newFaultsPlans(), newFaultsExplain(), newFaultsSchema())
	return cmd
}

// check sees whether the arguments make sense, before anything is touched.
func (o *faults) check(given func(flag string) bool) error {
	_, known := backends[o.backend]
	switch {
	case o.plan == "":
		return errors.New("--plan is missing: must be a built-in plan or a file with one; holdfast faults plans lists those there are")
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
	case given("record") && isFile(o.plan) && files.Same(o.record, o.plan):
		return fmt.Errorf("--record %s: is the plan itself, and would be lost", o.record)
	case given("tls-ca") && isFile(o.plan) && files.Same(o.tlsCA, o.plan):
		return fmt.Errorf("--tls-ca %s: is the plan itself, and would be lost", o.tlsCA)
	case given("admin-token") && !given("admin"):
		return errors.New("--admin-token needs --admin: there is nothing to ask for it")
	case given("admin-token") && !goodToken(o.adminToken):
		return errors.New("--admin-token: must be 16 to 256 letters, digits or marks, without blanks")
	}
	if err := checkAddress(o.listen); err != nil {
		return fmt.Errorf("--listen %q: %w", o.listen, err)
	}
	if !given("admin") {
		return nil
	}
	if err := checkAddress(o.admin); err != nil {
		return fmt.Errorf("--admin %q: %w", o.admin, err)
	}
	if host, _, _ := net.SplitHostPort(o.admin); host != "localhost" && !loopback(o.admin) {
		return fmt.Errorf("--admin %q: must be on loopback, as 127.0.0.1:0: who reaches it can change the plan", o.admin)
	}
	return nil
}

// backendNames lists them: "echo, embeddings or ollama".
func backendNames() string { return format.List(slices.Sorted(maps.Keys(backends)), "or") }

const needsH2 = "needs a server that speaks HTTP/2: give --h2"

// followable sees whether the server that is asked for can follow the plan. The
// server would say so too, but of its options in Go.
func followable(plan fault.Plan, tls, h2 bool) error {
	var problems []fault.Problem
	for i, r := range plan.Connections {
		path := fmt.Sprintf("connections[%d].fault", i)
		if r.Fault.TLS != "" && !tls {
			problems = append(problems, fault.Problem{Path: path + ".tls", Message: "needs a server with TLS: give --tls"})
		}
		if r.Fault.H2 != "" && !h2 {
			problems = append(problems, fault.Problem{Path: path + ".h2", Message: needsH2})
		}
	}
	for i, r := range plan.Rules {
		path := fmt.Sprintf("rules[%d].fault", i)
		if r.Fault.H2 != "" && !h2 {
			problems = append(problems, fault.Problem{Path: path + ".h2", Message: needsH2})
		}
		for j, choice := range r.Fault.Mix {
			if choice.Fault.H2 != "" && !h2 {
				problems = append(problems, fault.Problem{Path: fmt.Sprintf("%s.mix[%d].fault.h2", path, j), Message: needsH2})
			}
		}
	}
	if len(problems) > 0 {
		return &fault.Error{Problems: problems}
	}
	return nil
}

// noPlanArgument is noArguments, and knows what people mean by one.
func noPlanArgument(cmd *cobra.Command, given []string) error {
	if len(given) > 0 {
		if near := args.Nearest(cmd, given[0]); near != "" {
			return fmt.Errorf("faults takes no argument; got %q; did you mean %s?", given[0], near)
		}
		if _, err := builtin(given[0]); err == nil || isFile(given[0]) {
			return fmt.Errorf("faults takes no argument; got %q; did you mean --plan %s?", given[0], given[0])
		}
	}
	return args.None(cmd, given)
}

// checkAddress sees whether listen is a host and a port; whether they exist is
// the system's to say.
func checkAddress(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("must be a host and a port from 0 to 65535, as 127.0.0.1:8080")
	}
	return nil
}

func loopback(addr string) bool {
	at, err := netip.ParseAddrPort(addr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}
