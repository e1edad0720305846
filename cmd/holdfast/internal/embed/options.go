package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/target"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/dialect"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
	"github.com/holdfast-go/holdfast/provider/ollama"
	"github.com/holdfast-go/holdfast/settings"
)

// options are the flags of the command.
type options struct {
	provider, settings, model, baseURL string
	kind                               string // of a provider that only the settings have
	file, out, resume                  string
	chunk, width                       int
}

// maxWidth is the most concurrent calls.
const maxWidth = 64

// supported are the providers that make embeddings: two that are always there, and those
// of the settings that have a kind.
func supported(loaded settings.Settings) []string {
	names := []string{"mixedbread", "ollama"}
	for name, p := range loaded.Others {
		if p.Kind != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// check checks the arguments and flags before the command has any effect.
func (o *options) check(args []string, given func(flag string) bool, stdin io.Reader) error {
	for flag, value := range map[string]string{"config": o.settings, "provider": o.provider, "model": o.model, "base-url": o.baseURL, "file": o.file, "out": o.out, "resume": o.resume} {
		if given(flag) && value == "" { // most likely a shell variable that is not set
			return fmt.Errorf("--%s is empty: leave it out, or give it a value", flag)
		}
	}
	if given("base-url") {
		if _, err := target.Parse(o.baseURL); err != nil {
			return fmt.Errorf("--base-url: %w", err)
		}
	}
	f, isFile := stdin.(*os.File)
	switch {
	case len(args) > 0 && given("file"):
		return fmt.Errorf("--file and %s: give only one of them", format.Plural(len(args), "text"))
	case given("out") && given("resume"):
		return errors.New("--out and --resume: give only one of them")
	case given("file") && (given("out") && files.Same(o.file, o.out) || given("resume") && files.Same(o.file, o.resume)):
		return fmt.Errorf("--file %s: is also the output: must be two files", o.file)
	case o.chunk < 1 || o.chunk > mixedbread.MaxTexts:
		return fmt.Errorf("--chunk %d: must be 1 to %d", o.chunk, mixedbread.MaxTexts)
	case o.width < 1 || o.width > maxWidth:
		return fmt.Errorf("--width %d: must be 1 to %d", o.width, maxWidth)
	case len(args) == 0 && !given("file") && isFile && term.Of(f) != term.Terminal{}:
		return errors.New("the texts are missing: give them as arguments, by --file, or on stdin")
	}
	return nil
}

// throttledRetries outlast a limit per minute, which services often tell without a wait.
const throttledRetries = 6

// configure returns the configuration of the provider, from the settings and the flags.
func (o *options) configure(stderr io.Writer, env providers.Lookup) (holdfast.Config, error) {
	loaded, err := providers.Load(stderr, o.settings, env)
	if err != nil {
		return holdfast.Config{}, err
	}
	if err := o.choose(loaded); err != nil {
		return holdfast.Config{}, exit.With(exit.Usage, err)
	}
	var cfg holdfast.Config
	var model string
	switch o.provider {
	case "mixedbread":
		cfg, model = loaded.Mixedbread.Config(), cmp.Or(loaded.Mixedbread.Model, mixedbread.DefaultModel)
	case "ollama":
		cfg, model = loaded.Ollama.Embedding(), loaded.Ollama.Model
		cfg.Classify = dialect.Ollama.Classify
	default:
		p := loaded.Others[o.provider]
		cfg, model, o.kind = p.Config(), p.Model, p.Kind
		cfg.Classify = dialect.OpenAIGateway.Classify // also finds errors within a 200
	}
	if o.model = cmp.Or(o.model, model); o.model == "" {
		return cfg, exit.Errorf(exit.Usage, "--model is missing: %s has no default; must be one that makes embeddings, such as nomic-embed-text", o.provider)
	}
	if o.baseURL != "" {
		cfg.BaseURL = o.baseURL
	}
	if cfg.BaseURL == mixedbread.BaseURL && len(cfg.Header) == 0 {
		return cfg, exit.Errorf(exit.Config, "mixedbread needs a key, and the settings have none: set MIXEDBREAD_API_KEY")
	}
	if limit := cfg.Pool.MaxConns; limit > 0 && o.width > limit {
		return cfg, exit.Errorf(exit.Usage, "--width %d: must be at most %d, the connections that the settings allow", o.width, limit)
	}
	if cfg.Retry.Throttled.MaxRetries == 0 {
		cfg.Retry.Throttled.MaxRetries = throttledRetries
	}
	return cfg, nil
}

// choose sets the provider if the command line names none, and checks it.
func (o *options) choose(loaded settings.Settings) error {
	known := supported(loaded)
	if o.provider == "" {
		set := slices.DeleteFunc(providers.Configured(loaded), func(name string) bool { return !slices.Contains(known, name) })
		if len(set) != 1 {
			return fmt.Errorf("--provider is missing: must be %s", format.List(known, "or"))
		}
		o.provider = set[0]
	}
	if _, is := loaded.Others[o.provider]; is && !slices.Contains(known, o.provider) {
		return fmt.Errorf("--provider %s: the settings do not tell its API: must have the kind %q there, if its API is that of OpenAI", o.provider, settings.KindOpenAI)
	}
	if !slices.Contains(known, o.provider) {
		return fmt.Errorf("--provider %q: must be %s", format.Excerpt(o.provider), format.List(known, "or"))
	}
	return nil
}

// embedFunc is the call of the provider.
func (o *options) embedFunc(client *holdfast.Client) embedFunc {
	switch {
	case o.kind == settings.KindOpenAI:
		return (&openAI{client, o.model}).embed
	case o.provider == "ollama":
		p := ollama.New(client, ollama.Timeouts{})
		return func(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
			return p.Embed(ctx, o.model, texts, opts...)
		}
	}
	return mixedbread.New(client, o.model).Embed
}
