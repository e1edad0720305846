// Package embed is the command holdfast embed: it makes embeddings of any number of
// texts, and can be interrupted and continued.
package embed

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// NewCommand makes the command. It reads environment variables by env.
func NewCommand(env providers.Lookup) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "embed [TEXT...]",
		Short: "Make embeddings of any number of texts, and resume after a failure",
		Long: `Makes an embedding of each text and writes it as a line of JSON: index (of the text,
from 0), id (if the text has one), hash (of id and text), model, embedding. The texts
are the arguments, the lines of --file, or NDJSON on stdin: {"id": …, "text": …} or a
string on each line. With --file - each line of stdin is a text. A file with the
extension .ndjson or .jsonl is NDJSON. No line may be empty. Input that can be read
twice is checked completely before anything is sent.

On stdout the order is that of the texts. In a file (--out) each chunk is written as
soon as it is ready. --resume appends to such a file: it requests no embedding that the
file contains, and removes an incomplete last line. Each call has a key that depends on
its texts and their position. FILE.state beside the file notes the calls without an
answer, so that a later run makes them again with the same key. A service that
recognises Idempotency-Key or X-Request-ID therefore does no work twice, even if an
answer was lost. Only one run at a time can write to a file.

A chunk that the service declines is halved until the texts at fault are found. They are
named, with the service's reason, and all others are embedded.

Ctrl-C, an outage (the circuit breaker opens), a quota that is used up, a wait of more
than a minute or an error that is not about the texts ends the run early. The calls in
flight still end and are written, after Ctrl-C within 5 s, and the command to continue is
printed. A second Ctrl-C ends it at once.

The key and the limits are those of the settings (see holdfast config show), from the
environment, for example MIXEDBREAD_API_KEY, and from --config.

` + exit.Table("Exit status", statuses),
		Example: `  holdfast embed --provider mixedbread "how is bread made?"
  holdfast embed --provider ollama --model nomic-embed-text --file texts.txt --out vectors.ndjson
  holdfast embed --provider ollama --model nomic-embed-text --file texts.txt --resume vectors.ndjson
  holdfast embed --config providers.json --provider mine --file texts.txt --out vectors.ndjson
  jq -c '{id, text: .body}' articles.ndjson | holdfast embed --provider mixedbread --out vectors.ndjson`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args, cmd.Flags().Changed, cmd.InOrStdin()); err != nil {
				return exit.With(exit.Usage, err)
			}
			cfg, err := o.configure(cmd.ErrOrStderr(), env)
			if err != nil {
				return err
			}
			return o.run(cmd, cfg, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "call the `PROVIDER`: mixedbread, ollama, or one of the settings with the kind openai; by default the only one that the settings configure")
	f.StringVar(&o.settings, "config", "", "read the settings of the providers from `FILE` and the environment")
	f.StringVar(&o.model, "model", "", "the `MODEL`; by default that of the settings, and for mixedbread "+mixedbread.DefaultModel)
	f.StringVar(&o.baseURL, "base-url", "", "the `URL` of the service, instead of the one in the settings")
	f.StringVar(&o.file, "file", "", "read a text from each line of `FILE`")
	f.StringVar(&o.out, "out", "", "write to `FILE`, which must be empty or new; - is stdout")
	f.StringVar(&o.resume, "resume", "", "append to `FILE`, which an earlier run has written")
	f.IntVar(&o.chunk, "chunk", 100, "`N` texts in a call, 1 to "+strconv.Itoa(mixedbread.MaxTexts))
	f.IntVar(&o.width, "width", 4, "`N` concurrent calls, 1 to "+strconv.Itoa(maxWidth))
	return cmd
}

// statuses are the exit statuses of the command, in order.
var statuses = []exit.Row{
	{Status: 0, Meaning: "every text has its embedding"},
	{Status: exit.Failure, Meaning: "the service declined, or its answers cannot be used: the message has the reason"},
	{Status: exit.Usage, Meaning: "an argument is invalid"},
	{Status: exit.Config, Meaning: "a file, a setting or a line of the input is invalid"},
	{Status: exit.WriteError, Meaning: "the embeddings could not be written"},
	{Status: exit.TryAgain, Meaning: "some texts failed, the service is down or asked to wait, or another run\n       writes to the file: continue later with --resume"},
	{Status: exit.Interrupted, Meaning: "interrupted"},
}
