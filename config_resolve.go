package holdfast

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// longest bounds every duration.
const longest = setting.Longest

// settings is a Config with its meaning: a default in the place of zero, zero in
// the place of Off.
type settings struct {
	config Config // all of it, to be compared

	name       string
	base       *url.URL
	header     http.Header
	idHeader   string
	timeouts   Timeouts
	pool       Pool
	retry      retry.Config
	breaker    breaker.Config  // Threshold 0: no breaker
	bulkhead   bulkhead.Config // Permits 0: no bulkhead
	maxBody    int64           // zero is no limit
	maxEvent   int             // likewise
	redirects  int
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
	readIsAttempt := c.Timeouts.Read == 0
	c.Header = ck.headers(c.Header)
	for _, s := range table {
		if !c.switchesOff(s.Info().Name) {
			ck.add(s.Resolve(&c, false))
		}
	}
	ck.delays(c.Retry)
	if c.Breaker.FailureThreshold == Off {
		c.Breaker = BreakerConfig{}
	}
	if c.Bulkhead.MaxConcurrent == Off {
		c.Bulkhead = BulkheadConfig{}
	}
	c.RequestIDHeader = http.CanonicalHeaderKey(c.RequestIDHeader)
	return settings{
		config:        c,
		name:          c.Name,
		base:          parsed(c.BaseURL),
		header:        c.Header,
		idHeader:      c.RequestIDHeader,
		timeouts:      c.Timeouts,
		pool:          c.Pool,
		retry:         retryRules(c.Retry),
		breaker:       breakerRules(c.Breaker),
		bulkhead:      bulkheadRules(c.Bulkhead),
		maxBody:       c.MaxResponseBytes,
		maxEvent:      c.MaxEventBytes,
		redirects:     c.MaxRedirects,
		authorize:     c.Authorize,
		repeat:        c.Retry.Repeat,
		on:            c.Retry.On,
		alsoAsKey:     c.IdempotencyKey,
		eachCounts:    c.Breaker.CountAttempts,
		breakerName:   c.Breaker.Name,
		bulkheadName:  c.Bulkhead.Name,
		readIsAttempt: readIsAttempt,
	}, ck.err()
}

// switchesOff reports whether the field of that name is in a part that is off.
func (c *Config) switchesOff(name string) bool {
	return c.Breaker.FailureThreshold == Off && strings.HasPrefix(name, "Breaker.") ||
		c.Bulkhead.MaxConcurrent == Off && strings.HasPrefix(name, "Bulkhead.")
}

// The machines' own names for what is resolved.

func retryRules(r Retry) retry.Config {
	return retry.Config{Retries: r.MaxRetries, Base: r.BaseDelay, Max: r.MaxDelay, MaxRetryAfter: r.MaxRetryAfter, Jitter: r.Jitter}
}

func breakerRules(b BreakerConfig) breaker.Config {
	return breaker.Config{Threshold: b.FailureThreshold, OpenFor: b.OpenTimeout, Probes: b.HalfOpenMaxCalls}
}

func bulkheadRules(b BulkheadConfig) bulkhead.Config {
	return bulkhead.Config{Permits: b.MaxConcurrent, Queue: b.MaxQueue, MaxWait: b.MaxWait}
}

// check collects the problems of a configuration.
type check struct {
	in       string // its name: "Config."
	problems []error
}

func (c *check) problem(field, format string, args ...any) {
	c.add(&setting.Problem{Name: field, Rule: fmt.Sprintf(format, args...)})
}

// add adds p, if there is one.
func (c *check) add(p *setting.Problem) {
	if p != nil {
		p.In = c.in
		c.problems = append(c.problems, p)
	}
}

// err is every problem, one a line, nil if there is none.
func (c *check) err() error { return errors.Join(c.problems...) }

// resolve gives each field of cfg that has a row its meaning.
func resolve[C any](c *check, cfg *C, rows []setting.Setting[C]) {
	for _, s := range rows {
		c.add(s.Resolve(cfg, false))
	}
}

// part resolves a part of a Config that is made alone, by the rows whose names
// begin with in. The problems' names begin with as instead.
func (c *check) part(cfg *Config, in, as string) {
	for _, s := range table {
		if !strings.HasPrefix(s.Info().Name, in) {
			continue
		}
		if p := s.Resolve(cfg, true); p != nil {
			p.Name = as + strings.TrimPrefix(p.Name, in)
			c.add(p)
		}
	}
}

// delays checks what no row can: one setting against another.
func (c *check) delays(r Retry) {
	if r.MaxDelay > 0 && r.MaxDelay < r.BaseDelay {
		c.add(&setting.Problem{
			Name: "Retry.MaxDelay", Value: r.MaxDelay.String(),
			Rule: fmt.Sprintf("must be at least BaseDelay, which is %v", r.BaseDelay),
		})
	}
}

// policy resolves a PolicyConfig, whose Retry has rows of Config's.
func (c *check) policy(cfg *PolicyConfig) {
	part := Config{Retry: cfg.Retry}
	c.part(&part, "Retry.", "Retry.")
	c.delays(part.Retry)
	cfg.Retry = part.Retry
	resolve(c, cfg, policyTable)
	if cfg.Classify != nil && cfg.Retry.On != nil {
		c.problem("Retry.On", "is set beside Classify, which replaces it: set one of them")
	}
}

// breaker resolves the configuration of a breaker that is made alone.
func (c *check) breaker(cfg *BreakerConfig) {
	part := Config{Breaker: *cfg}
	c.part(&part, "Breaker.", "")
	*cfg = part.Breaker
}

// bulkhead resolves the configuration of a bulkhead that is made alone.
func (c *check) bulkhead(cfg *BulkheadConfig) {
	part := Config{Bulkhead: *cfg}
	c.part(&part, "Bulkhead.", "")
	*cfg = part.Bulkhead
}

// headers copies h under canonical names.
func (c *check) headers(h http.Header) http.Header {
	all := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		c.header("Header", name, h[name])
		all[http.CanonicalHeaderKey(name)] = slices.Clone(h[name])
	}
	return all
}

// header refuses what could not be sent, or would be sent as something else.
func (c *check) header(field, name string, values []string) {
	if rule := headerName(name); rule != "" {
		c.problem(field, "%s", rule)
		return
	}
	for _, v := range values {
		if !plain(v) {
			c.problem(field, "%s has a control character in its value", name) // not shown: it may be a key
		}
	}
}

// headerName gives what is wrong with a header's name.
func headerName(name string) (rule string) {
	if shown := shownName(name); name == "" || shown != name {
		return fmt.Sprintf("has the name %q: must be letters, digits and hyphens", shown)
	}
	return ""
}

// checkIDHeader is the check of Config.RequestIDHeader.
func checkIDHeader(name string) (value, rule string) {
	if rule := headerName(name); rule != "" {
		return "", rule
	}
	name = http.CanonicalHeaderKey(name)
	if slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, name) {
		return strconv.Quote(name), "must be a header that holds no credential, since logs show the id"
	}
	return "", ""
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

// checkBaseURL is the check of Config.BaseURL. What stands before an @ and after a
// ? may be a password or a key: an address that has either is not shown.
func checkBaseURL(raw string) (value, rule string) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "", `is empty: must be an address like "https://api.example.com/v1"`
	case containsEncoded(raw, '@'):
		return "", "has a user or password in it: send credentials by Header or Authorize"
	case mayHoldSecret(raw):
		return "", "has a query or a fragment: must end with its path"
	case !strings.Contains(raw, "://") && strings.Contains(raw, ":"):
		return strconv.Quote(raw), fmt.Sprintf("has no scheme; did you mean %q?", "http://"+raw)
	case err != nil:
		return "", "cannot be parsed"
	case u.Scheme != "http" && u.Scheme != "https":
		return strconv.Quote(raw), "must begin with http:// or https://"
	case u.Host == "":
		return strconv.Quote(raw), "has no host"
	}
	return "", ""
}

// parsed is the address, empty if it is none.
func parsed(address string) *url.URL {
	if u, err := url.Parse(address); err == nil {
		return u
	}
	return &url.URL{}
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
