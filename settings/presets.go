package settings

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast"
)

// CloudAPI is a configuration for an external API: add BaseURL and credentials. Its
// numbers are those of requirement B8 in docs/requirements.md.
func CloudAPI() holdfast.Config {
	return holdfast.Config{
		Timeouts: holdfast.Timeouts{
			Attempt: 60 * time.Second, // of 30 to 60: an API has timeouts of its own
		},
		Retry: holdfast.Retry{
			MaxRetries: 3, // for rate limits and transient errors
			Jitter:     holdfast.Proportional,
		},
		Breaker: holdfast.BreakerConfig{
			FailureThreshold: 10,               // of 10 to 15: an external service fails now and then
			OpenTimeout:      60 * time.Second, // the time that it may take to recover
		},
	}
}

// LocalService is a configuration for a service on this machine or near it, such as
// Ollama: add BaseURL. Its numbers are those of requirement B8 in
// docs/requirements.md.
func LocalService() holdfast.Config {
	return holdfast.Config{
		Timeouts: holdfast.Timeouts{
			Attempt: 90 * time.Second, // of 90 to 120: it may work on large batches
		},
		Retry: holdfast.Retry{
			MaxRetries: 3, // a local network is reliable
			Jitter:     holdfast.Proportional,
		},
		Breaker: holdfast.BreakerConfig{
			FailureThreshold: 15,               // of 15 to 20: local failures are rare
			OpenTimeout:      60 * time.Second, // it recovers quickly
		},
	}
}

// Database is a policy's configuration for the statements of a database. Its
// numbers are those of requirement B8 in docs/requirements.md.
//
// It repeats a statement after a timeout or a broken connection: a dial that failed, other
// than for a name that does not exist, a connection that was reset or closed,
// io.ErrUnexpectedEOF, and driver.ErrBadConn (package database/sql/driver). Extend Retry.On
// for other errors of your driver, such as a deadlock:
// cfg.Retry.On = holdfast.Any(cfg.Retry.On, ...). A statement that timed out or lost its
// connection may have been carried out: use the policy for statements that may run twice.
func Database() holdfast.PolicyConfig {
	return holdfast.PolicyConfig{
		Name: "database",
		Retry: holdfast.Retry{
			MaxRetries: 2,                      // of 2 to 3: a database rarely needs more
			BaseDelay:  500 * time.Millisecond, // of 0.5s to 1s: it recovers quickly
			Jitter:     holdfast.Proportional,
			On:         holdfast.Any(holdfast.Is(driver.ErrBadConn), timedOut, brokeOff),
		},
	}
}

// timedOut reports whether err is a timeout of the context, the network or the
// system.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// brokeOff reports whether err means that a connection could not be made, or has ended. It
// is false for a connection that this side closed, and for a bare io.EOF, which can also be
// the end of the data.
func brokeOff(err error) bool {
	var at *net.OpError
	var name *net.DNSError
	var system *os.SyscallError
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	case errors.As(err, &name):
		return !name.IsNotFound
	case !errors.As(err, &at):
		return false
	}
	return at.Op == "dial" || errors.As(err, &system) // whatever the system calls it
}
