package holdfast

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/setting"
)

func init() { setting.Client = table }

// of is a row of the table, for a field of type T.
type of[T comparable] = setting.Of[Config, T]

// row is the part of it that does not depend on the type.
type row = setting.Row

// table has every field of Config. A setting is added by its field and its row.
// The rows are resolved in this order: one that follows another stands below it.
var table = []setting.Setting[Config]{
	of[string]{
		Row: row{Name: "BaseURL", Key: "base_url", Env: "BASE_URL",
			Must: `must be an address like "https://api.example.com/v1"`, Doc: "the address of the API"},
		At: func(c *Config) *string { return &c.BaseURL }, Check: checkBaseURL,
	},
	of[string]{
		Row:     row{Name: "Name", Doc: "the service's name in errors, events and logs"},
		At:      func(c *Config) *string { return &c.Name },
		Follows: func(c *Config, _ string) string { return parsed(c.BaseURL).Host },
	},
	setting.Opaque[Config]{
		Row:   row{Name: "Header", Key: "header", Unset: "none", Doc: "headers of every request; their values are credentials"},
		Shown: func(c *Config) string { return cmp.Or(strings.Join(slices.Sorted(maps.Keys(c.Header)), ", "), "none") },
	},
	setting.Opaque[Config]{
		Row: row{Name: "Authorize", Doc: "authorizes each attempt"},
	},
	setting.Opaque[Config]{
		Row: row{Name: "Classify", Doc: "says whether an answer is a failure whatever its status"},
	},
	setting.Opaque[Config]{
		Row: row{Name: "Scope", Doc: "names the part of the service that a call belongs to"},
	},

	of[time.Duration]{
		Row: row{Name: "Timeouts.Connect", Key: "timeouts.connect", Env: "CONNECT_TIMEOUT", Off: setting.Always,
			Source: "B2b", Doc: "opening a connection, and again its TLS handshake"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Connect }, Default: 10 * time.Second,
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Write", Key: "timeouts.write", Env: "WRITE_TIMEOUT", Off: setting.Always,
			Source: "B2b", Doc: "sending one chunk of a request, 32 KiB of its body"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Write }, Default: 10 * time.Second,
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Attempt", Key: "timeouts.attempt", Env: "TIMEOUT", Off: setting.Always,
			Source: "B2b", Doc: "one attempt"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Attempt }, Default: time.Minute,
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Read", Key: "timeouts.read", Env: "READ_TIMEOUT", Off: setting.Always,
			Unset: "the attempt's", Source: "B2b", Doc: "the wait for the headers, and for each chunk of the body"},
		At:      func(c *Config) *time.Duration { return &c.Timeouts.Read },
		Follows: func(c *Config, _ time.Duration) time.Duration { return c.Timeouts.Attempt },
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Acquire", Key: "timeouts.acquire", Env: "ACQUIRE_TIMEOUT", Off: setting.Always,
			OldKey: "timeouts.pool", OldEnv: "POOL_TIMEOUT",
			Source: "B2b", Doc: "the wait for a permit of the bulkhead, and again for a connection"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Acquire }, Default: 5 * time.Second,
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.FirstEvent", Key: "timeouts.first_event", Env: "FIRST_EVENT_TIMEOUT",
			Unset: "the attempt's", Doc: "from the start of an attempt to the first event of a stream that is content"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.FirstEvent },
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Event", Key: "timeouts.event", Env: "EVENT_TIMEOUT", Off: setting.Always,
			Unset: "none", Doc: "the wait for the next event of a stream"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Event },
	},
	of[time.Duration]{
		Row: row{Name: "Timeouts.Total", Key: "timeouts.total", Env: "TOTAL_TIMEOUT", Off: setting.Always,
			Unset: "none", Doc: "the whole call, with all its attempts and waits"},
		At: func(c *Config) *time.Duration { return &c.Timeouts.Total },
	},

	of[int]{
		Row: row{Name: "Pool.MaxConns", Key: "pool.max_conns", Env: "MAX_CONNECTIONS", Off: setting.Always,
			Source: "B2b", Doc: "connections at once"},
		At: func(c *Config) *int { return &c.Pool.MaxConns }, Default: 50, Most: 1 << 20,
	},
	of[int]{
		Row: row{Name: "Pool.MaxIdleConns", Key: "pool.max_idle_conns", Env: "MAX_KEEPALIVE_CONNECTIONS", Off: setting.Always,
			Source: "B2b", Doc: "connections that are kept while idle"},
		At: func(c *Config) *int { return &c.Pool.MaxIdleConns }, Default: 20, Most: 1 << 20,
	},
	of[time.Duration]{
		Row: row{Name: "Pool.IdleExpiry", Key: "pool.idle_expiry", Env: "KEEPALIVE_EXPIRY", Off: setting.Always,
			Source: "B2b", Doc: "how long an idle connection is kept"},
		At: func(c *Config) *time.Duration { return &c.Pool.IdleExpiry }, Default: 30 * time.Second,
	},
	of[time.Duration]{
		Row: row{Name: "Pool.MaxAge", Key: "pool.max_age", Env: "CONNECTION_MAX_AGE", Off: setting.Always,
			Doc: "how long a connection is used"},
		At: func(c *Config) *time.Duration { return &c.Pool.MaxAge }, Default: 5 * time.Minute,
	},
	of[string]{
		Row: row{Name: "Proxy", Key: "proxy", Env: "PROXY", Unset: "that of the environment",
			Must: `must be an address like "http://proxy.example.com:3128", or "none"`, Doc: "the proxy"},
		At: func(c *Config) *string { return &c.Proxy }, Check: checkProxy,
	},
	of[bool]{
		Row: row{Name: "UnencryptedHTTP2", Key: "unencrypted_http2", Env: "UNENCRYPTED_HTTP2",
			Doc: "whether HTTP/2 is spoken over http://"},
		At: func(c *Config) *bool { return &c.UnencryptedHTTP2 },
	},

	of[int]{
		Row: row{Name: "Retry.MaxRetries", Key: "retry.max_retries", Env: "MAX_RETRIES", Off: setting.Always, ZeroIsUnclear: true,
			Source: "B2b", Doc: "attempts after the first"},
		At:      func(c *Config) *int { return &c.Retry.MaxRetries },
		Default: 3, Most: 100, // an operation remembers each of its attempts
	},
	of[time.Duration]{
		Row: row{Name: "Retry.BaseDelay", Key: "retry.base_delay", Env: "RETRY_BASE_DELAY", Off: setting.Always,
			Source: "B2b", Doc: "the backoff before the first retry; it doubles with each"},
		At:      func(c *Config) *time.Duration { return &c.Retry.BaseDelay },
		Default: time.Second, Alone: new(500 * time.Millisecond), // of a policy: B7
	},
	of[time.Duration]{
		Row: row{Name: "Retry.MaxDelay", Key: "retry.max_delay", Env: "RETRY_MAX_DELAY",
			Source: "B2b", Doc: "the longest backoff; `base_delay` if that is longer"},
		At: func(c *Config) *time.Duration { return &c.Retry.MaxDelay }, Default: 10 * time.Second,
		Follows: func(c *Config, def time.Duration) time.Duration { return max(def, c.Retry.BaseDelay) },
	},
	of[time.Duration]{
		Row: row{Name: "Retry.MaxRetryAfter", Key: "retry.max_retry_after", Env: "RETRY_MAX_RETRY_AFTER", Off: setting.Always,
			Doc: "the longest `Retry-After` that is obeyed"},
		At: func(c *Config) *time.Duration { return &c.Retry.MaxRetryAfter }, Default: time.Minute,
	},
	of[time.Duration]{
		Row: row{Name: "Retry.MaxCooldown", Key: "retry.max_cooldown", Env: "RETRY_MAX_COOLDOWN", Off: setting.Always,
			Doc: "the longest time for which no call is sent because the service asked for it"},
		At: func(c *Config) *time.Duration { return &c.Retry.MaxCooldown }, Default: 10 * time.Minute,
	},
	of[int]{
		Row: row{Name: "Retry.Throttled.MaxRetries", Key: "retry.throttled_max_retries", Env: "RETRY_THROTTLED_MAX_RETRIES", Unset: "none",
			Doc: "retries after a 429, beside the others"},
		At: func(c *Config) *int { return &c.Retry.Throttled.MaxRetries }, Most: 100,
	},
	of[time.Duration]{
		Row: row{Name: "Retry.Throttled.BaseDelay", Key: "retry.throttled_base_delay", Env: "RETRY_THROTTLED_BASE_DELAY", Unset: "none",
			Doc: "the backoff before the first of them, which doubles with each; 5s if there are such retries"},
		At: func(c *Config) *time.Duration { return &c.Retry.Throttled.BaseDelay }, Follows: throttledDelay(5 * time.Second),
	},
	of[time.Duration]{
		Row: row{Name: "Retry.Throttled.MaxDelay", Key: "retry.throttled_max_delay", Env: "RETRY_THROTTLED_MAX_DELAY", Unset: "none",
			Doc: "the longest backoff of them; 60s if there are such retries, or `base_delay` if that is longer"},
		At: func(c *Config) *time.Duration { return &c.Retry.Throttled.MaxDelay }, Follows: throttledDelay(time.Minute),
	},
	of[Jitter]{
		Row: row{Name: "Retry.Jitter", Key: "retry.jitter", Env: "RETRY_JITTER",
			Source: "A5", Doc: "how chance spreads the backoff"},
		At: func(c *Config) *Jitter { return &c.Retry.Jitter },
		Words: []setting.Word[Jitter]{
			{Value: Full, Go: "Full", File: "full"},
			{Value: Proportional, Go: "Proportional", File: "proportional"},
			{Value: Decorrelated, Go: "Decorrelated", File: "decorrelated"},
			{Value: NoJitter, Go: "NoJitter", File: "none"},
		},
	},
	setting.Opaque[Config]{
		Row: row{Name: "Retry.On", Doc: "reports whether an error is worth repeating"},
	},
	of[Repeat]{
		Row: row{Name: "Retry.Repeat", Key: "retry.repeat", Env: "RETRY_REPEAT",
			Doc: "which requests may be sent again"},
		At: func(c *Config) *Repeat { return &c.Retry.Repeat },
		Words: []setting.Word[Repeat]{
			{Value: RepeatKeyed, Go: "RepeatKeyed", File: "keyed"},
			{Value: RepeatSafe, Go: "RepeatSafe", File: "safe"},
			{Value: RepeatNever, Go: "RepeatNever", File: "never"},
		},
	},
	of[Nested]{
		Row: row{Name: "Retry.Nested", Key: "retry.nested", Env: "RETRY_NESTED",
			Doc: "whether a call that an SDK repeats itself is retried, too"},
		At: func(c *Config) *Nested { return &c.Retry.Nested },
		Words: []setting.Word[Nested]{
			{Value: Yield, Go: "Yield", File: "yield"},
			{Value: Multiply, Go: "Multiply", File: "multiply"},
		},
	},

	of[int]{
		Row: row{Name: "Breaker.FailureThreshold", Key: "breaker.failure_threshold", Env: "CIRCUIT_BREAKER_THRESHOLD", Off: setting.InClient,
			Source: "B2b", Doc: "failed calls in a row that open the breaker"},
		At: func(c *Config) *int { return &c.Breaker.FailureThreshold }, Default: 15, Most: 1 << 30,
	},
	of[string]{
		Row: row{Name: "Breaker.Name", Doc: "the breaker's name in events, logs and errors"},
		At:  func(c *Config) *string { return &c.Breaker.Name }, Follows: func(c *Config, _ string) string { return c.Name },
		Alone: new("breaker"),
	},
	of[time.Duration]{
		Row: row{Name: "Breaker.OpenTimeout", Key: "breaker.open_timeout", Env: "CIRCUIT_BREAKER_TIMEOUT",
			Source: "B2b", Doc: "how long it stays open before it admits probes"},
		At: func(c *Config) *time.Duration { return &c.Breaker.OpenTimeout }, Default: time.Minute,
	},
	of[int]{
		Row: row{Name: "Breaker.HalfOpenMaxCalls", Key: "breaker.half_open_max_calls", Env: "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS",
			Source: "B2b", Doc: "probes at once, all of which have to succeed"},
		At: func(c *Config) *int { return &c.Breaker.HalfOpenMaxCalls }, Default: 3, Most: breaker.MaxProbes,
	},
	of[bool]{
		Row: row{Name: "Breaker.CountAttempts", Key: "breaker.count_attempts", Env: "CIRCUIT_BREAKER_COUNT_ATTEMPTS",
			Source: "A6", Doc: "whether each failed attempt counts, not each failed call"},
		At: func(c *Config) *bool { return &c.Breaker.CountAttempts },
	},

	of[int]{
		Row: row{Name: "Bulkhead.MaxConcurrent", Key: "bulkhead.max_concurrent", Env: "BULKHEAD_MAX_CONCURRENT", Off: setting.InClient,
			Unset: "pool.max_conns", Doc: "attempts at once"},
		At: func(c *Config) *int { return &c.Bulkhead.MaxConcurrent }, Default: 50, Most: bulkhead.MaxPermits,
		Follows: func(c *Config, def int) int { return cmp.Or(c.Pool.MaxConns, def) },
	},
	of[string]{
		Row: row{Name: "Bulkhead.Name", Doc: "the bulkhead's name in errors"},
		At:  func(c *Config) *string { return &c.Bulkhead.Name }, Follows: func(c *Config, _ string) string { return c.Name },
		Alone: new("bulkhead"),
	},
	of[int]{
		Row: row{Name: "Bulkhead.MaxQueue", Key: "bulkhead.max_queue", Env: "BULKHEAD_MAX_QUEUE", Off: setting.Always,
			Doc: "calls that may wait for a permit"},
		At: func(c *Config) *int { return &c.Bulkhead.MaxQueue }, Default: 1000, Most: 1 << 20,
	},
	of[int]{
		Row: row{Name: "Bulkhead.MaxStreams", Key: "bulkhead.max_streams", Env: "BULKHEAD_MAX_STREAMS", Off: setting.Always,
			Unset: "ten times `bulkhead.max_concurrent`", Doc: "streams beside the permits"},
		At: func(c *Config) *int { return &c.Bulkhead.MaxStreams }, Most: 1 << 20,
		Follows: func(c *Config, _ int) int { return min(10*c.Bulkhead.MaxConcurrent, 1<<20) },
	},
	of[time.Duration]{
		Row: row{Name: "Bulkhead.MaxWait", Off: setting.Always, Instead: "Timeouts.Acquire",
			Doc: "the longest wait for a permit"},
		At:      func(c *Config) *time.Duration { return &c.Bulkhead.MaxWait },
		Follows: func(c *Config, _ time.Duration) time.Duration { return c.Timeouts.Acquire },
		Alone:   new(5 * time.Second),
	},

	of[string]{
		Row: row{Name: "RequestIDHeader", Key: "request_id_header", Env: "REQUEST_ID_HEADER", Must: "must be letters, digits and hyphens",
			Source: "A4", Doc: "the header of the call's id, the same on all its attempts"},
		At: func(c *Config) *string { return &c.RequestIDHeader }, Default: "X-Request-ID", Check: checkIDHeader,
	},
	of[bool]{
		Row: row{Name: "CheckRequestID", Key: "check_request_id", Env: "CHECK_REQUEST_ID",
			Doc: "whether each answer must have the call's id in that header"},
		At: func(c *Config) *bool { return &c.CheckRequestID },
	},
	of[bool]{
		Row: row{Name: "IdempotencyKey", Key: "idempotency_key", Env: "IDEMPOTENCY_KEY",
			Doc: "whether the id is sent as `Idempotency-Key` too"},
		At: func(c *Config) *bool { return &c.IdempotencyKey },
	},
	of[int]{
		Row: row{Name: "MaxRedirects", Key: "max_redirects", Env: "MAX_REDIRECTS", Off: setting.Always,
			Unset: "none", Doc: "redirects that an attempt follows"},
		At: func(c *Config) *int { return &c.MaxRedirects }, Most: 20,
	},
	of[bool]{
		Row: row{Name: "AllowPrivateRedirects", Key: "allow_private_redirects", Env: "ALLOW_PRIVATE_REDIRECTS",
			Doc: "whether a redirect may lead from a public origin to a private, loopback or link-local address"},
		At: func(c *Config) *bool { return &c.AllowPrivateRedirects },
	},
	of[int64]{
		Row: row{Name: "MaxResponseBytes", Key: "max_response_bytes", Env: "MAX_RESPONSE_BYTES", Off: setting.Always,
			Doc: "the longest answer that is read into memory, in bytes"},
		At: func(c *Config) *int64 { return &c.MaxResponseBytes }, Default: 32 << 20, Most: 1<<63 - 1,
	},
	of[int]{
		Row: row{Name: "MaxEventBytes", Key: "max_event_bytes", Env: "MAX_EVENT_BYTES", Off: setting.Always,
			Doc: "the longest line or event of a stream, in bytes"},
		At: func(c *Config) *int { return &c.MaxEventBytes }, Default: 8 << 20, Most: 1 << 30,
	},
}

// policyTable has the fields that PolicyConfig has beside its Retry.
var policyTable = []setting.Setting[PolicyConfig]{
	setting.Of[PolicyConfig, time.Duration]{
		Row: row{Name: "AttemptTimeout", Off: setting.Always, Doc: "one attempt"},
		At:  func(c *PolicyConfig) *time.Duration { return &c.AttemptTimeout },
	},
	setting.Of[PolicyConfig, time.Duration]{
		Row: row{Name: "Total", Off: setting.Always, Doc: "the whole call, with all its attempts and waits"},
		At:  func(c *PolicyConfig) *time.Duration { return &c.Total },
	},
}

// throttledDelay returns the default of a delay of Retry.Throttled, which is def if there is
// such a schedule.
func throttledDelay(def time.Duration) func(*Config, time.Duration) time.Duration {
	return func(c *Config, _ time.Duration) time.Duration {
		if c.Retry.Throttled.MaxRetries == 0 {
			return 0
		}
		return max(def, c.Retry.Throttled.BaseDelay)
	}
}
