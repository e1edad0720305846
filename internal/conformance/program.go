package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Program returns a contender in any language: a command that makes one call in
// each run. In its words, {url}, {method}, {body} (a file), {key}, {auth} (a
// header line) and {ca} (a PEM file) are replaced by the values of the call.
// SSL_CERT_FILE and CURL_CA_BUNDLE also name the PEM file. With exit status 0
// the standard output is the answer's body; any other status is an error.
// Standard error is the log. A command without {method} and {body} is tested
// with GET only, and one without {key} with calls without a key.
//
// Words are separated by spaces. A word in quotes, ' or ", may contain spaces.
func Program(command string) (Contender, error) {
	words, err := split(command)
	switch {
	case err != nil:
		return Contender{}, err
	case len(words) == 0:
		return Contender{}, errors.New("the command is empty")
	case !strings.Contains(command, "{url}"):
		return Contender{}, fmt.Errorf("the command %q has no {url}", command)
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return Contender{}, err
	}
	has := func(word string) bool { return strings.Contains(command, word) }
	return Contender{
		Name:    filepath.Base(words[0]),
		Program: true,
		Asks: func(r *Rule) bool {
			return !r.Expect && (r.Method == "" || has("{method}") && has("{body}")) && (!r.Key || has("{key}"))
		},
		New: func(s Setup) (Client, error) { return newProgram(words, s) },
	}, nil
}

// split splits a command into words.
func split(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the command %q ends within %c", command, quote)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// program runs the command. It has a directory for the files of the words.
type program struct {
	words []string
	setup Setup
	dir   string
	ca    string
}

func newProgram(words []string, s Setup) (*program, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, err
	}
	p := &program{words: words, setup: s, dir: dir, ca: filepath.Join(dir, "ca.pem")}
	if err := os.WriteFile(p.ca, s.Authority, 0o600); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *program) Close() { os.RemoveAll(p.dir) }

// waitDelay is the time that a killed program may keep its output open, for
// example because of its children.
const waitDelay = time.Second

func (p *program) Do(ctx context.Context, c Call) Answer {
	body, err := os.CreateTemp(p.dir, "body")
	if err != nil {
		return Answer{Err: err}
	}
	_, err = body.Write(c.Body)
	if err = errors.Join(err, body.Close()); err != nil {
		return Answer{Err: err}
	}
	fill := strings.NewReplacer("{url}", c.URL, "{method}", c.Method, "{body}", body.Name(), "{key}", c.Key,
		"{auth}", "Authorization: "+c.Header.Get("Authorization"), "{ca}", p.ca)
	words := make([]string, len(p.words))
	for i, w := range p.words {
		words[i] = fill.Replace(w)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = waitDelay
	cmd.Env = os.Environ()
	if p.setup.Authority != nil {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+p.ca, "CURL_CA_BUNDLE="+p.ca)
	}
	out := &beginning{room: p.setup.Terms.Answer + 1}
	last := &beginning{room: 1 << 10}
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(p.setup.Log, last)
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(last.text.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return Answer{Err: err}
	}
	return Answer{Status: http.StatusOK, Body: out.text.Bytes()}
}

// beginning keeps the start of the text written to it.
type beginning struct {
	text bytes.Buffer
	room int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.text.Write(p[:min(len(p), max(0, b.room-b.text.Len()))])
	return len(p), nil
}
