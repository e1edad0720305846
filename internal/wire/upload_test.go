package wire

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

func open(t *testing.T, u *Upload) io.ReadCloser {
	t.Helper()
	body, err := u.Open()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The next attempt reads the whole body, however much an attempt has read of it.
func TestUploadAgain(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	s := &source{Reader: strings.NewReader(text)}
	u := NewUpload(s, -1, true)
	for _, part := range []int{0, 1, 500, 300, len(text)} { // further, further, and less far
		body := open(t, u)
		got := make([]byte, part)
		if _, err := io.ReadFull(body, got); err != nil || string(got) != text[:part] {
			t.Fatalf("%d bytes: %q, %v", part, got, err)
		}
		if body.Close(); !u.Again() {
			t.Fatalf("it is gone after %d bytes", part)
		}
		if _, err := body.Read(make([]byte, 1)); err != errUploadOver {
			t.Error("an attempt that has ended still reads")
		}
	}
	if got, err := io.ReadAll(open(t, u)); string(got) != text || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	u.Close()
	u.Close()
	if s.closes() != 1 || !u.Again() { // the end was read, so that all of it is kept
		t.Errorf("closed %d times, again %v", s.closes(), u.Again())
	}
	if got, err := io.ReadAll(open(t, u)); string(got) != text || err != nil {
		t.Errorf("after its end: %d bytes, %v", len(got), err)
	}
}

// A body that is too long, or not to be repeated, is sent once.
func TestUploadOnce(t *testing.T) {
	for repeat, length := range map[bool]int{true: keepUpload + 1, false: 1} {
		u := NewUpload(&source{Reader: io.LimitReader(zeros{}, int64(length))}, -1, repeat)
		body := open(t, u)
		if n, err := io.Copy(io.Discard, body); n != int64(length) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if u.Again() {
			t.Errorf("%d bytes, repeat %v: can be had again", length, repeat)
		}
		if _, err := u.Open(); err != errUploadOver {
			t.Error(err)
		}
	}
}

// Every attempt gets the source's error after the same bytes.
func TestUploadThatFails(t *testing.T) {
	gone := errors.New("the disk is gone")
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, "begin")
		w.CloseWithError(gone)
	}()
	u := NewUpload(r, -1, true)
	for range 2 {
		if got, err := io.ReadAll(open(t, u)); string(got) != "begin" || err != gone {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// Two attempts never read the source at once. An attempt that ends while it blocks in a
// Read is freed, and the body is lost.
func TestUploadThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s := &source{Reader: r}
		u := NewUpload(s, -1, true)
		first, ended := open(t, u), make(chan error)
		go func() {
			_, err := first.Read(make([]byte, 10))
			ended <- err
		}()
		synctest.Wait()
		first.Close()
		if err := <-ended; err == nil {
			t.Error("it read something")
		}
		if u.Again() || s.closes() != 1 {
			t.Errorf("again %v, closed %d times", u.Again(), s.closes())
		}
		if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe {
			t.Error(err)
		}
	})
	u := NewUpload(&source{Reader: strings.NewReader("abc")}, -1, true)
	view := open(t, u)
	u.Close() // the operation has ended
	if n, err := view.Read(make([]byte, 1)); n != 0 || err != errUploadOver {
		t.Errorf("%d, %v", n, err)
	}
}

// A regular file is read by offset, from its position. A pipe is read once.
func TestUploadOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(name, []byte("head and tail"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Seek(5, io.SeekStart)
	u := NewUpload(f, -1, false)
	a, b := open(t, u), open(t, u)
	one := make([]byte, 3)
	io.ReadFull(a, one)
	f.Seek(0, io.SeekEnd) // as by another user of the file
	if rest, err := io.ReadAll(b); string(rest) != "and tail" || err != nil || string(one) != "and" {
		t.Errorf("%q, %q, %v", one, rest, err)
	}
	a.Close()
	if u.Close(); !errors.Is(f.Close(), os.ErrClosed) {
		t.Error("the file was left open")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if u := NewUpload(r, -1, true); u.file != nil {
		t.Error("a pipe is taken for a file")
	} else {
		u.Close()
	}
}

// waits is a body whose end is not known before it is closed.
type waits struct {
	left   []byte
	closed chan struct{}
}

func (w *waits) Read(p []byte) (int, error) {
	if len(w.left) == 0 {
		<-w.closed
		return 0, io.ErrClosedPipe
	}
	n := copy(p, w.left)
	w.left = w.left[n:]
	return n, nil
}
func (w *waits) Close() error { close(w.closed); return nil }

// A body of which the announced length was sent can be sent again, although no Read has
// met its end.
func TestUploadAsAnnounced(t *testing.T) {
	for _, c := range []struct {
		length int64
		again  bool
	}{{5, true}, {6, false}, {-1, false}} {
		u := NewUpload(&waits{[]byte("whole"), make(chan struct{})}, c.length, true)
		first, _ := u.Open()
		b := make([]byte, 9)
		n, _ := first.Read(b)
		if string(b[:n]) != "whole" || u.Settled() != c.again {
			t.Errorf("length %d: %q, settled: %v", c.length, b[:n], u.Settled())
		}
		reading := make(chan struct{})
		go func() { // as net/http does
			defer close(reading)
			_, _ = first.Read(make([]byte, 1))
		}()
		for inside := false; !inside; {
			u.mu.Lock()
			inside = u.inside
			u.mu.Unlock()
		}
		_ = first.Close()
		<-reading
		if u.Again() != c.again {
			t.Errorf("length %d: can be had again: %v", c.length, u.Again())
			continue
		}
		if !c.again {
			continue
		}
		for range 2 {
			next, err := u.Open()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(next); string(b) != "whole" || err != nil {
				t.Errorf("the next has %q, %v", b, err)
			}
		}
	}
}
