package embed

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
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
			return exit.Errorf(openStatus(err), "--resume %s: %w", o.resume, err)
		}
		defer previous.file.Close()
	}
	report := &progress{line: term.Line{Out: stderr, Terminal: term.Of(stderr)}, began: began, attempts: func() int { return int(client.Stats().Attempts) }}
	if len(args) == 0 {
		report.noun = "line"
	}
	if report.total, report.before, err = s.survey(ctx, &previous.done); err != nil {
		return err
	}
	for _, text := range s.twins.notes(cmp.Or(report.noun, "text"), o.provider != "ollama") {
		report.note(text)
	}
	if n := previous.twins; n > 0 {
		report.note(fmt.Sprintf("%s has %s with a text that a line before has: they are left in it", o.resume, format.Plural(n, "line")))
	}
	b := &batch{embed: o.embedFunc(client), model: o.model, width: o.width, ordered: true, out: cmd.OutOrStdout(), report: report,
		length: previous.length, judge: judge{cfg.Retry.MaxRetryAfter, hideCredentials(cfg)}}
	file, err := o.openOutput(previous)
	if err != nil {
		return err
	}
	if file != nil {
		b.out, b.ordered = durable{file}, false
		defer file.Close()
		if b.journal, err = o.openJournal(file, cfg, previous); err != nil {
			return err
		}
		if err := previous.repair(); err != nil {
			_ = b.journal.close(false, time.Now())
			return exit.Errorf(exit.WriteError, "--resume %s: %w", o.resume, err)
		}
		if previous.partialBytes > 0 {
			report.note(fmt.Sprintf("%s ended within a line, and its %s are removed", o.resume, format.Plural(int(previous.partialBytes), "byte")))
		}
	}

	err = b.run(ctx, s, o.chunk, previous)
	report.line.Clear()
	if report.abandoned > 0 {
		report.note(format.Plural(report.abandoned, "call") + " had no answer in time, and may have been paid for")
	}
	report.note(report.summary(time.Now()))
	var cooling *coolingDownError
	if errors.As(err, &cooling) {
		b.journal.wait(cooling.until, time.Now())
	}
	if failed := b.journal.close(err == nil, time.Now()); failed != nil {
		report.note(fmt.Sprintf("%s could not be written (%v): a call may be paid for again if its answer was lost", journalPath(o.outputFile()), exit.Reason(failed)))
	}
	if err == nil {
		return nil
	}
	begun := o.outputFile() != "" || report.done > 0 // otherwise there is nothing to resume
	return exit.With(exit.StatusOf(err), fmt.Errorf("%w; %s%s:\n  %s", err, toContinue(err, report), o.resumeNote(args, begun), o.resumeCommand(cmd, args, begun)))
}

// toContinue introduces the command to continue with.
func toContinue(err error, report *progress) string {
	var cooling *coolingDownError
	switch {
	case errors.As(err, &cooling):
		return "to continue then"
	case report.missing() == 1 && report.declined+report.unusable == 1:
		return "to ask for it again"
	case report.declined+report.unusable > 0 && report.missing() == report.declined+report.unusable:
		return "to ask for them again"
	}
	return "to continue"
}

// openJournal opens the journal of the output file. It is an error if the service has asked
// to wait until a time that has not come yet.
func (o *options) openJournal(output *os.File, cfg holdfast.Config, previous *previousRun) (*journal, error) {
	if info, err := output.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	now := time.Now()
	j, noted, err := openJournal(o.outputFile(), serviceHash(cfg.BaseURL, o.model), now)
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	if !j.until.IsZero() {
		until := j.until
		_ = j.close(false, now)
		return nil, exit.Errorf(exit.TryAgain, "%w; nothing was sent", &coolingDownError{until})
	}
	var finished []*entry
	previous.begun, finished = previous.begunBefore(noted, o.chunk)
	for _, s := range finished {
		j.free(s)
	}
	for i, call := range previous.begun {
		if call.entry == nil { // noted before repair removes the line by which it was found
			var items []item
			for _, index := range call.indexes {
				items = append(items, item{index: index})
			}
			previous.begun[i].entry = j.begin(nil, items)
		}
	}
	return j, nil
}

// hideCredentials replaces the values of the configured headers in texts of the service.
func hideCredentials(cfg holdfast.Config) *strings.Replacer {
	var pairs []string
	for _, values := range cfg.Header {
		for _, value := range values {
			for _, word := range strings.Fields(value) {
				if word != "Bearer" && word != "Basic" && len(word) >= 4 {
					pairs = append(pairs, word, "[hidden]")
				}
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// openOutput opens the file for the embeddings, nil for stdout.
func (o *options) openOutput(previous *previousRun) (*os.File, error) {
	switch {
	case o.resume != "":
		return previous.file, nil
	case o.out == "" || o.out == "-":
		return nil, nil
	}
	file, err := createOutput(o.out)
	if err != nil {
		return nil, exit.Errorf(openStatus(err), "--out %s: %w", o.out, err)
	}
	return file, nil
}
