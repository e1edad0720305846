package wire

import (
	"io"
	"testing"
)

// waits is a body that does not tell its end before it is closed.
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

// A body that was sent as announced can be had again, though nobody has seen its
// end when the attempt ends.
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
		go func() { // what net/http does then
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
