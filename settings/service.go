package settings

import (
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
)

// Service is what can be set of every provider. Durations and numbers may be
// [holdfast.Off] where their comment says so. The defaults and what is quoted are
// the second seed's, "Configuration Settings" and "HttpClientConfig", unless the
// comment says otherwise.
type Service struct {
	// Name is the provider's: the key in the file, and the client's name.
	Name string
	// BaseURL is where the API is served. Default https://api.mixedbread.com/v1
	// for Mixedbread, http://localhost:11434 (Ollama's own) for Ollama; any other
	// must set it.
	BaseURL string
	// APIKey is sent as "Authorization: Bearer" and the key. Default: none is sent.
	APIKey Secret
	// Header is sent with every request. Its values are taken for credentials,
	// since they often are.
	Header map[string]Secret

	// ConnectTimeout is the time to open a connection, or Off. Default 10s.
	ConnectTimeout time.Duration
	// WriteTimeout is the time in which the service has to take a chunk of the
	// request, 32 KiB of its body, or Off. Default 10s.
	WriteTimeout time.Duration
	// ReadTimeout is the longest silence of the service, or Off. Default, zero: as
	// long as the attempt may take.
	ReadTimeout time.Duration
	// PoolTimeout is the longest wait for a slot, or Off. Default 5s.
	PoolTimeout time.Duration
	// TotalTimeout is the longest that an operation may take with all its attempts
	// and waits. Default, zero: as long as its context lets it.
	TotalTimeout time.Duration

	// MaxConnections is the most connections at once, or Off. Default 50.
	MaxConnections int
	// MaxKeepaliveConnections is how many are kept while idle, or Off. Default 20.
	MaxKeepaliveConnections int
	// KeepaliveExpiry is how long an idle connection is kept, or Off for ever.
	// Default 30s.
	KeepaliveExpiry time.Duration

	// MaxRetries is how many attempts may follow the first, or Off. Default 3:
	// "Standard retry strategy for rate limits and transient errors". Python's 0 is
	// off here, and Load says so.
	MaxRetries int
	// RetryBaseDelay is the backoff before the first retry, which doubles with
	// each, or Off. Default 1s.
	RetryBaseDelay time.Duration
	// RetryMaxDelay caps the backoff. Default 10s, or RetryBaseDelay if that is
	// longer.
	RetryMaxDelay time.Duration
	// RetryMaxRetryAfter is the longest Retry-After that is obeyed, or Off. Default
	// 60s (holdfast's own).
	RetryMaxRetryAfter time.Duration
	// RetryJitter is how chance spreads the backoff. Default Proportional: "±50%
	// random variance" ("Retry Behavior").
	RetryJitter holdfast.Jitter
	// RetryRepeat is which requests may be sent again. Default RepeatKeyed.
	RetryRepeat holdfast.Repeat

	// CircuitBreakerThreshold is how many operations in a row have to fail until
	// the service is left alone, or Off for no breaker. Default 10 for Mixedbread:
	// "Lower circuit breaker threshold (external APIs can fail more frequently)";
	// 15 for Ollama: "Higher circuit breaker threshold (local service can handle
	// burst failures)"; 15 for others.
	CircuitBreakerThreshold int
	// CircuitBreakerTimeout is how long the service is left alone. Default 60s: "60
	// seconds (reasonable recovery window)" ("Best Practices for Configuration").
	CircuitBreakerTimeout time.Duration
	// CircuitBreakerHalfOpenMaxCalls is how many probes there are at once, and have
	// to succeed. Default 3.
	CircuitBreakerHalfOpenMaxCalls int
	// CircuitBreakerCountAttempts counts every attempt as a failure, instead of the
	// operation as one. Default false.
	CircuitBreakerCountAttempts bool

	// BulkheadMaxConcurrent is how many requests run at once, or Off. Default, zero:
	// MaxConnections.
	BulkheadMaxConcurrent int
	// BulkheadMaxQueue is how many may wait for a slot, or Off. Default 1000
	// (holdfast's own).
	BulkheadMaxQueue int

	// RequestIDHeader carries the operation's id. Default X-Request-ID (first seed).
	RequestIDHeader string
	// IdempotencyKey also sends that id as Idempotency-Key. Default false.
	IdempotencyKey bool
	// MaxResponseBytes is the longest answer that is read into memory, or Off.
	// Default 33554432, 32 MiB (holdfast's own).
	MaxResponseBytes int64
	// MaxEventBytes is the longest line or event of a stream, or Off. Default
	// 8388608, 8 MiB (holdfast's own).
	MaxEventBytes int
	// MaxRedirects is how many redirects an attempt follows, at most 20, or Off.
	// Default, zero: none (holdfast's own).
	MaxRedirects int
}

// defaults are a service's own; what differs between providers is an argument.
func defaults(name, baseURL string, threshold int) Service {
	return Service{
		Name:    name,
		BaseURL: baseURL,

		ConnectTimeout: 10 * time.Second,
		WriteTimeout:   10 * time.Second,
		PoolTimeout:    5 * time.Second,

		MaxConnections:          50,
		MaxKeepaliveConnections: 20,
		KeepaliveExpiry:         30 * time.Second,

		MaxRetries:         3,
		RetryBaseDelay:     time.Second,
		RetryMaxDelay:      10 * time.Second,
		RetryMaxRetryAfter: 60 * time.Second,
		RetryJitter:        holdfast.Proportional,

		CircuitBreakerThreshold:        threshold,
		CircuitBreakerTimeout:          60 * time.Second,
		CircuitBreakerHalfOpenMaxCalls: 3,

		BulkheadMaxQueue: 1000,

		RequestIDHeader:  "X-Request-ID",
		MaxResponseBytes: 32 << 20,
		MaxEventBytes:    8 << 20,
	}
}

func mixedbreadProvider() Provider {
	return Provider{defaults("mixedbread", "https://api.mixedbread.com/v1", 10), 60 * time.Second}
}

func ollamaProvider() Ollama {
	return Ollama{defaults("ollama", "http://localhost:11434", 15), 90 * time.Second, 120 * time.Second, 5 * time.Second}
}

func otherProvider(name string) Provider {
	return Provider{defaults(name, "", 15), 60 * time.Second}
}

// config is the service's, with the one timeout that may depend on the request.
func (s Service) config(attempt time.Duration) holdfast.Config {
	c := holdfast.Config{
		Name:    s.Name,
		BaseURL: s.BaseURL,
		Timeouts: holdfast.Timeouts{
			Connect: s.ConnectTimeout, Write: s.WriteTimeout, Read: s.ReadTimeout,
			Acquire: s.PoolTimeout, Attempt: attempt, Total: s.TotalTimeout,
		},
		Pool: holdfast.Pool{
			MaxConns: s.MaxConnections, MaxIdleConns: s.MaxKeepaliveConnections, IdleExpiry: s.KeepaliveExpiry,
		},
		Retry: holdfast.Retry{
			MaxRetries: s.MaxRetries, BaseDelay: s.RetryBaseDelay, MaxDelay: s.RetryMaxDelay,
			MaxRetryAfter: s.RetryMaxRetryAfter, Jitter: s.RetryJitter, Repeat: s.RetryRepeat,
		},
		Breaker: holdfast.BreakerConfig{
			FailureThreshold: s.CircuitBreakerThreshold, OpenTimeout: s.CircuitBreakerTimeout,
			HalfOpenMaxCalls: s.CircuitBreakerHalfOpenMaxCalls, CountAttempts: s.CircuitBreakerCountAttempts,
		},
		Bulkhead:         holdfast.BulkheadConfig{MaxConcurrent: s.BulkheadMaxConcurrent, MaxQueue: s.BulkheadMaxQueue},
		RequestIDHeader:  s.RequestIDHeader,
		IdempotencyKey:   s.IdempotencyKey,
		MaxResponseBytes: s.MaxResponseBytes,
		MaxEventBytes:    s.MaxEventBytes,
		MaxRedirects:     s.MaxRedirects,
	}
	if s.APIKey.Set() || len(s.Header) > 0 {
		c.Header = http.Header{}
	}
	for name, value := range s.Header {
		c.Header[name] = []string{value.Reveal()}
	}
	if s.APIKey.Set() {
		c.Header.Set("Authorization", "Bearer "+s.APIKey.Reveal())
	}
	return c
}
