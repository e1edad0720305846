// Package conformance is the command holdfast conformance: it tests any HTTP client
// against the faults of the fault server.
package conformance

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

// NewCommand makes the command.
func NewCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "conformance --exec 'COMMAND {url}' | --client URL",
		Short: "Test any HTTP client, in any language, by the rules that holdfast is tested by",
		Long: `Exposes a client to each fault separately, and reports where its behaviour is not what
its user would want. --list prints the rules and their sources. The client should be
configured for three retries after about 50 ms, an attempt timeout of 0.5 s and
answers of at most 1 MiB. A call may take 3 s, plus --patience.

--exec is a command that makes one call. In the command, {url} stands for the URL,
{method} for the method, {body} for a file with the body, {key} for an idempotency
key, {auth} for a header line with credentials, and {ca} for a file with the
certificate authority to trust. SSL_CERT_FILE and CURL_CA_BUNDLE name that file too.
Exit status 0 means that standard output is the body of the answer. Any other status
is an error. Standard error is the log. Without {method} and {body} the test has GET
requests only.

--client is a reverse proxy, or any other endpoint that uses the client. It makes a
call for each request that it receives, with the same method, path, query, headers
and body, and returns the answer, or 502 if there is none. This command is also the
failing service: it listens at --listen. The proxy must send its calls there, and
nothing else, such as health checks. The logs and the resources of the proxy are not
checked, and there are no rules over TLS.

Exits with 0 if the client passes every rule.`,
		Example: `  holdfast conformance --exec 'curl --silent --show-error --fail --retry 3 --max-time 1 {url}' --patience 8s
  holdfast conformance --exec './mytool {method} {url} {body}'
  holdfast conformance --client http://127.0.0.1:8080 --listen 127.0.0.1:9000`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.program, "exec", "", "the command that makes one call")
	f.StringVar(&o.proxy, "client", "", "the URL of the proxy")
	f.StringVar(&o.listen, "listen", "", "the address of the failing service that the proxy calls")
	f.StringVar(&o.only, "only", "", "test only rules with a name that matches this regular expression")
	f.DurationVar(&o.patience, "patience", 0, "additional time for a call")
	f.BoolVar(&o.h2, "http2", false, "also test the faults of HTTP/2, for a command that supports it")
	f.BoolVar(&o.asJSON, "json", false, "print the results as JSON")
	f.BoolVar(&o.list, "list", false, "list the rules and their sources")
	return cmd
}

func (o *options) run(cmd *cobra.Command) error {
	rules, err := o.rules()
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if o.list {
		fmt.Fprint(cmd.OutOrStdout(), conformance.RulesText(rules))
		return nil
	}
	client, err := o.client()
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	runner := conformance.Runner{Listen: o.listen, Patience: o.patience}
	if o.h2 {
		runner.H2 = func(service faultserver.Service) (conformance.Server, error) {
			return h2fault.New(fault.Plan{}, h2fault.TLS(), h2fault.Backend(service))
		}
	}
	rows, err := runner.Run(cmd.Context(), rules, []conformance.Contender{client})
	switch {
	case cmd.Context().Err() != nil:
		return exit.Errorf(exit.Interrupted, "interrupted")
	case err != nil:
		return exit.With(exit.Failure, err)
	case len(rows) == 0:
		return exit.Errorf(exit.Usage, "none of the rules apply to this client")
	}
	if err := o.print(cmd, rows); err != nil {
		return exit.With(exit.Failure, err)
	}
	if wrong := conformance.Tallies(rows)[0]; wrong.Right < wrong.Rules {
		return exit.Errorf(exit.Failure, "wrong on %d of %s", wrong.Rules-wrong.Right, format.Plural(wrong.Rules, "rule"))
	}
	return nil
}

func (o *options) print(cmd *cobra.Command, rows []conformance.Row) error {
	if !o.asJSON {
		_, err := fmt.Fprint(cmd.OutOrStdout(), conformance.Table(rows))
		return err
	}
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(rows)
}
