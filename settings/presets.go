package settings

import (
	"database/sql/driver"
	"errors"
	"net"
	"time"

	"github.com/holdfast-go/holdfast"
)

// CloudAPI is a configuration for an external API, to which BaseURL and
// credentials are to be added. The numbers and the reasons are the second seed's
// ("Best Practices for Configuration").
func CloudAPI() holdfast.Config {
	return holdfast.Config{
		Timeouts: holdfast.Timeouts{
			Attempt: 60 * time.Second, // 30 to 60: "APIs have their own timeouts"
		},
		Retry: holdfast.Retry{
			MaxRetries: 3, // "handle rate limits and transient errors"
			Jitter:     holdfast.Proportional,
		},
		Breaker: holdfast.BreakerConfig{
			FailureThreshold: 10,               // 10 to 15: "external services can be flaky"
			OpenTimeout:      60 * time.Second, // "reasonable recovery window"
		},
	}
}

// LocalService is a configuration for a service on this machine or next to it,
// such as Ollama, to which BaseURL is to be added. The numbers and the reasons are
// the second seed's ("Best Practices for Configuration").
func LocalService() holdfast.Config {
	return holdfast.Config{
		Timeouts: holdfast.Timeouts{
			Attempt: 90 * time.Second, // 90 to 120: "can process large batches"
		},
		Retry: holdfast.Retry{
			MaxRetries: 3, // "local network is reliable"
			Jitter:     holdfast.Proportional,
		},
		Breaker: holdfast.BreakerConfig{
			FailureThreshold: 15,               // 15 to 20: "local failures are rare"
			OpenTimeout:      60 * time.Second, // "quick recovery expected"
		},
	}
}

// Database is a policy's configuration for what is asked of a database. The
// numbers and the reasons are the second seed's ("Best Practices for
// Configuration").
//
// It repeats what failed for a broken connection or a timeout. Replace Retry.On
// where your driver can say more, of a deadlock for one. A statement that timed
// out may have been carried out: give it only what may be done twice.
func Database() holdfast.PolicyConfig {
	return holdfast.PolicyConfig{
		Name: "database",
		Retry: holdfast.Retry{
			MaxRetries: 2,                      // 2 to 3: "databases rarely need many retries"
			BaseDelay:  500 * time.Millisecond, // 0.5 to 1.0: "quick recovery"
			Jitter:     holdfast.Proportional,
			On:         holdfast.Any(holdfast.Is(driver.ErrBadConn), timedOut), // "Specific error types (OperationalError, TimeoutError)"
		},
	}
}

// timedOut is any timeout: the context's, the network's, the system's.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
