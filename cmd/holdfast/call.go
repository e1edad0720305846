package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast"
)

// caller is what the command is told.
type caller struct {
	method, output   string
	headers, data    []string
	verbose, include bool
	file, provider   string // of the settings

	retries                          int
	baseDelay, maxDelay              limit
	attempt, connect, silence, total limit
	noRepeat                         bool
	repeat, key                      string
}

// The values of --repeat, and the one of --idempotency-key that is none itself.
var repeats = map[string]holdfast.Repeat{
	"keyed": holdfast.RepeatKeyed,
	"safe":  holdfast.RepeatSafe,
	"never": holdfast.RepeatNever,
}

const makeKey = "auto"

func newCall(env lookup) *cobra.Command {
	var o caller
	cmd := &cobra.Command{
		Use:   "call URL",
		Short: "Make one call as the library makes it, in the manner of curl",
		Long: `Makes one call, with the library's limits and repeats, and streams the answer's
body to stdout. With -d it is a POST, otherwise a GET. The data is sent as it is,
as application/x-www-form-urlencoded unless -H says otherwise.

An answer of 400 or above is a failure: the beginning of its body, 64 KiB of it,
goes to stdout all the same, and the exit status is 22. Redirects are not
followed, and are failures too. On failure stderr explains every attempt; no
header and no query value is in it, nor in what -v tells.

With --config or --provider the call is made as a program makes it that reads the
same settings (holdfast config show): base URL, credentials, limits and repeats are
the provider's, a flag wins over them, and URL is a path below the base URL.
Without --provider it is the only one of which the file or the environment sets
anything.

With -o the file is written beside its place, and takes it when the answer is
complete; on failure it is left as it was, and what the service had to say goes
to stdout.

` + statusTable(),
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
			target, err := o.check(args[0], cfg, given)
			if err != nil {
				return &exit{usage, err}
			}
			o.override(&cfg, target, given)
			return o.run(cmd.Context(), cfg, target, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.method, "request", "X", "", "the `METHOD`; GET, or POST with -d")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header `'NAME: VALUE'`; may be given again")
	f.StringArrayVarP(&o.data, "data", "d", nil, "send `DATA`; @FILE sends a file, @- what comes from stdin")
	f.StringVarP(&o.output, "output", "o", "", "write the body to `FILE`")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell on stderr what happens while it happens")
	f.BoolVarP(&o.include, "include", "i", false, "write the answer's status and headers before its body")
	f.StringVar(&o.file, "config", "", "read the provider's settings from `FILE`, and from the environment")
	f.StringVar(&o.provider, "provider", "", "call as the settings say for provider `NAME`")
	f.IntVar(&o.retries, "retries", 3, "at most `N` attempts after the first, 0 to 100")
	f.Var(&o.baseDelay, "base-delay", "the wait before the first retry, which doubles with each: a `DURATION`, or off (1s)")
	f.Var(&o.maxDelay, "max-delay", "the most that this wait becomes: a `DURATION` (10s)")
	f.Var(&o.attempt, "attempt-timeout", "of one attempt, until its headers: a `DURATION`, or off (1m)")
	f.Var(&o.connect, "connect-timeout", "of a connection, and again of its TLS handshake: a `DURATION`, or off (10s)")
	f.Var(&o.silence, "read-timeout", "of the service's silence, before and within the body: a `DURATION`, or off (as --attempt-timeout)")
	f.Var(&o.total, "total", "of everything, waits and body included: a `DURATION`, or off (off)")
	f.StringVar(&o.repeat, "repeat", "keyed", "what may be sent again once it may have arrived: `keyed, safe or never`")
	f.BoolVar(&o.noRepeat, "no-repeat", false, "the same as --repeat never")
	f.StringVar(&o.key, "idempotency-key", "", "send `KEY` as Idempotency-Key; auto makes one")
	return cmd
}

// settings is the provider's configuration; one without a base URL if none is
// asked for.
func (o *caller) settings(stderr io.Writer, given func(flag string) bool, env lookup) (cfg holdfast.Config, err error) {
	switch {
	case !given("config") && !given("provider"):
		return cfg, nil
	case given("config") && o.file == "": // most likely a shell's variable that nobody has set
		return cfg, &exit{usage, errors.New("--config is empty: must be a settings file")}
	case given("provider") && o.provider == "":
		return cfg, &exit{usage, errors.New("--provider is empty: must be one of the settings")}
	}
	loaded, err := loadSettings(stderr, []string{o.file}, env)
	if err != nil {
		return cfg, err
	}
	if cfg, err = chosen(loaded, o.provider); err != nil {
		return cfg, &exit{usage, err}
	}
	return cfg, nil
}

// check sees whether the arguments make sense, before anything is touched but the
// settings.
func (o *caller) check(raw string, cfg holdfast.Config, given func(flag string) bool) (*url.URL, error) {
	var target *url.URL
	var err error
	if cfg.BaseURL == "" {
		target, err = parseTarget(raw)
	} else {
		target, err = parseBelow(cfg.BaseURL, raw)
	}
	if err != nil {
		return nil, err
	}
	if _, err := parseHeaders(o.headers); err != nil {
		return nil, err
	}
	_, known := repeats[o.repeat]
	switch {
	case given("request") && !isToken(o.method):
		return nil, fmt.Errorf("-X %q: must be a method, as PUT", plain(o.method))
	case len(o.data) > 1:
		return nil, fmt.Errorf("-d is given %d times: must be once, for one body", len(o.data))
	case given("output") && o.output == "":
		return nil, errors.New("-o is empty: must be a file to write, or - for stdout")
	case o.retries < 0 || o.retries > 100:
		return nil, fmt.Errorf("--retries %d: must be 0 to 100", o.retries)
	case o.maxDelay < 0:
		return nil, errors.New("--max-delay: must be positive")
	case o.maxDelay > 0 && o.baseDelay > o.maxDelay:
		return nil, fmt.Errorf("--max-delay %v: must be at least --base-delay, which is %v", &o.maxDelay, &o.baseDelay)
	case !known:
		return nil, fmt.Errorf("--repeat %q: must be keyed, safe or never", plain(o.repeat))
	case o.noRepeat && given("repeat") && o.repeat != "never":
		return nil, fmt.Errorf("--no-repeat and --repeat %s: must be one of them", o.repeat)
	case given("idempotency-key") && (o.key == "" || !isValue(o.key)):
		return nil, errors.New("--idempotency-key: must be printable, and not empty")
	}
	return target, nil
}

// override makes of a provider's configuration, or of none, what the flags say.
func (o *caller) override(cfg *holdfast.Config, target *url.URL, given func(flag string) bool) {
	plain := cfg.BaseURL == ""
	if plain {
		cfg.BaseURL = target.Scheme + "://" + target.Host
	}
	for flag, field := range map[*limit]*time.Duration{
		&o.connect: &cfg.Timeouts.Connect, &o.silence: &cfg.Timeouts.Read, &o.attempt: &cfg.Timeouts.Attempt,
		&o.total: &cfg.Timeouts.Total, &o.baseDelay: &cfg.Retry.BaseDelay, &o.maxDelay: &cfg.Retry.MaxDelay,
	} {
		if *flag != 0 {
			*field = time.Duration(*flag)
		}
	}
	r := &cfg.Retry
	if plain || given("retries") {
		if r.MaxRetries = o.retries; o.retries == 0 {
			r.MaxRetries = holdfast.Off
		}
	}
	switch {
	case o.noRepeat:
		r.Repeat = holdfast.RepeatNever
	case plain || given("repeat"):
		r.Repeat = repeats[o.repeat]
	}
	// What was not given gives way to what was.
	switch base := cmp.Or(r.BaseDelay, time.Second); {
	case o.maxDelay > 0 && o.baseDelay == 0:
		r.BaseDelay = min(base, r.MaxDelay)
	case o.baseDelay > 0 && o.maxDelay == 0 && r.MaxDelay > 0:
		r.MaxDelay = max(base, r.MaxDelay)
	}
	cfg.IdempotencyKey = cfg.IdempotencyKey || o.key == makeKey
}

// run makes the call. What it opens it closes, whatever happens.
func (o *caller) run(ctx context.Context, cfg holdfast.Config, target *url.URL, stdin io.Reader, stdout, stderr io.Writer) error {
	tell := &teller{out: stderr, term: terminalOf(stderr)}
	var opts []holdfast.Option
	if o.verbose {
		opts = append(opts, holdfast.WithObserver(tell))
	}
	client, err := holdfast.New(cfg, opts...)
	if err != nil {
		return &exit{config, errors.New(withoutPrefix(err))}
	}
	defer client.Close()

	answer := &answer{Writer: stdout}
	var file *replacement
	if o.output != "" && o.output != "-" {
		if file, err = replace(o.output); err != nil {
			return exitf(config, "-o %s: %w", o.output, err)
		}
		defer file.abandon()
		answer.Writer = file
	}
	req, err := o.request(ctx, target, cfg.Header, stdin)
	if err != nil {
		return &exit{config, err}
	}
	var callOpts []holdfast.CallOption
	if o.key != "" && o.key != makeKey {
		callOpts = append(callOpts, holdfast.WithIdempotencyKey(o.key))
	}
	resp, err := client.Do(req, callOpts...)
	if err != nil {
		o.showRefusal(err, stdout, stderr)
		return notAnswered(err)
	}
	defer resp.Body.Close()
	if o.include {
		writeHead(answer, resp.Proto+" "+resp.Status, resp.Header)
	}
	if _, err = io.Copy(answer, resp.Body); err != nil && answer.err == nil {
		return brokeOff(err, answer.wrote)
	}
	if file != nil && answer.err == nil {
		answer.err = file.take()
	}
	if answer.err != nil {
		return exitf(notWritten, "writing the answer: %w", reason(answer.err))
	}
	if o.verbose {
		tell.line(time.Now(), "done: "+plural(answer.wrote, "byte")+" written")
	}
	return nil
}

// answer is where an answer goes. It tells a write that failed from a read that
// did.
type answer struct {
	io.Writer
	wrote int
	err   error
}

func (a *answer) Write(p []byte) (int, error) {
	n, err := a.Writer.Write(p)
	a.wrote += n
	if err != nil && a.err == nil {
		a.err = err
	}
	return n, err
}

// refusalBody is how much of a refusal's body the library keeps.
const refusalBody = 64 << 10

// showRefusal writes what a service said instead of an answer.
func (o *caller) showRefusal(err error, stdout, stderr io.Writer) {
	refusal := refusalOf(err)
	if refusal == nil {
		return
	}
	if o.include {
		writeHead(stdout, "HTTP "+refusal.Error(), refusal.Header)
	}
	_, _ = stdout.Write(refusal.Body) // that it fails is less than what stderr is about to say
	if len(refusal.Body) >= refusalBody {
		fmt.Fprintln(stderr, "holdfast: note: of the body of a failure only the first 64 KiB are kept")
	}
}

func writeHead(w io.Writer, status string, header http.Header) {
	fmt.Fprintf(w, "%s\r\n", status)
	_ = header.Write(w)
	fmt.Fprint(w, "\r\n")
}
