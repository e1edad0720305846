package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
)

// request builds the request. -H overrides a header of the provider. The caller must
// close the body.
func (o *options) request(ctx context.Context, address *url.URL, provider http.Header, stdin io.Reader) (*http.Request, error) {
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
	setDefault := func(name, value string) {
		if header[name] == nil && provider.Get(name) == "" {
			header.Set(name, value)
		}
	}
	setDefault("Accept", "*/*")
	setDefault("User-Agent", "holdfast")
	if len(o.data) > 0 {
		setDefault("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, nil
}

// body is the data of the request, and its length where the reader does not know it.
// A regular file stays a file, so that a retry can send it again whatever its size.
func (o *options) body(stdin io.Reader) (body io.Reader, length int64, err error) {
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

// regular is the part of a file from its position to its end.
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

// parseHeaders reads the values of -H. A header may hold a secret, so the errors do not
// repeat it.
func parseHeaders(list []string) (http.Header, error) {
	header := http.Header{}
	for i, one := range list {
		name, value, found := strings.Cut(one, ":")
		value = strings.Trim(value, " \t")
		switch {
		case !found:
			return nil, fmt.Errorf("-H, number %d: has no colon: must be 'Name: value'", i+1)
		case !isToken(name):
			return nil, fmt.Errorf("-H, number %d: the text before the colon is not a header name: must be 'Name: value'", i+1)
		case !isValue(value):
			return nil, fmt.Errorf("-H, number %d: has a control character in its value", i+1)
		}
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return nil, fmt.Errorf("-H, number %d: %s is set from the data, and cannot be given", i+1, name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// isToken reports whether s can be a method or the name of a header (RFC 9110, section
// 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// isValue reports whether s can be the value of a header.
func isValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
