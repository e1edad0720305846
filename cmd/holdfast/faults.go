package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// backends are what a healthy answer can look like.
var backends = map[string]faultserver.Service{
	"echo":       faultserver.Echo,
	"embeddings": faultserver.Embeddings,
}

func newFaults() *cobra.Command {
	var name, listen, backend string
	cmd := &cobra.Command{
		Use:   "faults --plan PLAN",
		Short: "Serve a plan of faults, for whatever client is to be tried",
		Long: `Serves a plan of faults until Ctrl-C. The plan is the name of a built-in one (see
holdfast faults plans) or a file, JSON or YAML, which has a separator or an extension in its
name: ./mine, mine.json. The first word that it prints is the URL. At the end it
says what it saw, and exits with 0.`,
		Example: `  holdfast faults --plan outage
  echo '{"version": 1, "rules": [{"nth": "1-2", "fault": {"status": 503}}]}' > plan.json
  holdfast faults --plan plan.json`,
		Args: noPlanArgument,
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, known := backends[backend]
			switch {
			case name == "":
				return exitf(usage, "--plan is missing: must be a built-in plan or a file with one; holdfast faults plans lists those there are")
			case !known:
				return exitf(usage, "--backend %q: must be echo or embeddings", backend)
			}
			if err := checkAddress(listen); err != nil {
				return exitf(usage, "--listen %q: %w", listen, err)
			}
			plan, note, err := loadPlan(name)
			if err != nil {
				return badPlan("--plan "+name, err)
			}
			if note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: note: %s\n", note)
			}
			return serveFaults(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), name, plan, listen, service)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "plan", "", "the `PLAN`: a built-in one by name, or a file; required")
	f.StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on; port 0 is any that is free")
	f.StringVar(&backend, "backend", "echo", "what a healthy answer looks like: `echo or embeddings`")
	cmd.AddCommand(newFaultsList(), newFaultsPlans())
	return cmd
}

// noPlanArgument is noArguments, and knows what people mean by one.
func noPlanArgument(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		cmd.SuggestionsMinimumDistance = 2
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Errorf("faults takes no argument; got %q; did you mean %s?", args[0], near[0])
		}
		if _, err := builtin(args[0]); err == nil || isFile(args[0]) {
			return fmt.Errorf("faults takes no argument; got %q; did you mean --plan %s?", args[0], args[0])
		}
	}
	return noArguments(cmd, args)
}

// serveFaults serves until ctx ends.
func serveFaults(ctx context.Context, stdout, stderr io.Writer, name string, plan fault.Plan, listen string, service faultserver.Service) error {
	server, err := faultserver.New(plan, faultserver.Listen(listen), faultserver.Backend(service))
	if err != nil {
		return exitf(failure, "--listen %s: %w", listen, reason(err))
	}
	defer server.Close()
	if !loopback(server.Addr()) {
		fmt.Fprintf(stderr, "holdfast: note: %s can be reached from other machines\n", server.Addr())
	}
	fmt.Fprintf(stdout, "%s follows %s: %s, seed %d · Ctrl-C ends it\n", server.URL(), name, plural(len(plan.Rules), "rule"), plan.Seed)
	<-ctx.Done()
	if err := server.Close(); err != nil {
		return exitf(failure, "%w", err)
	}
	fmt.Fprintln(stdout, summary(server))
	return nil
}

// reason is an error of the system without the operation and the name before it,
// which the message has already.
func reason(err error) error {
	var path *os.PathError
	var call *os.SyscallError
	var op *net.OpError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
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

// summary says what a server saw.
func summary(s *faultserver.Server) string {
	record, met := s.Record(), map[fault.ID]int{}
	struck := 0
	for _, a := range record {
		if len(a.Faults) > 0 {
			struck++
		}
		for _, id := range a.Faults {
			met[id]++
		}
	}
	said := []string{
		plural(len(record)+s.Dropped(), "request") + " on " + plural(s.Connections(), "connection"),
		number(struck) + " met a fault",
	}
	if s.Dropped() > 0 {
		said[1] += " of the last " + number(len(record))
	}
	if len(met) > 0 {
		var each []string
		for id, n := range met {
			each = append(each, fmt.Sprintf("%s %s", id, number(n)))
		}
		slices.SortFunc(each, cmp.Compare)
		said[1] += " (" + strings.Join(each, ", ") + ")"
	}
	e := s.Effects()
	return strings.Join(append(said, fmt.Sprintf("work done %s, done twice %s", number(e.Done+e.Untracked), number(e.Duplicates))), " · ")
}

func plural(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "ry"):
		what = strings.TrimSuffix(what, "y") + "ies"
	default:
		what += "s"
	}
	return number(n) + " " + what
}
