package wire

import (
	"bytes"
	"io"
	"reflect"
	"strings"
)

// InMemory returns a function that opens a request's body again and again, and the body's
// length. It is false unless the body is one of those that net/http knows to be in
// memory: a bytes.Reader, a bytes.Buffer or a strings.Reader, also below io.NopCloser.
// net/http sends such a body together with the headers, in one write.
//
// The caller's reader is read to its end at once, without a copy, and not touched again:
// the caller may seek it back for the next request while a lost attempt still writes.
func InMemory(body io.Reader) (open func() io.ReadCloser, length int64, ok bool) {
	switch r := body.(type) {
	case *bytes.Reader, *bytes.Buffer:
		var content all
		_, _ = r.(io.WriterTo).WriteTo(&content)
		return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(content.bytes)) }, int64(len(content.bytes)), true
	case *strings.Reader:
		var content all
		_, _ = r.WriteTo(&content)
		return func() io.ReadCloser { return io.NopCloser(strings.NewReader(content.text)) }, int64(len(content.text)), true
	}
	if below, ok := belowNopCloser(body); ok {
		return InMemory(below)
	}
	return nil, 0, false
}

// belowNopCloser returns the reader that was given to io.NopCloser. Any other is returned as
// it is, with false.
func belowNopCloser(r io.Reader) (io.Reader, bool) {
	if t := reflect.TypeOf(r); t == nopCloser || t == nopCloserWriterTo {
		if below, ok := reflect.ValueOf(r).Field(0).Interface().(io.Reader); ok {
			return below, true
		}
	}
	return r, false
}

// The types of io.NopCloser, which package io does not export.
var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))
)

// all keeps what a reader in memory writes, which is all of it in one call.
type all struct {
	bytes []byte
	text  string
}

func (a *all) Write(p []byte) (int, error) {
	a.bytes = p
	return len(p), nil
}

func (a *all) WriteString(s string) (int, error) {
	a.text = s
	return len(s), nil
}
