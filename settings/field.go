package settings

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
)

// field is one setting of a provider: its names, and where its value goes.
type field struct {
	// path is its place in the provider's object. Without its underscores it is the
	// name of the field of [holdfast.Config], so that a problem there can be told
	// as one here.
	path string
	// env follows the provider's name in the variable's: the second seed's names,
	// where it has one. Empty if there is no variable.
	env string
	// into is a pointer, whose type says how the value is written.
	into any
	// unset is what a zero value means.
	unset string
	// always says that it cannot be off.
	always bool
	// rule is what a string must be.
	rule string
}

// check is a configuration to be validated, and which setting its attempt timeout
// is.
type check struct {
	attempt string
	config  holdfast.Config
}

func (s *Service) fields() []field {
	return []field{
		{path: baseURL, env: "BASE_URL", into: &s.BaseURL, rule: `must be an address like "https://api.example.com/v1"`},
		{path: "api_key", env: "API_KEY", into: &s.APIKey, unset: "none"},
		{path: "header", into: &s.Header, unset: "none"},
		{path: "timeouts.connect", env: "CONNECT_TIMEOUT", into: &s.ConnectTimeout},
		{path: "timeouts.write", env: "WRITE_TIMEOUT", into: &s.WriteTimeout},
		{path: "timeouts.read", env: "READ_TIMEOUT", into: &s.ReadTimeout, unset: "the attempt's"},
		{path: "timeouts.pool", env: "POOL_TIMEOUT", into: &s.PoolTimeout},
		{path: "timeouts.total", env: "TOTAL_TIMEOUT", into: &s.TotalTimeout, unset: "none"},
		{path: "pool.max_conns", env: "MAX_CONNECTIONS", into: &s.MaxConnections},
		{path: "pool.max_idle_conns", env: "MAX_KEEPALIVE_CONNECTIONS", into: &s.MaxKeepaliveConnections},
		{path: "pool.idle_expiry", env: "KEEPALIVE_EXPIRY", into: &s.KeepaliveExpiry},
		{path: maxRetries, env: "MAX_RETRIES", into: &s.MaxRetries},
		{path: baseDelay, env: "RETRY_BASE_DELAY", into: &s.RetryBaseDelay},
		{path: maxDelay, env: "RETRY_MAX_DELAY", into: &s.RetryMaxDelay, always: true},
		{path: "retry.max_retry_after", env: "RETRY_MAX_RETRY_AFTER", into: &s.RetryMaxRetryAfter},
		{path: "retry.jitter", env: "RETRY_JITTER", into: &s.RetryJitter},
		{path: "retry.repeat", env: "RETRY_REPEAT", into: &s.RetryRepeat},
		{path: "breaker.failure_threshold", env: "CIRCUIT_BREAKER_THRESHOLD", into: &s.CircuitBreakerThreshold},
		{path: "breaker.open_timeout", env: "CIRCUIT_BREAKER_TIMEOUT", into: &s.CircuitBreakerTimeout, always: true},
		{path: "breaker.half_open_max_calls", env: "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS", into: &s.CircuitBreakerHalfOpenMaxCalls, always: true},
		{path: "breaker.count_attempts", env: "CIRCUIT_BREAKER_COUNT_ATTEMPTS", into: &s.CircuitBreakerCountAttempts},
		{path: "bulkhead.max_concurrent", env: "BULKHEAD_MAX_CONCURRENT", into: &s.BulkheadMaxConcurrent, unset: "pool.max_conns"},
		{path: "bulkhead.max_queue", env: "BULKHEAD_MAX_QUEUE", into: &s.BulkheadMaxQueue},
		{path: "request_id_header", env: "REQUEST_ID_HEADER", into: &s.RequestIDHeader, rule: "must be letters, digits and hyphens"},
		{path: "idempotency_key", env: "IDEMPOTENCY_KEY", into: &s.IdempotencyKey},
		{path: "max_response_bytes", env: "MAX_RESPONSE_BYTES", into: &s.MaxResponseBytes},
		{path: "max_event_bytes", env: "MAX_EVENT_BYTES", into: &s.MaxEventBytes},
		{path: "max_redirects", env: "MAX_REDIRECTS", into: &s.MaxRedirects, unset: "none"},
	}
}

// The paths that rules name.
const (
	baseURL    = "base_url"
	maxRetries = "retry.max_retries"
	baseDelay  = "retry.base_delay"
	maxDelay   = "retry.max_delay"
	attempt    = "timeouts.attempt"

	embedding   = "timeouts.embedding"
	llm         = "timeouts.llm"
	healthCheck = "timeouts.health_check"
)

func (p *Provider) fields() []field {
	return append(p.Service.fields(), field{path: attempt, env: "TIMEOUT", into: &p.Timeout})
}

func (p *Provider) checks() []check { return []check{{attempt, p.Config()}} }

func (o *Ollama) fields() []field {
	return append(o.Service.fields(),
		field{path: embedding, env: "EMBEDDING_TIMEOUT", into: &o.EmbeddingTimeout},
		field{path: llm, env: "LLM_TIMEOUT", into: &o.LLMTimeout},
		field{path: healthCheck, env: "HEALTH_CHECK_TIMEOUT", into: &o.HealthCheckTimeout},
	)
}

func (o *Ollama) checks() []check {
	return []check{{embedding, o.Embedding()}, {llm, o.LLM()}, {healthCheck, o.HealthCheck()}}
}

// set reads text into the field; what stands for zero makes it def, its default.
// The answer says what is wrong with the text, and is empty if nothing is. In it,
// the text is as shows has it.
func (f field) set(def any, text, shows string) string {
	switch into := f.into.(type) {
	case *string:
		if f.path == baseURL && hasCredentials(text) {
			return "must be an address without user, password, query and fragment" // not shown: that is where credentials are
		}
		*into = text
		if text == "" {
			*into = def.(string)
		}
	case *Secret:
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return "has a control character in it, perhaps the end of a line"
		}
		*into = NewSecret(text)
	case *bool:
		if text != "true" && text != "false" {
			return shows + " must be true or false"
		}
		*into = text == "true"
	case *int:
		return number(f, into, def.(int), text, shows, "a whole number", strconv.Atoi)
	case *int64:
		return number(f, into, def.(int64), text, shows, "a whole number",
			func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
	case *time.Duration:
		return number(f, into, def.(time.Duration), text, shows, `a duration like "90s", or seconds like 90.0`, duration)
	case *holdfast.Jitter:
		return word(into, jitters, text, shows)
	case *holdfast.Repeat:
		return word(into, repeats, text, shows)
	}
	return ""
}

// hasCredentials reports whether there may be some in an address.
func hasCredentials(address string) bool {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		rest = strings.TrimLeft(address, "/")
	}
	authority, _, _ := strings.Cut(rest, "/")
	return strings.Contains(authority, "@") || strings.ContainsAny(rest, "?#")
}

// number is set for what has a size. Only what is too large or does not fit
// another setting is left to [holdfast.Config.Validate], which cannot know of
// defaults that differ between providers.
func number[T int | int64 | time.Duration](f field, into *T, def T, text, shows, what string, read func(string) (T, error)) string {
	n, err := read(text)
	switch {
	case text == off && !f.always:
		*into = holdfast.Off
	case text == off:
		return fmt.Sprintf(`%s is not possible here: must be positive or zero for %s`, shows, f.meaning(def))
	case err != nil && f.always:
		return shows + " must be " + what
	case err != nil:
		return shows + " must be " + what + ", or off"
	case n < 0 && f.always:
		return fmt.Sprintf("%v must be positive or zero for %s", n, f.meaning(def))
	case n < 0:
		return fmt.Sprintf("%v must be positive, zero for %s, or off", n, f.meaning(def))
	case n == 0 && f.path == maxRetries:
		// Elsewhere zero is the default, but whoever comes from Python means none.
		return fmt.Sprintf("0 may mean two things: must be positive, left out for %v, or off for none", def)
	case n == 0:
		*into = def
	default:
		*into = n
	}
	return ""
}

// off is holdfast.Off as it is written.
const off = "off"

// duration reads "90s", or a number of seconds.
func duration(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789.eE+-") != "" { // ParseFloat reads 0x1p4, inf and nan too
		return time.ParseDuration(text)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, err
	}
	d := math.Round(seconds * float64(time.Second))
	if d == 0 && seconds != 0 || math.Abs(d) > 1<<62 {
		return 0, strconv.ErrRange
	}
	return time.Duration(d), nil
}

var (
	jitters = []string{holdfast.Full: "full", holdfast.Proportional: "proportional", holdfast.Decorrelated: "decorrelated", holdfast.NoJitter: "none"}
	repeats = []string{holdfast.RepeatKeyed: "keyed", holdfast.RepeatSafe: "safe", holdfast.RepeatNever: "never"}
)

// word is set for one of several words, each at its value's place.
func word[T ~uint8](into *T, words []string, text, shows string) string {
	i := slices.Index(words, text)
	if i < 0 {
		last := len(words) - 1
		return fmt.Sprintf("%s must be %s or %s", shows, strings.Join(words[:last], ", "), words[last])
	}
	*into = T(i)
	return ""
}

// meaning is a value of the field as it is written, or what a zero one stands for.
func (f field) meaning(value any) string {
	text := fmt.Sprint(value)
	switch v := value.(type) {
	case holdfast.Jitter:
		return jitters[v]
	case holdfast.Repeat:
		return repeats[v]
	case int, int64, time.Duration:
		if text == "-1" || text == "-1ns" { // holdfast.Off
			return off
		}
	case map[string]Secret:
		text = strings.Join(slices.Sorted(maps.Keys(v)), ", ")
	}
	if f.unset != "" && (text == "" || text == "0" || text == "0s") {
		return f.unset
	}
	return text
}

// value is what the field holds.
func (f field) value() any { return reflect.ValueOf(f.into).Elem().Interface() }
