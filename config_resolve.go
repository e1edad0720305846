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

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// Validate reports every problem with the settings at once, each with the field's
// name, its value and the values allowed. New calls it.
func (c Config) Validate() error {
	_, err := c.resolve()
	return err
}

// resolve returns c with a default in the place of zero and zero in the place of Off.
// A part that is off is zero.
func (c Config) resolve() (Config, error) {
	v := &validation{in: "Config."}
	c = c.resolveWith(v)
	return c, v.err()
}

// resolveWith is resolve for a Config that is a part of another configuration.
func (c Config) resolveWith(v *validation) Config {
	c.Header = v.headers(c.Header)
	for _, s := range table {
		if !c.switchesOff(s.Info().Name) {
			v.add(s.Resolve(&c, false))
		}
	}
	v.delays(c.Retry)
	if c.Breaker.FailureThreshold == Off {
		c.Breaker = BreakerConfig{}
	}
	if c.Bulkhead.MaxConcurrent == Off {
		c.Bulkhead = BulkheadConfig{}
	}
	if c.UnencryptedHTTP2 && parsed(c.BaseURL).Scheme == "https" {
		v.problem("UnencryptedHTTP2", "is true, and BaseURL is https: must be false, since the two sides choose HTTP/2 themselves")
	}
	c.RequestIDHeader = http.CanonicalHeaderKey(c.RequestIDHeader)
	v.constantIDs(c)
	return c
}

// constantIDs reports headers that would give all calls one id or one key. A service takes
// a call for a repeat of the one before if both have the same.
func (v *validation) constantIDs(c Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		switch name {
		case "Idempotency-Key", "X-Idempotency-Key":
			v.problem("Header", "%s would be the same key for all calls: must be left out; IdempotencyKey sends a new one with each call", name)
		case "X-Request-Id", c.RequestIDHeader:
			v.problem("Header", "%s would be the same id for all calls: must be left out, since each call gets an id of its own", name)
		}
	}
}

// switchesOff reports whether the field of that name is in a part that is off.
func (c *Config) switchesOff(name string) bool {
	return c.Breaker.FailureThreshold == Off && strings.HasPrefix(name, "Breaker.") ||
		c.Bulkhead.MaxConcurrent == Off && strings.HasPrefix(name, "Bulkhead.")
}

// schedule is a resolved Retry as the machine has it.
func (r Retry) schedule() retry.Config {
	return retry.Config{
		Retries: r.MaxRetries, Base: r.BaseDelay, Max: r.MaxDelay, MaxRetryAfter: r.MaxRetryAfter, Jitter: r.Jitter,
		Throttled: retry.Throttled{Retries: r.Throttled.MaxRetries, Base: r.Throttled.BaseDelay, Max: r.Throttled.MaxDelay},
	}
}

// resolve resolves a PolicyConfig. The table has the rows of its Retry.
func (c PolicyConfig) resolve(v *validation) PolicyConfig {
	c.Retry = v.part(Config{Retry: c.Retry}, "Retry.", "Retry.").Retry
	v.delays(c.Retry)
	resolve(v, &c, policyTable)
	if c.Classify != nil && c.Retry.On != nil {
		v.problem("Retry.On", "is set beside Classify, which replaces it: set one of them")
	}
	return c
}

// validation collects the problems of a configuration.
type validation struct {
	in       string // the configuration's name and a dot: "Config."
	problems []error
}

func (v *validation) problem(field, format string, args ...any) {
	v.add(&setting.Problem{Name: field, Rule: fmt.Sprintf(format, args...)})
}

// add adds p unless it is nil.
func (v *validation) add(p *setting.Problem) {
	if p != nil {
		p.In = v.in
		v.problems = append(v.problems, p)
	}
}

// err joins the problems. It is nil if there is none.
func (v *validation) err() error { return errors.Join(v.problems...) }

// resolve resolves the fields of cfg that have a row.
func resolve[C any](v *validation, cfg *C, rows []setting.Setting[C]) {
	for _, s := range rows {
		v.add(s.Resolve(cfg, false))
	}
}

// part resolves a part of a Config that is used alone: the fields with a name that
// begins with prefix. Problems name them with as in its place.
func (v *validation) part(cfg Config, prefix, as string) Config {
	for _, s := range table {
		if !strings.HasPrefix(s.Info().Name, prefix) {
			continue
		}
		if p := s.Resolve(&cfg, true); p != nil {
			p.Name = as + strings.TrimPrefix(p.Name, prefix)
			v.add(p)
		}
	}
	return cfg
}

// delays checks one setting against another, which a row of the table cannot do.
func (v *validation) delays(r Retry) {
	if r.MaxDelay > 0 && r.MaxDelay < r.BaseDelay {
		v.add(&setting.Problem{
			Name: "Retry.MaxDelay", Value: r.MaxDelay.String(),
			Rule: fmt.Sprintf("must be at least BaseDelay, which is %v", r.BaseDelay),
		})
	}
	if t := r.Throttled; t.MaxDelay > 0 && t.MaxDelay < t.BaseDelay {
		v.add(&setting.Problem{
			Name: "Retry.Throttled.MaxDelay", Value: t.MaxDelay.String(),
			Rule: fmt.Sprintf("must be at least BaseDelay, which is %v", t.BaseDelay),
		})
	}
}

// headers copies h under canonical names.
func (v *validation) headers(h http.Header) http.Header {
	all := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		v.header("Header", name, h[name])
		all[http.CanonicalHeaderKey(name)] = slices.Clone(h[name])
	}
	return all
}

// header checks that a header can be sent as it is.
func (v *validation) header(field, name string, values []string) {
	if rule := headerName(name); rule != "" {
		v.problem(field, "%s", rule)
		return
	}
	for _, value := range values {
		if !isHeaderValue(value) {
			v.problem(field, "%s has a control character in its value", name) // not shown: it may be a key
		}
	}
	rule := framing(name, values)
	if strings.EqualFold(name, "Host") {
		rule = hostRule(values)
	}
	if rule != "" {
		v.problem(field, "%s %s", name, rule)
	}
}

// headerName returns the rule that a header's name breaks, empty if it breaks none.
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
	if name = http.CanonicalHeaderKey(name); isCredential(name) {
		return strconv.Quote(name), "must be a header that holds no credential, since logs show the id"
	}
	return "", ""
}

// isCredential reports whether a header, by its canonical name, is one that services read a
// credential from.
func isCredential(name string) bool {
	name = strings.TrimPrefix(name, "X-")
	return slices.ContainsFunc(credentialEndings, func(ending string) bool {
		return name == ending || strings.HasSuffix(name, "-"+ending)
	})
}

// credentialEndings are the ends of the names of headers for credentials: that of
// X-Goog-Api-Key is Api-Key. Token alone is none of them, since it may end the name of an
// idempotency token.
var credentialEndings = []string{
	"Authorization", "Auth", "Authentication", "Cookie", "Cookie2", "Api-Key", "Apikey", "Api-Token", "Auth-Key", "Auth-Token",
	"Access-Key", "Access-Token", "Security-Token", "Session-Token", "Private-Token", "Job-Token", "Deploy-Token", "Vault-Token",
	"Subscription-Key", "Subscription-Token", "Functions-Key", "Csrf-Token", "Xsrf-Token", "Jwt-Assertion", "Id-Token",
	"Secret", "Secret-Key", "Client-Secret", "Password", "Credential", "Credentials", "Signature",
}

// shownName is the valid beginning of a header's name. The rest may be its value, as
// in "X-Key: …".
func shownName(name string) string {
	end := strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if end < 0 {
		return name
	}
	return name[:end] + "…"
}

func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkProxy is the check of Config.Proxy. An address with an @ is not shown: the part
// before it may be a password.
func checkProxy(raw string) (value, rule string) {
	u, err := url.Parse(raw)
	switch {
	case raw == "", raw == noProxy:
		return "", ""
	case containsEncoded(raw, '@'):
		return "", "has a user or password in it: leave it out, or set HTTPS_PROXY in the environment"
	case err != nil || u.Host == "" || mayHoldSecret(raw) || strings.Trim(u.Path, "/") != "":
		return "", `must be an address like "http://proxy.example.com:3128", or "none"`
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return strconv.Quote(raw), "must begin with http://, https:// or socks5://"
	}
	return "", ""
}

// noProxy is the value of Config.Proxy for none.
const noProxy = "none"

// proxy returns the function of a resolved Config.Proxy.
func proxy(raw string) func(*http.Request) (*url.URL, error) {
	switch raw {
	case "":
		return http.ProxyFromEnvironment
	case noProxy:
		return nil
	}
	return http.ProxyURL(parsed(raw))
}

// checkBaseURL is the check of Config.BaseURL. An address with an @ or a ? is not
// shown: the part before the one or after the other may be a password or a key.
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

// parsed returns the address, empty if it cannot be parsed.
func parsed(address string) *url.URL {
	if u, err := url.Parse(address); err == nil {
		return u
	}
	return &url.URL{}
}

// mayHoldSecret reports whether an address has a part that may be a password or a key.
func mayHoldSecret(raw string) bool {
	return containsEncoded(raw, '@') || containsEncoded(raw, '?') || containsEncoded(raw, '#')
}

// containsEncoded reports whether an address contains b, percent-encoded or not.
func containsEncoded(raw string, b byte) bool {
	return strings.IndexByte(raw, b) >= 0 || strings.Contains(strings.ToLower(raw), fmt.Sprintf("%%%02x", b))
}

// must panics if a constructor returned an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
