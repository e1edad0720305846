package call

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/target"
)

// options are the flags of the command.
type options struct {
	method, output   string
	headers, data    []string
	verbose, include bool
	file, provider   string // of the settings

	retries                       int
	baseDelay, maxDelay           durationFlag
	attempt, connect, read, total durationFlag
	noRepeat                      bool
	repeat, key                   string
}

// repeats are the values of --repeat.
var repeats = map[string]holdfast.Repeat{
	"keyed": holdfast.RepeatKeyed,
	"safe":  holdfast.RepeatSafe,
	"never": holdfast.RepeatNever,
}

// autoKey is the value of --idempotency-key that generates a key.
const autoKey = "auto"

// oneURL requires one argument. An argument may hold a secret, for example a header
// without its quotes, so the error does not repeat it.
func oneURL(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("the URL is missing: must be like https://api.example.com/v1/things")
	case 1:
		return nil
	}
	return fmt.Errorf("%s takes one URL; got %d arguments: are quotes missing?", cmd.Name(), len(args))
}

// settings is the configuration of the provider. It is empty if neither --config nor
// --provider is given.
func (o *options) settings(stderr io.Writer, given func(flag string) bool, env providers.Lookup) (cfg holdfast.Config, err error) {
	switch {
	case !given("config") && !given("provider"):
		return cfg, nil
	case given("config") && o.file == "": // most likely a shell variable that is not set
		return cfg, exit.Errorf(exit.Usage, "--config is empty: must be a settings file")
	case given("provider") && o.provider == "":
		return cfg, exit.Errorf(exit.Usage, "--provider is empty: must be one of the settings")
	}
	loaded, err := providers.Load(stderr, o.file, env)
	if err != nil {
		return cfg, err
	}
	if cfg, err = providers.Choose(loaded, o.provider); err != nil {
		return cfg, exit.With(exit.Usage, err)
	}
	return cfg, nil
}

// check checks all flags before the call has any effect, and returns the address
// that is called.
func (o *options) check(raw string, cfg holdfast.Config, given func(flag string) bool) (*url.URL, error) {
	var address *url.URL
	var err error
	if cfg.BaseURL == "" {
		address, err = target.Parse(raw)
	} else {
		address, err = target.ParseBelow(cfg.BaseURL, raw)
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
		return nil, fmt.Errorf("-X %q: must be a method, such as PUT", format.Excerpt(o.method))
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
		return nil, fmt.Errorf("--repeat %q: must be keyed, safe or never", format.Excerpt(o.repeat))
	case o.noRepeat && given("repeat") && o.repeat != "never":
		return nil, fmt.Errorf("--no-repeat and --repeat %s: give only one of them", o.repeat)
	case given("idempotency-key") && (o.key == "" || !isValue(o.key)):
		return nil, errors.New("--idempotency-key: must be printable, and not empty")
	}
	return address, nil
}

// override applies the flags to a configuration. The defaults of the flags apply only
// without a provider.
func (o *options) override(cfg *holdfast.Config, address *url.URL, given func(flag string) bool) {
	noProvider := cfg.BaseURL == ""
	if noProvider {
		cfg.BaseURL = address.Scheme + "://" + address.Host
	}
	for flag, field := range map[*durationFlag]*time.Duration{
		&o.connect: &cfg.Timeouts.Connect, &o.read: &cfg.Timeouts.Read, &o.attempt: &cfg.Timeouts.Attempt,
		&o.total: &cfg.Timeouts.Total, &o.baseDelay: &cfg.Retry.BaseDelay, &o.maxDelay: &cfg.Retry.MaxDelay,
	} {
		if *flag != 0 {
			*field = time.Duration(*flag)
		}
	}
	r := &cfg.Retry
	if noProvider || given("retries") {
		if r.MaxRetries = o.retries; o.retries == 0 {
			r.MaxRetries = holdfast.Off
		}
	}
	switch {
	case o.noRepeat:
		r.Repeat = holdfast.RepeatNever
	case noProvider || given("repeat"):
		r.Repeat = repeats[o.repeat]
	}
	// A delay that was given moves the one that was not, so that BaseDelay stays at
	// most MaxDelay.
	switch base := cmp.Or(r.BaseDelay, time.Second); {
	case o.maxDelay > 0 && o.baseDelay == 0:
		r.BaseDelay = min(base, r.MaxDelay)
	case o.baseDelay > 0 && o.maxDelay == 0 && r.MaxDelay > 0:
		r.MaxDelay = max(base, r.MaxDelay)
	}
	cfg.IdempotencyKey = cfg.IdempotencyKey || o.key == autoKey
}
