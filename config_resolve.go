package holdfast

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/core/retry"
)

// longest bounds every duration: no setting means a wait of a year, and sums of
// bounded durations cannot overflow.
const longest = 365 * 24 * time.Hour

// maxRetries bounds Retry.MaxRetries: an operation keeps what each attempt came
// to.
const maxRetries = 100

// check fills in defaults and collects every problem on the way.
type check struct {
	in       string // the path of what is being checked: "Config."
	problems []error
}

func (c *check) problem(field, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("holdfast: %s%s %s", c.in, field, fmt.Sprintf(format, args...)))
}

// err is every problem, one a line, nil if there is none.
func (c *check) err() error { return errors.Join(c.problems...) }

// duration is what the field means: its default if it is zero, off if it is Off.
// An off below zero says that the field cannot be switched off.
func (c *check) duration(field string, d, def, off time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d == Off && off >= 0:
		return off
	case d < 0:
		c.problem(field, "is %v: must be positive%s", d, or(def, off >= 0))
	case d > longest:
		c.problem(field, "is %v: must be at most %v", d, longest)
	}
	return d
}

// number is the same for whole numbers.
func (c *check) number(field string, n, def, most, off int) int {
	switch {
	case n == 0:
		return def
	case n == Off && off >= 0:
		return off
	case n < 0:
		c.problem(field, "is %d: must be positive%s", n, or(def, off >= 0))
	case n > most:
		c.problem(field, "is %d: must be at most %d", n, most)
	}
	return n
}

// or is what else is allowed.
func or[T int | int64 | time.Duration](def T, canBeOff bool) string {
	zero := fmt.Sprintf("zero for %v", def)
	if def == 0 {
		zero = "zero for none"
	}
	if canBeOff {
		return ", " + zero + ", or Off"
	}
	return " or " + zero
}

// retryRules resolves a Retry, whose BaseDelay has two defaults.
func (c *check) retryRules(r Retry, base time.Duration) retry.Config {
	cfg := retry.Config{
		Retries:       c.number("Retry.MaxRetries", r.MaxRetries, 3, maxRetries, 0),
		Base:          c.duration("Retry.BaseDelay", r.BaseDelay, base, 0),
		Max:           c.duration("Retry.MaxDelay", r.MaxDelay, 10*time.Second, -1),
		MaxRetryAfter: c.duration("Retry.MaxRetryAfter", r.MaxRetryAfter, time.Minute, 0),
		Jitter:        r.Jitter,
	}
	if cfg.Max < cfg.Base && cfg.Max > 0 {
		if r.MaxDelay == 0 {
			cfg.Max = cfg.Base // the default gives way to what was set
		} else {
			c.problem("Retry.MaxDelay", "is %v: must be at least BaseDelay, which is %v", r.MaxDelay, cfg.Base)
		}
	}
	if !r.Jitter.Valid() {
		c.problem("Retry.Jitter", "is %d: must be Full, Proportional, Decorrelated or NoJitter", r.Jitter)
	}
	if r.Repeat > RepeatNever {
		c.problem("Retry.Repeat", "is %d: must be RepeatKeyed, RepeatSafe or RepeatNever", r.Repeat)
	}
	return cfg
}

func (c *check) breakerRules(in string, b BreakerConfig) breaker.Config {
	return breaker.Config{
		Threshold: c.number(in+"FailureThreshold", b.FailureThreshold, 15, 1<<30, -1),
		OpenFor:   c.duration(in+"OpenTimeout", b.OpenTimeout, time.Minute, -1),
		Probes:    c.number(in+"HalfOpenMaxCalls", b.HalfOpenMaxCalls, 3, breaker.MaxProbes, -1),
	}
}

func (c *check) bulkheadRules(in string, b BulkheadConfig, slots int) bulkhead.Config {
	return bulkhead.Config{
		Slots:   c.number(in+"MaxConcurrent", b.MaxConcurrent, slots, bulkhead.MaxSlots, -1),
		Queue:   c.number(in+"MaxQueue", b.MaxQueue, 1000, 1<<20, 0),
		MaxWait: c.duration(in+"MaxWait", b.MaxWait, 5*time.Second, 0),
	}
}

// settings is a Config as it is meant: defaults in, Off out.
type settings struct {
	name       string
	base       *url.URL
	header     http.Header
	idHeader   string
	timeouts   Timeouts // zero is none from here on
	pool       Pool     // likewise; MaxIdleConns below zero is none
	retry      retry.Config
	breaker    breaker.Config  // Threshold 0: no breaker
	bulkhead   bulkhead.Config // Slots 0: no bulkhead
	maxBody    int64           // zero is no limit
	maxEvent   int             // likewise
	redirects  int             // how many are followed
	authorize  func(*http.Request) error
	repeat     Repeat
	on         func(error) bool
	alsoAsKey  bool
	eachCounts bool

	breakerName, bulkheadName string

	readIsAttempt bool // Timeouts.Read follows the call's limit of an attempt
}

// Validate reports every problem with the settings at once, each with the
// field's name, its value and what is allowed. New calls it.
func (c Config) Validate() error {
	_, err := c.resolve()
	return err
}

func (c Config) resolve() (settings, error) {
	ck := &check{in: "Config."}
	s := settings{
		header: http.Header{}, authorize: c.Authorize, on: c.Retry.On, repeat: c.Retry.Repeat,
		alsoAsKey: c.IdempotencyKey, eachCounts: c.Breaker.CountAttempts,
	}
	s.base = ck.baseURL(c.BaseURL)
	s.name = cmp.Or(c.Name, s.base.Host)
	s.breakerName, s.bulkheadName = cmp.Or(c.Breaker.Name, s.name), cmp.Or(c.Bulkhead.Name, s.name)
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		ck.header("Header", name, c.Header[name])
		s.header[http.CanonicalHeaderKey(name)] = slices.Clone(c.Header[name])
	}
	ck.header("RequestIDHeader", cmp.Or(c.RequestIDHeader, "X-Request-ID"), nil)
	s.idHeader = http.CanonicalHeaderKey(cmp.Or(c.RequestIDHeader, "X-Request-ID"))
	if slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, s.idHeader) {
		ck.problem("RequestIDHeader", "is %q: must be a header that holds no credential, since logs show the id", s.idHeader)
	}

	t := c.Timeouts
	s.timeouts.Connect = ck.duration("Timeouts.Connect", t.Connect, 10*time.Second, 0)
	s.timeouts.Write = ck.duration("Timeouts.Write", t.Write, 10*time.Second, 0)
	s.timeouts.Acquire = ck.duration("Timeouts.Acquire", t.Acquire, 5*time.Second, 0)
	s.timeouts.Attempt = ck.duration("Timeouts.Attempt", t.Attempt, time.Minute, 0)
	s.readIsAttempt = t.Read == 0
	s.timeouts.Read = ck.duration("Timeouts.Read", t.Read, s.timeouts.Attempt, 0)
	s.timeouts.Total = ck.duration("Timeouts.Total", t.Total, 0, 0)

	s.pool.MaxConns = ck.number("Pool.MaxConns", c.Pool.MaxConns, 50, 1<<20, 0)
	s.pool.MaxIdleConns = ck.number("Pool.MaxIdleConns", c.Pool.MaxIdleConns, 20, 1<<20, 0)
	s.pool.IdleExpiry = ck.duration("Pool.IdleExpiry", c.Pool.IdleExpiry, 30*time.Second, 0)

	s.retry = ck.retryRules(c.Retry, time.Second)
	if c.Breaker.FailureThreshold != Off {
		s.breaker = ck.breakerRules("Breaker.", c.Breaker)
	}
	if c.Bulkhead.MaxConcurrent != Off {
		if c.Bulkhead.MaxWait != 0 {
			ck.problem("Bulkhead.MaxWait", "is %v: must be zero here; set Timeouts.Acquire", c.Bulkhead.MaxWait)
		}
		s.bulkhead = ck.bulkheadRules("Bulkhead.", c.Bulkhead, cmp.Or(s.pool.MaxConns, 50))
		s.bulkhead.MaxWait = s.timeouts.Acquire
	}
	switch m := c.MaxResponseBytes; {
	case m == 0:
		s.maxBody = 32 << 20
	case m < Off:
		ck.problem("MaxResponseBytes", "is %d: must be positive%s", m, or(int64(32<<20), true))
	case m > 0:
		s.maxBody = m
	}
	s.redirects = ck.number("MaxRedirects", c.MaxRedirects, 0, 20, 0)
	s.maxEvent = ck.number("MaxEventBytes", c.MaxEventBytes, 8<<20, 1<<30, 0)
	return s, ck.err()
}

// baseURL parses it; what it returns can be used even if there was a problem.
// What stands before an @ and after a ? may be a password or a key: an address
// that has either is not shown.
func (c *check) baseURL(raw string) *url.URL {
	if raw == "" {
		c.problem("BaseURL", `is empty: must be an address like "https://api.example.com/v1"`)
		return &url.URL{}
	}
	u, err := url.Parse(raw)
	switch {
	case containsEncoded(raw, '@'):
		c.problem("BaseURL", "has a user or password in it: send credentials by Header or Authorize")
	case mayHoldSecret(raw):
		c.problem("BaseURL", "has a query or a fragment: must end with its path")
	case !strings.Contains(raw, "://") && strings.Contains(raw, ":"):
		c.problem("BaseURL", "is %q: has no scheme; did you mean %q?", raw, "http://"+raw)
	case err != nil:
		c.problem("BaseURL", "cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https":
		c.problem("BaseURL", "is %q: must begin with http:// or https://", raw)
	case u.Host == "":
		c.problem("BaseURL", "is %q: has no host", raw)
	}
	if u == nil {
		u = &url.URL{}
	}
	return u
}

// mayHoldSecret reports whether an address has a part that may be a password or a
// key.
func mayHoldSecret(raw string) bool {
	return containsEncoded(raw, '@') || containsEncoded(raw, '?') || containsEncoded(raw, '#')
}

// containsEncoded reports whether an address has b in it, percent-encoded or not.
func containsEncoded(raw string, b byte) bool {
	return strings.IndexByte(raw, b) >= 0 || strings.Contains(strings.ToLower(raw), fmt.Sprintf("%%%02x", b))
}

// header refuses what could not be sent, or would be sent as something else.
func (c *check) header(field, name string, values []string) {
	if shown := shownName(name); name == "" || shown != name {
		c.problem(field, "has the name %q: must be letters, digits and hyphens", shown)
		return
	}
	for _, v := range values {
		if !plain(v) {
			c.problem(field, "%s has a control character in its value", name) // not shown: it may be a key
		}
	}
}

// shownName is a header's name as far as it is one: what follows may be the value,
// as in "X-Key: …".
func shownName(name string) string {
	bad := strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if bad < 0 {
		return name
	}
	return name[:bad] + "…"
}

// plain reports whether v can be the value of a header.
func plain(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
