package holdfast_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Row A1: Close ends at once, Shutdown waits.
func TestCloseAndShutdown(t *testing.T) {
	hanging := plan(rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/503", "", fault.Fault{Status: 503}),
		rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 5 * time.Second}}))
	for _, path := range []string{"/hang", "/503"} { // on the wire, and between two attempts
		t.Run("Close"+path, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, hanging, holdfast.Config{})
				ended := make(chan error, 1)
				go func() {
					_, err := c.Get(t.Context(), path)
					ended <- err
				}()
				time.Sleep(time.Second / 2)
				start := time.Now()
				c.Close()
				err := <-ended
				is(t, err, holdfast.ErrClosed)
				isNot(t, err, holdfast.ErrTimeout, holdfast.ErrCanceled)
				equal(t, "time taken", time.Since(start), 0)
				equal(t, "failures", c.Breaker().Stats().FailureCount, map[string]int{"/503": 1}[path])
				_, err = c.Get(t.Context(), "/x")
				is(t, err, holdfast.ErrClosed)
				c.Close()
			})
		})
	}
	t.Run("Shutdown", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, hanging, holdfast.Config{})
			ended := make(chan error, 1)
			go func() {
				_, err := c.Get(t.Context(), "/slow")
				ended <- err
			}()
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := c.Shutdown(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "holdfast: echo: shutdown has left calls running (1): context deadline exceeded" {
				t.Errorf("error is %v", err)
			}
			_, err = c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrClosed)
			if err := c.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("a running call: %v", err)
			}
			if err := c.Shutdown(t.Context()); err != nil { // nothing is left to wait for
				t.Error(err)
			}
		})
	})
}
