package wire

import (
	"bytes"
	"io"
	"reflect"
	"strings"
)

// Memory is a request's body that net/http knows to be in memory: a bytes.Reader, a
// bytes.Buffer or a strings.Reader, also below io.NopCloser. net/http sends such a body
// together with the headers, in one write.
//
// Attempts read what the caller's reader holds, without a copy, and never the reader itself.
// So the caller may seek it back for the next request while a lost attempt still writes.
type Memory struct {
	Length int64
	Open   func() io.ReadCloser // for one attempt
	Spend  func()               // reads the caller's reader to its end
}

// InMemory returns a body that is in memory, and false for any other. The caller's reader
// stays where it is until Spend.
func InMemory(body io.Reader) (m Memory, ok bool) {
	switch r := body.(type) {
	case *bytes.Buffer:
		content := r.Bytes()
		return Memory{int64(len(content)), openBytes(content), func() { r.Next(len(content)) }}, true
	case *bytes.Reader:
		var content all
		at, _ := r.Seek(0, io.SeekCurrent)
		_, _ = r.WriteTo(&content)
		_, _ = r.Seek(at, io.SeekStart)
		return Memory{int64(len(content.bytes)), openBytes(content.bytes), func() { _, _ = r.Seek(0, io.SeekEnd) }}, true
	case *strings.Reader:
		var content all
		at, _ := r.Seek(0, io.SeekCurrent)
		_, _ = r.WriteTo(&content)
		_, _ = r.Seek(at, io.SeekStart)
		open := func() io.ReadCloser { return io.NopCloser(strings.NewReader(content.text)) }
		return Memory{int64(len(content.text)), open, func() { _, _ = r.Seek(0, io.SeekEnd) }}, true
	}
	if below, ok := belowNopCloser(body); ok {
		return InMemory(below)
	}
	return Memory{}, false
}

func openBytes(content []byte) func() io.ReadCloser {
	return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(content)) }
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
