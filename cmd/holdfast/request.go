package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
)

// What arguments are made of. A URL, a header and whatever may have slipped out
// of its quotes can hold a secret, so that no message here repeats them.

// oneURL says how many arguments there are, and not what they are.
func oneURL(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("the URL is missing: must be like https://api.example.com/v1/things")
	case 1:
		return nil
	}
	return fmt.Errorf("%s takes one URL; got %d arguments: is one without its quotes?", cmd.Name(), len(args))
}

// parseHeaders reads 'Name: value'.
func parseHeaders(list []string) (http.Header, error) {
	header := http.Header{}
	for i, one := range list {
		name, value, found := strings.Cut(one, ":")
		value = strings.Trim(value, " \t")
		switch {
		case !found:
			return nil, fmt.Errorf("-H, number %d: has no colon: must be 'Name: value'", i+1)
		case !isToken(name):
			return nil, fmt.Errorf("-H, number %d: what stands before the colon is no name: must be 'Name: value'", i+1)
		case !isValue(value):
			return nil, fmt.Errorf("-H, number %d: has a control character in its value", i+1)
		}
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return nil, fmt.Errorf("-H, number %d: %s follows from the data, and cannot be set", i+1, name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// isToken reports whether s can be a method or the name of a header (RFC 9110,
// 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

func isValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// request is the one to be made. A header of the provider's stands, but for what
// -H says of it. The body is open; whoever makes the request closes it.
func (o *caller) request(ctx context.Context, address *url.URL, providers http.Header, stdin io.Reader) (*http.Request, error) {
	header, err := parseHeaders(o.headers)
	if err != nil {
		return nil, err
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
		if len(o.data) > 0 {
			method = http.MethodPost
		}
	}
	body, length, err := o.body(stdin)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "/", body)
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	req.URL, req.Host = address, header.Get("Host")
	header.Del("Host")
	req.Header = header
	if length > 0 {
		req.ContentLength = length
	}
	byDefault := func(name, value string) {
		if header[name] == nil && providers.Get(name) == "" {
			header.Set(name, value)
		}
	}
	byDefault("Accept", "*/*")
	byDefault("User-Agent", "holdfast")
	if len(o.data) > 0 {
		byDefault("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, nil
}

// body is the data, and its length where the reader does not tell it: a file that
// can be had again stays a file, so that it can be sent again whatever its size.
func (o *caller) body(stdin io.Reader) (body io.Reader, length int64, err error) {
	if len(o.data) == 0 {
		return nil, 0, nil
	}
	name, isFile := strings.CutPrefix(o.data[0], "@")
	if !isFile {
		return strings.NewReader(o.data[0]), 0, nil
	}
	if name == "-" {
		if f, ok := stdin.(*os.File); ok {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				return regular(f, info)
			}
		}
		return files.Interruptible(stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("-d @%s: %w", name, exit.Reason(err))
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.IsDir():
		err = errors.New("is a directory")
	case err == nil && info.Mode().IsRegular():
		return regular(f, info)
	case err == nil:
		return f, 0, nil
	}
	_ = f.Close()
	return nil, 0, fmt.Errorf("-d @%s: %w", name, exit.Reason(err))
}

// regular is a file from where it stands to its end.
func regular(f *os.File, info os.FileInfo) (io.Reader, int64, error) {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, exit.Reason(err)
	}
	if length := info.Size() - at; length > 0 {
		return f, length, nil
	}
	_ = f.Close()
	return http.NoBody, 0, nil
}

// limit is a duration on the command line: zero if it was not given, Off for off.
type limit time.Duration

// longest is the most that the library takes.
const longest = limit(365 * 24 * time.Hour)

// Set reads one.
func (l *limit) Set(s string) error {
	d, err := time.ParseDuration(s)
	switch {
	case s == "off" || err == nil && d == 0:
		*l = holdfast.Off
	case err != nil || d < 0 || limit(d) > longest:
		return errors.New("no such duration")
	default:
		*l = limit(d)
	}
	return nil
}

// String is empty if nothing was given.
func (l *limit) String() string {
	switch *l {
	case 0:
		return ""
	case holdfast.Off:
		return "off"
	}
	return time.Duration(*l).String()
}

// Type is by what flagProblem knows it.
func (l *limit) Type() string { return "duration" }
