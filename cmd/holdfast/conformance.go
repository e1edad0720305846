package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

// judging is what the command is told.
type judging struct {
	program, proxy, listen, only string
	patience                     time.Duration
	h2, asJSON, list             bool
}

func newConformance() *cobra.Command {
	var o judging
	cmd := &cobra.Command{
		Use:   "conformance --exec 'COMMAND {url}' | --client URL",
		Short: "Judge any client, in any language, by the rules that holdfast is judged by",
		Long: `Has a client meet every fault, each by itself, and says where it does other than its
user would want. The rules and what they rest on: --list. The client should be set
up for three retries after some 50 ms, an attempt limit of 0.5 s, and answers of
at most 1 MiB; it has 3 s for a call, and --patience more.

--exec names a command that makes one call when it is run: {url} stands for where,
{method} for how, {body} for a file with the body, {key} for an idempotency key,
{auth} for a line of header, {ca} for a file with the authority to trust, which
SSL_CERT_FILE and CURL_CA_BUNDLE name, too. Status 0 and the body on standard
output are an answer, any other status is an error, standard error is its log.
Without {method} and {body} it is asked for GET only.

--client is a proxy, or any endpoint that makes each call that it gets with the
client that is judged, under the same method, path and query, with the same
headers and body, and answers with what comes back; where nothing does, with 502.
The service that fails is this command: it listens at --listen, and there the proxy
has to send its calls, and nothing else, such as health checks. What the proxy logs
and holds is not seen, and it is asked nothing over TLS.

Exits with 0 if it is right everywhere.`,
		Example: `  holdfast conformance --exec 'curl --silent --show-error --fail --retry 3 --max-time 1 {url}' --patience 8s
  holdfast conformance --exec './mytool {method} {url} {body}'
  holdfast conformance --client http://127.0.0.1:8080 --listen 127.0.0.1:9000`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.program, "exec", "", "the command that makes one call")
	f.StringVar(&o.proxy, "client", "", "where the proxy is called")
	f.StringVar(&o.listen, "listen", "", "where this command is the service that the proxy calls")
	f.StringVar(&o.only, "only", "", "only rules whose names match this expression")
	f.DurationVar(&o.patience, "patience", 0, "how much longer a call may take")
	f.BoolVar(&o.h2, "http2", false, "also the faults of HTTP/2, for a command that speaks it")
	f.BoolVar(&o.asJSON, "json", false, "print the rows as JSON")
	f.BoolVar(&o.list, "list", false, "list the rules and what they rest on")
	return cmd
}

func (o *judging) run(cmd *cobra.Command) error {
	rules, err := o.rules()
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if o.list {
		fmt.Fprint(cmd.OutOrStdout(), conformance.RulesText(rules))
		return nil
	}
	contender, err := o.contender()
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	runner := conformance.Runner{Listen: o.listen, Patience: o.patience}
	if o.h2 {
		runner.H2 = func(service faultserver.Service) (conformance.Server, error) {
			return h2fault.New(fault.Plan{}, h2fault.TLS(), h2fault.Backend(service))
		}
	}
	rows, err := runner.Run(cmd.Context(), rules, []conformance.Contender{contender})
	switch {
	case cmd.Context().Err() != nil:
		return exit.Errorf(exit.Interrupted, "interrupted")
	case err != nil:
		return exit.With(exit.Failure, err)
	case len(rows) == 0:
		return exit.Errorf(exit.Usage, "none of the rules can be asked of this client")
	}
	if err := o.print(cmd, rows); err != nil {
		return exit.With(exit.Failure, err)
	}
	if wrong := conformance.Tallies(rows)[0]; wrong.Right < wrong.Rules {
		return exit.Errorf(exit.Failure, "wrong on %d of %s", wrong.Rules-wrong.Right, format.Plural(wrong.Rules, "rule"))
	}
	return nil
}

func (o *judging) print(cmd *cobra.Command, rows []conformance.Row) error {
	if !o.asJSON {
		_, err := fmt.Fprint(cmd.OutOrStdout(), conformance.Table(rows))
		return err
	}
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

func (o *judging) rules() ([]conformance.Rule, error) {
	e, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	rules := slices.DeleteFunc(conformance.Rules(), func(r conformance.Rule) bool { return !e.MatchString(r.ID()) })
	if len(rules) == 0 {
		return nil, fmt.Errorf("--only %q: no rule has such a name; --list has them", o.only)
	}
	return rules, nil
}

// maxPatience bounds a run: some eighty calls may take so much longer each.
const maxPatience = time.Minute

func (o *judging) contender() (conformance.Contender, error) {
	switch {
	case (o.program == "") == (o.proxy == ""):
		return conformance.Contender{}, errors.New("give either --exec or --client")
	case o.patience < 0 || o.patience > maxPatience:
		return conformance.Contender{}, fmt.Errorf("--patience %s: must be 0 to %s", o.patience, maxPatience)
	case o.proxy == "":
		if o.listen != "" {
			return conformance.Contender{}, errors.New("--listen goes with --client")
		}
		c, err := conformance.Program(o.program)
		if err != nil {
			return c, fmt.Errorf("--exec: %w", err)
		}
		return c, nil
	case o.listen == "":
		return conformance.Contender{}, errors.New("--client needs --listen, the address that the proxy calls")
	case o.h2:
		return conformance.Contender{}, errors.New("--http2 goes with --exec")
	}
	u, err := url.Parse(o.proxy)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return conformance.Contender{}, errors.New("--client: must be an http URL without a password and a query")
	}
	if _, port, err := net.SplitHostPort(o.listen); err != nil || port == "" || port == "0" {
		return conformance.Contender{}, fmt.Errorf("--listen %q: must be the host and port that the proxy calls, as 127.0.0.1:9000", o.listen)
	}
	return conformance.Proxy(o.proxy), nil
}
