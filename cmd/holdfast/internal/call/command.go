// Package call is the command holdfast call: it makes one HTTP call, in the manner
// of curl.
package call

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
)

// NewCommand makes the command. It reads environment variables by env.
func NewCommand(env providers.Lookup) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "call URL",
		Short: "Make one HTTP call with the timeouts and retries of the library",
		Long: `Makes one call with the timeouts and retries of the library, and streams the body of
the answer to stdout. The call is a POST with -d and a GET without it. The data is
sent unchanged, as application/x-www-form-urlencoded unless -H sets another type.

A status of 400 or above is a failure: up to 64 KiB of the body go to stdout, and
the exit status is 22. Redirects are not followed, and are failures too. After a
failure stderr lists every attempt. Neither that list nor the output of -v contains
a header or a query value.

With --config or --provider the call has the settings of a provider, as a program has
them that reads the same settings (see holdfast config show): base URL, credentials,
timeouts and retries. Flags override them, and URL is a path below the base URL.
--provider can be left out if the file and the environment configure one provider
only.

With -o the body goes to a temporary file, which replaces FILE when the answer is
complete. After a failure FILE is unchanged, and the answer of the service goes to
stdout.

` + exit.Table("Exit status, curl's where it has one", statuses),
		Example: `  holdfast call https://api.example.com/v1/models
  holdfast call -v -H "Authorization: Bearer $TOKEN" -d @order.json https://api.example.com/v1/orders
  holdfast call --retries 5 --total 30s -o archive.zip https://example.com/archive.zip
  holdfast call --config providers.json --provider search -v /models`,
		Args: oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			cfg, err := o.settings(cmd.ErrOrStderr(), given, env)
			if err != nil {
				return err
			}
			address, err := o.check(args[0], cfg, given)
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			o.override(&cfg, address, given)
			return o.run(cmd.Context(), cfg, address, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.method, "request", "X", "", "the `METHOD`; GET, or POST with -d")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header `'NAME: VALUE'`; can be repeated")
	f.StringArrayVarP(&o.data, "data", "d", nil, "send `DATA`; @FILE sends a file, @- sends stdin")
	f.StringVarP(&o.output, "output", "o", "", "write the body to `FILE`")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "report each event on stderr when it happens")
	f.BoolVarP(&o.include, "include", "i", false, "write the status and the headers of the answer before its body, and its trailers after it")
	f.StringVar(&o.file, "config", "", "read the settings of the providers from `FILE` and the environment")
	f.StringVar(&o.provider, "provider", "", "call with the settings of provider `NAME`")
	f.IntVar(&o.retries, "retries", 3, "at most `N` attempts after the first, 0 to 100")
	f.Var(&o.baseDelay, "base-delay", "the wait before the first retry, which doubles with each: a `DURATION`, or off (1s)")
	f.Var(&o.maxDelay, "max-delay", "the longest wait before a retry: a `DURATION` (10s)")
	f.Var(&o.attempt, "attempt-timeout", "the limit of one attempt, until its headers: a `DURATION`, or off (1m)")
	f.Var(&o.connect, "connect-timeout", "the limit of connecting, and again of the TLS handshake: a `DURATION`, or off (10s)")
	f.Var(&o.read, "read-timeout", "the limit of the time without data, before and within the body: a `DURATION`, or off (as --attempt-timeout)")
	f.Var(&o.total, "total", "the limit of the whole call, including waits and the body: a `DURATION`, or off (off)")
	f.StringVar(&o.repeat, "repeat", "keyed", "which calls are repeated although the service may have received them: `keyed, safe or never`")
	f.BoolVar(&o.noRepeat, "no-repeat", false, "the same as --repeat never")
	f.StringVar(&o.key, "idempotency-key", "", "send `KEY` as Idempotency-Key; auto generates one")
	args.Secret(cmd, "header", "data", "idempotency-key")
	return cmd
}
