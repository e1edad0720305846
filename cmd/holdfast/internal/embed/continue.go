package embed

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// resumeNote is what resumeCommand needs beside the command line.
func (o *options) resumeNote(args []string, begun bool) string {
	var notes []string
	if len(args) == 0 && (o.file == "" || o.file == "-") {
		notes = append(notes, "with the same texts on stdin")
	}
	if begun && o.outputFile() == "" {
		notes = append(notes, "where FILE has the output of this run")
	}
	if len(notes) == 0 {
		return ""
	}
	return ", " + strings.Join(notes, ", and ")
}

// outputFile is the file with the embeddings. It is empty if they went to stdout.
func (o *options) outputFile() string {
	if o.out == "-" {
		return o.resume
	}
	return o.out + o.resume // at most one of them is given
}

// resumeCommand is the command line that continues this run.
func (o *options) resumeCommand(cmd *cobra.Command, args []string, begun bool) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "out" && f.Name != "resume" {
			words = append(words, "--"+f.Name, shellWord(f.Value.String()))
		}
	})
	switch file := o.outputFile(); {
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

// shellWord quotes a word for a shell.
func shellWord(word string) string {
	harmless := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:@%+=,", r))
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !harmless(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
