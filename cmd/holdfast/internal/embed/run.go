package embed

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// run embeds the texts. It closes everything that it opens.
func (o *options) run(cmd *cobra.Command, cfg holdfast.Config, args []string) error {
	ctx, stderr, began := cmd.Context(), cmd.ErrOrStderr(), time.Now()
	client, err := holdfast.New(cfg)
	if err != nil {
		return exit.With(exit.Config, errors.New(exit.Text(err)))
	}
	defer client.Close()
	s, err := o.openSource(args, cmd.InOrStdin())
	if err != nil {
		return exit.Errorf(exit.Config, "--file %s: %w", o.file, exit.Reason(err))
	}
	defer s.close()

	previous := &previousRun{}
	if o.resume != "" {
		switch previous, err = openPrevious(ctx, o.resume, o.model); {
		case ctx.Err() != nil:
			return exit.With(exit.Interrupted, errors.New("interrupted; nothing was sent"))
		case err != nil:
			return exit.Errorf(exit.Config, "--resume %s: %w", o.resume, err)
		}
		defer previous.file.Close()
	}
	report := &progress{line: term.Line{Out: stderr, Terminal: term.Of(stderr)}, began: began, attempts: func() int { return int(client.Stats().Attempts) }}
	if report.total, report.before, err = s.survey(ctx, &previous.done); err != nil {
		return err
	}
	b := &batch{embed: o.embedFunc(client), model: o.model, width: o.width, ordered: true, out: cmd.OutOrStdout(), report: report}
	if file, err := o.openOutput(previous, report); err != nil {
		return err
	} else if file != nil {
		b.out, b.ordered = file, false
		defer file.Close()
	}

	err = b.run(ctx, s, o.chunk, &previous.done)
	report.line.Clear()
	if report.abandoned > 0 {
		report.note(format.Plural(report.abandoned, "call") + " had no answer in time, and may have been paid for")
	}
	report.note(report.summary(time.Now()))
	if err == nil {
		return nil
	}
	begun := o.outputFile() != "" || report.done > 0 // otherwise there is nothing to resume
	return exit.With(exit.StatusOf(err), fmt.Errorf("%w; to continue%s:\n  %s", err, o.resumeNote(args, begun), o.resumeCommand(cmd, args, begun)))
}

// openOutput opens the file for the embeddings, nil for stdout.
func (o *options) openOutput(previous *previousRun, report *progress) (*os.File, error) {
	switch {
	case o.resume != "":
		if err := previous.repair(); err != nil {
			return nil, exit.Errorf(exit.WriteError, "--resume %s: %w", o.resume, err)
		}
		if previous.partialBytes > 0 {
			report.note(fmt.Sprintf("%s ended within a line, and its %s are removed", o.resume, format.Plural(int(previous.partialBytes), "byte")))
		}
		return previous.file, nil
	case o.out == "" || o.out == "-":
		return nil, nil
	}
	file, err := createOutput(o.out)
	if err != nil {
		return nil, exit.Errorf(exit.Config, "--out %s: %w", o.out, err)
	}
	return file, nil
}
