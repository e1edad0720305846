// Package faults is the command holdfast faults: it serves a plan of faults.
package faults

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/catalog"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/explain"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
)

// NewCommand makes the command.
func NewCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "faults --plan PLAN",
		Short: "Serve a plan of faults, to test any HTTP client",
		Long: `Serves a plan of faults until Ctrl-C. The plan is built-in (see holdfast faults plans)
or a file, JSON or YAML. The name of a file has a separator or an extension: ./mine,
mine.yaml. The first word of the output is the URL. At the end the command prints a
summary and exits with 0.

With --as the server answers like a provider of an API: OpenAI, Anthropic, Ollama,
Gemini or GitHub. Answers, streams, headers of rate limits and errors have its form.

With --admin a second listener can change the plan and read the record: GET and PUT
/_holdfast/plan, GET /_holdfast/record?after=N, GET /_holdfast/effects, POST
/_holdfast/begin. Each request needs the token as "Authorization: Bearer TOKEN".`,
		Example: `  holdfast faults --plan outage
  holdfast faults --plan model-api --as openai
  holdfast faults --plan bad-tls --tls --tls-ca ca.pem
  holdfast faults --plan mine.yaml --record attempts.ndjson --admin 127.0.0.1:0`,
		Args: noPlanArgument,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd.Flags().Changed); err != nil {
				return exit.With(exit.Usage, err)
			}
			plan, note, err := plans.Load(o.plan)
			if err == nil {
				err = plans.CheckServer(plan, o.flags())
			}
			if err != nil {
				return plans.LoadError("--plan "+o.plan, err)
			}
			if note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: note: %s\n", note)
			}
			return o.serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), plan)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.plan, "plan", "", "the `PLAN`: the name of a built-in plan, or a file; required")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "the `ADDRESS` of the server; port 0 is any free port")
	f.StringVar(&o.as, "as", "", "the `PROVIDER` that the server answers like: "+providerNames())
	f.StringVar(&o.backend, "backend", "", "the service behind the faults: `"+backendNames()+"`; the default is that of --as, else echo")
	f.BoolVar(&o.tls, "tls", false, "serve TLS, with a new certificate")
	f.BoolVar(&o.h2, "h2", false, "serve HTTP/2 only: by ALPN with --tls, else with prior knowledge")
	f.StringVar(&o.tlsCA, "tls-ca", "", "write the certificate authority to `FILE`, for a client to trust")
	f.StringVar(&o.record, "record", "", "write every attempt to `FILE`, as one JSON object on a line")
	f.StringVar(&o.admin, "admin", "", "the loopback `ADDRESS` of the admin listener; port 0 is any free port")
	f.StringVar(&o.adminToken, "admin-token", "", "the `TOKEN` of the admin listener, 16 to 256 characters; by default one is generated and printed")
	args.Secret(cmd, "admin-token")
	cmd.AddCommand(catalog.NewCommand(), plans.NewCommand(), explain.NewCommand(), plans.NewSchemaCommand())
	return cmd
}

// noPlanArgument requires no argument. It suggests the subcommand or the flag that was
// probably meant.
func noPlanArgument(cmd *cobra.Command, given []string) error {
	if len(given) > 0 && !cmd.Flags().Changed("admin-token") {
		if near := args.Nearest(cmd, given[0]); near != "" {
			return fmt.Errorf("faults takes no argument; got %q; did you mean %s?", given[0], near)
		}
		if _, err := plans.Builtin(given[0]); err == nil || plans.IsFile(given[0]) {
			return fmt.Errorf("faults takes no argument; got %q; did you mean --plan %s?", given[0], given[0])
		}
	}
	return args.None(cmd, given)
}
