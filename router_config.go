package holdfast

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// RouterConfig describes a Router. Set Hosts, Default or both. An origin is a scheme, a
// host and a port. NewRouter reports every problem at once.
type RouterConfig struct {
	// Hosts has the settings of the origins that the program knows: by origin, as
	// "https://api.example.com" or "http://localhost:8080", or by host, which is then at
	// https: "api.example.com" or "api.example.com:8443". BaseURL may be empty, for the
	// origin; otherwise it must be there. The default of Name is the origin, without
	// "https://". MaxRedirects must be zero, because http.Client follows redirects.
	Hosts map[string]Config
	// Default has the settings of all other origins. Each has a client of its own, without
	// Header, Authorize, client certificates and the headers of instruments: a credential
	// is sent only to an origin in Hosts. A client has the name of its origin, after Name
	// if that is set. BaseURL, MaxRedirects, Breaker.Name and Bulkhead.Name must be zero.
	// Nil rejects calls of other origins.
	Default *Config
	// MaxHosts is the number of clients at once for other origins. One more origin closes
	// the client that has been idle for the longest time. If none is idle, the call is an
	// ErrPoolTimeout at once. Default 64, at most 4096.
	MaxHosts int
	// IdleExpiry is how long a client for another origin is kept after its last call. The
	// next call of the Router closes it. Its breaker, its cooldown and its counts end with
	// it. Default 10m; Off for no limit.
	IdleExpiry time.Duration
}

// Format prints the settings for fmt and loggers. It hides what may be a credential, as
// Config.Format does.
func (c RouterConfig) Format(f fmt.State, verb rune) {
	type routerConfig RouterConfig // without this method
	shown := routerConfig(c)
	shown.Hosts = make(map[string]Config, len(c.Hosts))
	for key, cfg := range c.Hosts {
		shown.Hosts[shownKey(key)] = cfg
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), shown)
}

// routerTable has the fields of RouterConfig that are values.
var routerTable = []setting.Setting[RouterConfig]{
	setting.Of[RouterConfig, int]{
		Row: row{Name: "MaxHosts", Doc: "clients at once for origins that Hosts does not have"},
		At:  func(c *RouterConfig) *int { return &c.MaxHosts }, Default: 64, Most: 4096,
	},
	setting.Of[RouterConfig, time.Duration]{
		Row: row{Name: "IdleExpiry", Off: setting.Always, Doc: "how long such a client is kept after its last call"},
		At:  func(c *RouterConfig) *time.Duration { return &c.IdleExpiry }, Default: 10 * time.Minute,
	},
}

// resolve returns c with defaults, and with a Default without credentials. hosts has the
// settings of Hosts by origin.
func (c RouterConfig) resolve(v *validation) (_ RouterConfig, hosts map[wire.Origin]Config) {
	resolve(v, &c, routerTable)
	if len(c.Hosts) == 0 && c.Default == nil {
		v.problem("Hosts", "is empty, and Default is nil: set one of them")
	}
	hosts = make(map[wire.Origin]Config, len(c.Hosts))
	keys := make(map[wire.Origin]string, len(c.Hosts))
	for _, key := range slices.Sorted(maps.Keys(c.Hosts)) {
		field := "Hosts[" + strconv.Quote(shownKey(key)) + "]"
		u, rule := parseOrigin(key)
		if rule != "" {
			v.problem(field, "%s", rule)
			continue
		}
		origin := wire.OriginOf(u)
		if other, twice := keys[origin]; twice {
			v.problem(field, "is the origin of Hosts[%q]: list it once", other)
			continue
		}
		keys[origin] = key
		of := &validation{in: v.in + field + "."}
		hosts[origin] = c.Hosts[key].ofHost(of, origin)
		v.problems = append(v.problems, of.problems...)
	}
	if c.Default != nil {
		of := &validation{in: v.in + "Default."}
		cfg := c.Default.ofOthers(of)
		c.Default = &cfg
		v.problems = append(v.problems, of.problems...)
	}
	return c, hosts
}

// ofHost returns the settings for an origin in Hosts. They are not resolved, but checked.
func (c Config) ofHost(v *validation, origin wire.Origin) Config {
	c.BaseURL = cmp.Or(c.BaseURL, origin.String())
	c.Name = cmp.Or(c.Name, clientName(origin))
	c.resolveWith(v)
	if _, rule := checkBaseURL(c.BaseURL); rule == "" && wire.OriginOf(parsed(c.BaseURL)) != origin {
		v.problem("BaseURL", "is %q: must be at %s, or empty", c.BaseURL, origin)
	}
	c.followsNothing(v)
	return c
}

// ofOthers returns the settings of Default without credentials, checked.
func (c Config) ofOthers(v *validation) Config {
	if c.BaseURL != "" { // it may hold a secret
		v.problem("BaseURL", "is set: must be empty, because Default is for many origins")
	}
	const each = "is %q: must be empty, because each client has its own"
	if c.Breaker.Name != "" {
		v.problem("Breaker.Name", each, c.Breaker.Name)
	}
	if c.Bulkhead.Name != "" {
		v.problem("Bulkhead.Name", each, c.Bulkhead.Name)
	}
	c.BaseURL = "https://other.origin"
	c.resolveWith(v)
	c.followsNothing(v)
	c.BaseURL, c.Header, c.Authorize = "", nil, nil
	return c
}

// followsNothing checks that the client follows no redirects: it would follow one to an
// origin of another client.
func (c Config) followsNothing(v *validation) {
	if c.MaxRedirects > 0 {
		v.problem("MaxRedirects", "is %d: must be zero, because http.Client follows redirects, each with the client of its origin", c.MaxRedirects)
	}
}

// at returns the settings of Default for one origin.
func (c Config) at(origin wire.Origin) Config {
	c.BaseURL = origin.String()
	c.Name = strings.TrimSpace(c.Name + " " + clientName(origin))
	return c
}

// withoutCredentials removes what may be a credential from the options of a client for
// an origin that is not listed.
func withoutCredentials(all *options) {
	if all.tls != nil {
		all.tls = all.tls.Clone()
		all.tls.Certificates, all.tls.GetClientCertificate = nil, nil
	}
	for i, inner := range all.instruments {
		if ends, ok := inner.(AnswerInstrument); ok {
			all.instruments[i] = headerlessAnswers{headerless{inner}, ends}
		} else {
			all.instruments[i] = headerless{inner}
		}
	}
}

// headerless is an Instrument that adds no headers.
type headerless struct{ Instrument }

// headerlessAnswers is the same of an AnswerInstrument.
type headerlessAnswers struct {
	headerless
	ends AnswerInstrument
}

func (i headerlessAnswers) EndAnswer(ctx context.Context, e Event) { i.ends.EndAnswer(ctx, e) }

func (i headerless) StartAttempt(ctx context.Context, at AttemptStart) (context.Context, func(Event)) {
	at.Header = http.Header{}
	return i.Instrument.StartAttempt(ctx, at)
}

// clientName is the default name of the client for an origin. It is as long as a host may
// be, and a few bytes.
func clientName(origin wire.Origin) string {
	if origin.Scheme == "https" {
		return origin.Host
	}
	return origin.String()
}

// shownKey is a key of Hosts as it may be shown.
func shownKey(key string) string {
	if mayHoldSecret(key) {
		return "[hidden]"
	}
	return key
}

// parseOrigin reads an origin, or a host at https. The rule is empty if nothing is wrong.
func parseOrigin(text string) (u *url.URL, rule string) {
	const must = `: must be an origin like "https://api.example.com", or its host`
	if mayHoldSecret(text) {
		return nil, "has a user, a query or a fragment" + must
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, "cannot be parsed" + must
	}
	if rule = checkOrigin(u); rule == "" && u.Path != "" {
		rule = "has a path" + must
	}
	return u, rule
}

// maxHostLength is the length of the longest name in DNS.
const maxHostLength = 253

// checkOrigin returns the rule that the scheme and the host of an address break, empty if
// they break none.
func checkOrigin(u *url.URL) string {
	switch host := u.Hostname(); {
	case !strings.EqualFold(u.Scheme, "https") && !strings.EqualFold(u.Scheme, "http"):
		return "has another scheme than http and https"
	case host == "":
		return "has no host"
	case len(host) > maxHostLength:
		return fmt.Sprintf("has a host of %d bytes: must be at most %d", len(host), maxHostLength)
	case !isHost(host):
		return "has a host that is no IP address, and not made of ASCII letters, digits, dots and hyphens: write an international name in punycode (xn--…)"
	}
	return ""
}

// isHost reports whether a host is an IPv6 address or has only characters of names. Other
// names have several spellings.
func isHost(host string) bool {
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		return err == nil && isName(ip.Zone())
	}
	return isName(host)
}

func isName(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_~", r))
	})
}
