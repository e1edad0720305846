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
	var file, listen, backend string
	cmd := &cobra.Command{
		Use:   "faults --plan FILE",
		Short: "Serve a plan of faults, for whatever client is to be tried",
		Long: `Serves a plan of faults (JSON; see the package fault) until Ctrl-C. The first word
that it prints is the URL. At the end it says what it saw, and exits with 0.`,
		Example: `  echo '{"version": 1, "rules": [{"nth": "1-2", "fault": {"status": 503}}]}' > plan.json
  holdfast faults --plan plan.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, known := backends[backend]
			switch {
			case file == "":
				return exitf(usage, "--plan is missing: must be a file with a plan of faults")
			case !known:
				return exitf(usage, "--backend %q: must be echo or embeddings", backend)
			}
			if err := checkAddress(listen); err != nil {
				return exitf(usage, "--listen %q: %w", listen, err)
			}
			plan, err := readPlan(file)
			if err != nil {
				return exitf(config, "--plan %s: %w", file, err)
			}
			return serveFaults(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), file, plan, listen, service)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "plan", "", "the `FILE` with the plan; required")
	f.StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on; port 0 is any that is free")
	f.StringVar(&backend, "backend", "echo", "what a healthy answer looks like: `echo or embeddings`")
	return cmd
}

// serveFaults serves until ctx ends.
func serveFaults(ctx context.Context, stdout, stderr io.Writer, file string, plan fault.Plan, listen string, service faultserver.Service) error {
	server, err := faultserver.New(plan, faultserver.Listen(listen), faultserver.Backend(service))
	if err != nil {
		return exitf(failure, "--listen %s: %w", listen, reason(err))
	}
	defer server.Close()
	if !loopback(server.Addr()) {
		fmt.Fprintf(stderr, "holdfast: note: %s can be reached from other machines\n", server.Addr())
	}
	fmt.Fprintf(stdout, "%s follows %s: %s, seed %d · Ctrl-C ends it\n", server.URL(), file, plural(len(plan.Rules), "rule"), plan.Seed)
	<-ctx.Done()
	if err := server.Close(); err != nil {
		return exitf(failure, "%w", err)
	}
	fmt.Fprintln(stdout, summary(server))
	return nil
}

// readPlan reads no more of the file than a plan may have.
func readPlan(file string) (fault.Plan, error) {
	f, err := os.Open(file)
	if err != nil {
		return fault.Plan{}, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fault.MaxPlanBytes+1))
	if err != nil {
		return fault.Plan{}, reason(err)
	}
	return fault.Parse(data)
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
