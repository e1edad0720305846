package holdfast_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Whoever asks for a net.Error, as code written for net/http does, has its answers:
// whether it was a limit, and whether it may pass.
func TestErrorsAreNetErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/503", "", fault.Fault{Status: 503}), rule("/404", "", fault.Fault{Status: 404}),
		), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		for path, want := range map[string][2]bool{"/hang": {true, true}, "/503": {false, true}, "/404": {false, false}} {
			var err interface { // net.Error, whose Temporary is deprecated
				error
				Timeout() bool
				Temporary() bool
			}
			if !errors.As(get(t.Context(), c, path), &err) {
				t.Errorf("%s: no net.Error", path)
				continue
			}
			equal(t, path+": Timeout and Temporary", [2]bool{err.Timeout(), err.Temporary()}, want)
		}
		limit := error(&holdfast.TimeoutError{Phase: "read", Limit: time.Second})
		var err net.Error
		if !errors.As(limit, &err) || !err.Timeout() || !errors.Is(limit, context.DeadlineExceeded) {
			t.Errorf("%v is no timeout", limit)
		}
		own := error(&holdfast.StatusError{Status: 799}) // without a name in RFC 9110
		equal(t, "its text", own.Error(), "status 799")
	})
}
