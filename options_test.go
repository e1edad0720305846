package holdfast_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// A constructor names every option that it does not use.
func TestUnusedOptions(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	dial := holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed })
	transport, secure := holdfast.WithTransport(http.DefaultTransport), holdfast.WithTLSConfig(new(tls.Config))
	newClient := func(opts ...holdfast.Option) error {
		_, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test"}, opts...)
		return err
	}
	newPolicy := func(opts ...holdfast.Option) error {
		_, err := holdfast.NewPolicy(holdfast.PolicyConfig{}, opts...)
		return err
	}
	newBreaker := func(opts ...holdfast.Option) error {
		_, err := holdfast.NewBreaker(holdfast.BreakerConfig{}, opts...)
		return err
	}
	const elsewhere = " is set although only a client opens connections: leave it out"
	const beside = " is set beside WithTransport, which opens connections itself: set one of them"
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"all that a client uses", newClient(dial, secure, holdfast.WithLogger(logger), holdfast.WithRetryLevel(slog.LevelInfo)), ""},
		{"its transport alone", newClient(transport), ""},
		{"a transport and what it would replace", newClient(dial, transport, secure),
			"holdfast: WithDialContext" + beside + "\nholdfast: WithTLSConfig" + beside},
		{"a level without a log", newClient(holdfast.WithRetryLevel(slog.LevelInfo)), "holdfast: WithRetryLevel is set without a logger: add WithLogger"},
		{"all that a policy uses", newPolicy(holdfast.WithLogger(logger), holdfast.WithRetryLevel(slog.LevelInfo)), ""},
		{"a policy sends nothing itself", newPolicy(dial, secure, transport),
			"holdfast: WithTransport" + elsewhere + "\nholdfast: WithDialContext" + elsewhere + "\nholdfast: WithTLSConfig" + elsewhere},
		{"all that a breaker uses", newBreaker(holdfast.WithLogger(logger)), ""},
		{"a breaker does not retry", newBreaker(holdfast.WithLogger(logger), holdfast.WithRetryLevel(slog.LevelInfo), transport),
			"holdfast: WithTransport" + elsewhere + "\nholdfast: WithRetryLevel is set although a breaker has no retries: leave it out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if tt.err != nil {
				got = tt.err.Error()
			}
			equal(t, "the error", got, tt.want)
		})
	}
}

// An option of nil is no option.
func TestNilOptions(t *testing.T) {
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://127.0.0.1:1", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
		holdfast.WithObserver(nil), holdfast.WithInstrument(nil), holdfast.WithLogger(nil),
		holdfast.WithTransport(nil), holdfast.WithDialContext(nil), holdfast.WithTLSConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	is(t, get(t.Context(), c, "/x"), holdfast.ErrConnection)
}
