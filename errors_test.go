package holdfast_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// An error is a net.Error, for code that was written for net/http: it tells whether a limit
// was reached, and whether the failure may pass.
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

// An ErrStatus has a *StatusError: code that looks for it must not find nil.
func TestStatusErrorsHaveAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("/429", "", fault.Fault{Status: 429, Header: map[string]string{"Retry-After": "50"}}), rule("/400", "", fault.Fault{Status: 400}),
			rule("/301", "", fault.Fault{Status: 301}),
		), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		short, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, tt := range []struct {
			name     string
			err      error
			kind     error
			answered bool
		}{
			{"a 400", get(t.Context(), c, "/400"), holdfast.ErrInvalidRequest, true},
			{"a redirect", get(t.Context(), c, "/301"), holdfast.ErrStatus, true},
			{"a path that cannot be called", get(t.Context(), c, "/../x"), holdfast.ErrInvalidRequest, false},
			{"a 429", get(t.Context(), c, "/429"), holdfast.ErrRateLimited, true},
			{"a call in the cooldown after it", get(short, c, "/429"), holdfast.ErrCoolingDown, false},
		} {
			is(t, tt.err, tt.kind)
			var answer *holdfast.StatusError
			if has, promised := errors.As(tt.err, &answer), errors.Is(tt.err, holdfast.ErrStatus); has != tt.answered || promised != tt.answered {
				t.Errorf("%s: has an answer: %v, is an ErrStatus: %v; want both %v", tt.name, has, promised, tt.answered)
			}
		}
	})
}

func TestCodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rules []fault.Rule
		want := map[string]holdfast.Code{
			"/400": "invalid_argument", "/401": "unauthenticated", "/403": "permission_denied", "/404": "not_found", "/408": "deadline_exceeded",
			"/418": "failed_precondition", "/429": "resource_exhausted", "/500": "internal", "/503": "unavailable",
		}
		for path := range want {
			status, _ := strconv.Atoi(path[1:])
			rules = append(rules, rule(path, "", fault.Fault{Status: status}))
		}
		rules = append(rules, rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}))
		c, _ := service(t, plan(rules...), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		code := func(err error) holdfast.Code {
			var e *holdfast.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *Error", err)
			}
			return e.Code()
		}
		for path, want := range want {
			equal(t, path, code(get(t.Context(), c, path)), want)
		}
		equal(t, "a limit", code(get(t.Context(), c, "/hang")), holdfast.CodeDeadlineExceeded)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		equal(t, "a cancellation", code(get(canceled, c, "/x")), holdfast.CodeCanceled)
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		equal(t, "a policy's own error", code(holdfast.Run(t.Context(), p, func(context.Context) error { return errDown })), holdfast.CodeUnknown)
		_ = c.Close()
		equal(t, "a closed client", code(get(t.Context(), c, "/x")), holdfast.CodeUnavailable)
	})
}
