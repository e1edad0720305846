package wire

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
)

// Chunk is how much of a request is sent at once, and so the unit of Limits.Write.
// HTTP/2 would take half a megabyte.
const Chunk = 32 << 10

// requestBody is the body of a request.
type requestBody struct {
	roundTrip *RoundTrip
	body      io.ReadCloser
	length    int64 // that the request announces; negative if it announces none
	got       int64 // bytes that were read
	read      atomic.Bool
	closed    atomic.Bool
	failed    atomic.Pointer[error] // of the body itself, rather than of its Close
	stop      func() bool
}

// Read times nothing while the body is read: if its source is slow, neither this side
// nor the service is late.
func (b *requestBody) Read(p []byte) (int, error) {
	r := b.roundTrip
	r.clear(dueWrite)
	r.clear(dueHeaders)
	b.read.Store(true)
	n, err := b.readSource(p[:min(len(p), Chunk)])
	b.got += int64(n)
	if wrong := b.wrongLength(err == io.EOF); wrong != nil && !b.closed.Load() {
		n, err = 0, wrong
	}
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.failed.Store(&err)
	}
	if err == nil || !r.conn.foreign.Load() {
		r.set(dueWrite)
	} else {
		r.set(dueHeaders)
	}
	return n, err
}

// readSource reads the caller's body. net/http's goroutine calls it, in which a panic would
// end the program: here it is the body's error.
func (b *requestBody) readSource(p []byte) (n int, err error) {
	returned := false
	defer func() {
		if !returned {
			n, err = 0, b.broken("Read", recover())
		}
	}()
	n, err = b.body.Read(p)
	returned = true
	return n, err
}

// broken returns the error of a body with a method that has panicked with a value, or has
// called runtime.Goexit if the value is nil. That has ended a goroutine of net/http's, so that
// the connection can do no more.
func (b *requestBody) broken(method string, panicked any) error {
	err := fmt.Errorf("its %s panicked: %v", method, panicked)
	if panicked == nil {
		err = fmt.Errorf("its %s called runtime.Goexit", method)
	}
	b.failed.CompareAndSwap(nil, &err)
	if panicked == nil {
		b.roundTrip.cut()
	}
	return err
}

// sendFile sends at most n bytes of the body, which is a file, to a socket of HTTP/1.1, one
// chunk after the other. ok is false for any other body.
func (b *requestBody) sendFile(c *trackedConn, n int64) (sent int64, err error, ok bool) {
	file, isFile := b.body.(*fileReader)
	socket, isSocket := c.Conn.(*net.TCPConn)
	if !isFile || !isSocket {
		return 0, nil, false
	}
	if _, ok := file.u.file.(*os.File); !ok {
		return 0, nil, false
	}
	r := b.roundTrip
	b.read.Store(true)
	for sent < n && err == nil {
		r.clear(dueHeaders)
		r.set(dueWrite)
		chunk := min(n-sent, Chunk)
		c.wrote.Add(chunk)
		var more int64
		more, err = file.send(socket, chunk)
		c.wrote.Add(more - chunk)
		b.got += more
		if sent += more; more == 0 {
			break // the end
		}
	}
	return sent, err, true
}

// wrongLength returns the error of a body that does not have the length that its request
// announces, in net/http's words, and nil as long as it may have.
func (b *requestBody) wrongLength(ended bool) error {
	switch {
	case b.length < 0, b.got == b.length, b.got < b.length && !ended:
		return nil
	case b.got < b.length:
		return fmt.Errorf("http: ContentLength=%d with Body length %d", b.length, b.got)
	}
	return fmt.Errorf("http: ContentLength=%d with Body length %d or more", b.length, b.got)
}

// Close closes the body once. A body that was not read stays open until the round trip
// ends: net/http also closes it when there is no connection yet.
func (b *requestBody) Close() error {
	if !b.read.Load() && b.roundTrip.Err() == nil {
		return nil
	}
	b.stop()
	b.shut()
	return nil
}

func (b *requestBody) shut() {
	if !b.closed.CompareAndSwap(false, true) {
		return
	}
	returned := false
	defer func() {
		if !returned {
			_ = b.broken("Close", recover())
		}
	}()
	_ = b.body.Close()
	returned = true
}
