package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
	"github.com/holdfast-go/holdfast/provider/ollama"
)

// embedder is what the command is told.
type embedder struct {
	provider, settings, model, baseURL string
	file, out, resume                  string
	chunk, width                       int
}

// What one call may hold, and how many may run at once.
const mostWidth = 64

func newEmbed(env lookup) *cobra.Command {
	var o embedder
	cmd := &cobra.Command{
		Use:   "embed [TEXT...]",
		Short: "Make embeddings of any number of texts, and pay for none twice",
		Long: `Makes an embedding of each text and writes it as a line of JSON: index (of the text,
from 0), id (if the text has one), hash (of id and text), model, embedding. Texts
are the arguments; or the lines of a --file; or else what comes on stdin, as
NDJSON: {"id": …, "text": …} or a string on each line. --file - takes stdin's lines
as they are, and a --file *.ndjson or *.jsonl is NDJSON. No line may be empty. What
can be read twice is checked to its end before anything is sent.

On stdout the order is that of the texts. In a file (--out) each chunk is written
as soon as it is there. --resume goes on with such a file: what it has is not
asked again, a last line that was cut off is dropped. Every chunk carries a key
that is made of its texts and their place, so that a service which looks at
Idempotency-Key or X-Request-ID does not do twice what it has done, though the
answer was lost.

Ctrl-C, an outage (the circuit breaker opens) or a refusal that is not about the
texts end it early: what is on its way is waited for and written, after Ctrl-C 5 s
at most, and the command to go on with is printed. A second Ctrl-C ends it at once.

The key and the limits are those of the settings (holdfast config show), from the
environment, as MIXEDBREAD_API_KEY, and from --config.

` + embedStatuses(),
		Example: `  holdfast embed --provider mixedbread "how is bread made?"
  holdfast embed --provider ollama --model nomic-embed-text --file texts.txt --out vectors.ndjson
  holdfast embed --provider ollama --model nomic-embed-text --file texts.txt --resume vectors.ndjson
  jq -c '{id, text: .body}' articles.ndjson | holdfast embed --provider mixedbread --out vectors.ndjson`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args, cmd.Flags().Changed, cmd.InOrStdin()); err != nil {
				return &exit{usage, err}
			}
			cfg, err := o.configure(cmd.ErrOrStderr(), env)
			if err != nil {
				return err
			}
			return o.run(cmd, cfg, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "ask `mixedbread or ollama`; the one that the settings set, if it is one")
	f.StringVar(&o.settings, "config", "", "read the provider's settings from `FILE`, and from the environment")
	f.StringVar(&o.model, "model", "", "the `MODEL`; of mixedbread "+mixedbread.DefaultModel+" by default, ollama has none")
	f.StringVar(&o.baseURL, "base-url", "", "the service's `URL`, if it is not the settings'")
	f.StringVar(&o.file, "file", "", "take a text from each line of `FILE`")
	f.StringVar(&o.out, "out", "", "write to `FILE`, which must be empty or not there; - is stdout")
	f.StringVar(&o.resume, "resume", "", "go on with `FILE`, which an earlier run has written")
	f.IntVar(&o.chunk, "chunk", 100, "`N` texts in a call, 1 to "+strconv.Itoa(mixedbread.MaxTexts)+"; the same again to go on")
	f.IntVar(&o.width, "width", 4, "`N` calls at once, 1 to "+strconv.Itoa(mostWidth))
	return cmd
}

// embedStatuses lists the exit statuses, for the help.
func embedStatuses() string {
	var b strings.Builder
	b.WriteString("Exit status:\n")
	for _, s := range []struct {
		status int
		means  string
	}{
		{0, "every text has its embedding"},
		{failure, "some were refused: the same again would be, too"},
		{usage, "an argument makes no sense"},
		{config, "a file, a setting or a line of the input does not hold"},
		{notWritten, "the embeddings could not be written"},
		{tryAgain, "some failed, or the service is down: go on later, with --resume"},
		{interrupted, "interrupted"},
	} {
		fmt.Fprintf(&b, "  %3d  %s\n", s.status, s.means)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// check sees whether the arguments make sense, before anything is touched.
func (o *embedder) check(args []string, given func(flag string) bool, stdin io.Reader) error {
	for flag, value := range map[string]string{"config": o.settings, "provider": o.provider, "model": o.model, "base-url": o.baseURL, "file": o.file, "out": o.out, "resume": o.resume} {
		if given(flag) && value == "" { // most likely a shell's variable that nobody has set
			return fmt.Errorf("--%s is empty: leave it out, or give it a value", flag)
		}
	}
	if given("base-url") {
		if _, err := parseTarget(o.baseURL); err != nil {
			return fmt.Errorf("--base-url: %w", err)
		}
	}
	f, isFile := stdin.(*os.File)
	switch {
	case given("provider") && !slices.Contains(embedders, o.provider):
		return fmt.Errorf("--provider %q: must be %s", plain(o.provider), oneOf(embedders))
	case len(args) > 0 && given("file"):
		return fmt.Errorf("--file and %s: must be one of them", plural(len(args), "text"))
	case given("out") && given("resume"):
		return errors.New("--out and --resume: must be one of them")
	case given("file") && (given("out") && sameFile(o.file, o.out) || given("resume") && sameFile(o.file, o.resume)):
		return fmt.Errorf("--file %s: is where the embeddings go, too: must be two files", o.file)
	case o.chunk < 1 || o.chunk > mixedbread.MaxTexts:
		return fmt.Errorf("--chunk %d: must be 1 to %d", o.chunk, mixedbread.MaxTexts)
	case o.width < 1 || o.width > mostWidth:
		return fmt.Errorf("--width %d: must be 1 to %d", o.width, mostWidth)
	case len(args) == 0 && !given("file") && isFile && terminalOf(f) != terminal{}:
		return errors.New("the texts are missing: give them as arguments, by --file, or on stdin")
	}
	return nil
}

// embedders are the providers that make embeddings.
var embedders = []string{"mixedbread", "ollama"}

// configure is how the provider is called, by the settings and the flags.
func (o *embedder) configure(stderr io.Writer, env lookup) (holdfast.Config, error) {
	loaded, err := loadSettings(stderr, []string{o.settings}, env)
	if err != nil {
		return holdfast.Config{}, err
	}
	if o.provider == "" {
		set := slices.DeleteFunc(namesSet(loaded), func(name string) bool { return !slices.Contains(embedders, name) })
		if len(set) != 1 {
			return holdfast.Config{}, exitf(usage, "--provider is missing: must be %s", oneOf(embedders))
		}
		o.provider = set[0]
	}
	cfg := loaded.Mixedbread.Config()
	switch {
	case o.provider == "ollama" && o.model == "":
		return cfg, exitf(usage, "--model is missing: ollama has no default; must be one that makes embeddings, as nomic-embed-text")
	case o.provider == "ollama":
		cfg = loaded.Ollama.Embedding()
	case o.model == "":
		o.model = mixedbread.DefaultModel
	}
	if o.baseURL != "" {
		cfg.BaseURL = o.baseURL
	}
	if cfg.BaseURL == mixedbread.BaseURL && len(cfg.Header) == 0 {
		return cfg, exitf(config, "mixedbread wants a key, and the settings have none: set MIXEDBREAD_API_KEY")
	}
	if most := cfg.Pool.MaxConns; most > 0 && o.width > most {
		return cfg, exitf(usage, "--width %d: must be at most %d, the connections that the settings allow", o.width, most)
	}
	return cfg, nil
}

// asks is how the provider makes the embeddings of a chunk.
func (o *embedder) asks(client *holdfast.Client) asker {
	if o.provider == "ollama" {
		p := ollama.New(client, ollama.Timeouts{})
		return func(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
			return p.Embed(ctx, o.model, texts, opts...)
		}
	}
	return mixedbread.New(client, o.model).Embed
}

// run embeds the texts. What it opens it closes, whatever happens.
func (o *embedder) run(cmd *cobra.Command, cfg holdfast.Config, args []string) error {
	ctx, stderr, began := cmd.Context(), cmd.ErrOrStderr(), time.Now()
	client, err := holdfast.New(cfg)
	if err != nil {
		return &exit{config, errors.New(withoutPrefix(err))}
	}
	defer client.Close()
	s, err := o.openSource(args, cmd.InOrStdin())
	if err != nil {
		return exitf(config, "--file %s: %w", o.file, reason(err))
	}
	defer s.close()

	had := &earlier{}
	if o.resume != "" {
		switch had, err = openEarlier(ctx, o.resume, o.model); {
		case ctx.Err() != nil:
			return &exit{interrupted, errors.New("interrupted; nothing was sent")}
		case err != nil:
			return exitf(config, "--resume %s: %w", o.resume, err)
		}
		defer had.file.Close()
	}
	show := &progress{out: stderr, term: terminalOf(stderr), began: began, attempts: func() int { return int(client.Stats().Attempts) }}
	if show.total, show.there, err = s.survey(ctx, &had.has); err != nil {
		return err
	}
	b := &batch{ask: o.asks(client), model: o.model, width: o.width, ordered: true, out: cmd.OutOrStdout(), show: show}
	if file, err := o.openOut(had, show); err != nil {
		return err
	} else if file != nil {
		b.out, b.ordered = file, false
		defer file.Close()
	}

	err = b.run(ctx, s, o.chunk, &had.has)
	show.clear()
	if show.cutOff > 0 {
		show.note(plural(show.cutOff, "call") + " had no answer in time, and may have been paid for")
	}
	show.note(show.sums(time.Now()))
	if err == nil {
		return nil
	}
	begun := o.kept() != "" || show.done > 0 // else there is nothing to go on with
	return &exit{exitStatus(err), fmt.Errorf("%w; to go on%s:\n  %s", err, o.with(args, begun), o.again(cmd, args, begun))}
}

// openOut makes ready what is written to; nil for stdout.
func (o *embedder) openOut(had *earlier, show *progress) (*os.File, error) {
	switch {
	case o.resume != "":
		if err := had.mend(); err != nil {
			return nil, exitf(notWritten, "--resume %s: %w", o.resume, err)
		}
		if had.cutOff > 0 {
			show.note(fmt.Sprintf("%s ended within a line, whose %s are dropped", o.resume, plural(int(had.cutOff), "byte")))
		}
		return had.file, nil
	case o.out == "" || o.out == "-":
		return nil, nil
	}
	file, err := beginFile(o.out)
	if err != nil {
		return nil, exitf(config, "--out %s: %w", o.out, err)
	}
	return file, nil
}

// with says what the command to go on with does not.
func (o *embedder) with(args []string, begun bool) string {
	var with []string
	if len(args) == 0 && (o.file == "" || o.file == "-") {
		with = append(with, "with the same texts on stdin")
	}
	if begun && o.kept() == "" {
		with = append(with, "where FILE is what stdout was written to")
	}
	if len(with) == 0 {
		return ""
	}
	return ", " + strings.Join(with, ", and ")
}

// kept is the file that has the embeddings, empty if nobody knows.
func (o *embedder) kept() string {
	if o.out == "-" {
		return o.resume
	}
	return o.out + o.resume // one of them is given at most
}

// again is the command to go on with.
func (o *embedder) again(cmd *cobra.Command, args []string, begun bool) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "out" && f.Name != "resume" {
			words = append(words, "--"+f.Name, shellWord(f.Value.String()))
		}
	})
	switch file := o.kept(); {
	case file != "":
		words = append(words, "--resume", shellWord(file))
	case begun:
		words = append(words, "--resume", "FILE")
	}
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") }) {
		words = append(words, "--")
	}
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}

// shellWord is a word as a shell reads it.
func shellWord(word string) string {
	harmless := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:@%+=,", r))
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !harmless(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
