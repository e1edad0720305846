package pipe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen() // no Accept
		defer l.Close()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Dial(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
