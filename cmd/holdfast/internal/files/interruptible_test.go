package files

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestInterruptible(t *testing.T) {
	if text, err := io.ReadAll(Interruptible(strings.NewReader("text"))); string(text) != "text" || err != nil {
		t.Errorf("%q, %v; want all of the reader", text, err)
	}
	synctest.Test(t, func(t *testing.T) {
		silent, typist := io.Pipe()
		defer typist.Close()
		r := Interruptible(silent)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		r.Close()
		if err := <-ended; err == nil {
			t.Error("the Read that Close ended has no error")
		}
	})
}
