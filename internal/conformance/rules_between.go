package conformance

import (
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// stale returns the rule of a pool in which all connections are stale.
func stale(f relay.Fault, why string, sources ...string) Rule {
	return Rule{
		Fault: "pool." + fault.ID(f.String()), Between: stalePool{f},
		Lives: true, Want: Answered, Least: 1, Most: pooled + 1, Why: why, Sources: sources,
	}
}

// alsoOverH2 returns the rule for HTTP/2, as a case.
func alsoOverH2(r Rule) Rule {
	r.Case = "h2"
	return overH2(r)
}

var staleReset = stale(relay.Reset,
	"connections of the pool that were forgotten on the way cost at most one attempt: the next one uses a new connection", closedEarly)

var staleFinish = stale(relay.Finish,
	"connections of the pool that the service has closed cost at most one attempt", closedEarly)

var staleDark = soon(stale(relay.Dark,
	"connections of the pool that no longer carry data cost one attempt: the next one uses a new connection", transient,
	"RFC 9293, 3.8.4: keep-alives are off by default, and their interval is two hours or more"))

// soon shortens the limit of an attempt: a client may make four, each to its limit.
func soon(r Rule) Rule {
	r.Attempt = 300 * time.Millisecond
	return r
}

// moved is the rule of a name that gets another address. The next call follows soon
// after each, so one connection is enough, and is never idle for long.
var moved = Rule{
	Fault: "name.moved", Between: movedName{after: 3, last: 10},
	Calls: 40, Every: 20 * time.Millisecond, ConnAge: 200 * time.Millisecond,
	Lives: true, Want: Answered, Least: 40, Most: 40,
	Why:     "the service's name gets another address: a client that is never idle follows it soon after the age that a connection may have",
	Sources: []string{"RFC 1035, 3.2.1: a record may be cached for its TTL before its source should again be consulted", "Envoy, max_connection_duration, and HikariCP, maxLifetime: they limit the age of a pooled connection"},
}

// movedH2 returns the rule with a connection that always has a stream.
func movedH2() Rule {
	r := alsoOverH2(moved)
	r.AtOnce = true
	r.Plan = always(fault.Fault{Latency: &fault.Latency{Fixed: 50 * time.Millisecond}})
	r.Why += ", also if its connection always has a stream"
	return r
}

// refusal returns the rule of a proxy that refuses CONNECT.
func refusal(name string, p refusingProxy, least, most int, why string, sources ...string) Rule {
	r := Rule{
		Fault: "proxy.connect", Case: name, TLS: true, Between: p,
		Want: Refused, Least: least, Most: most, Why: why,
		Sources: append(sources, "RFC 9110, 9.3.6: any response other than a successful one indicates that the tunnel has not yet been formed"),
	}
	if p.times > 0 {
		r.Want = Answered
	}
	return r
}

var (
	wantsLogin = refusingProxy{status: http.StatusProxyAuthRequired, header: "Proxy-Authenticate: Basic realm=\"proxy\"\r\n"}
	// wild is a status line that must not get into a log: 10 kB, with control characters.
	wild = refusingProxy{status: http.StatusForbidden, reason: strings.Repeat("\x1b[31mno\x07\x08\x00", 1000)}
)

// betweenRules are about what fails between the client and a service that is well.
var betweenRules = []Rule{
	staleReset, staleFinish, staleDark,
	alsoOverH2(staleReset), alsoOverH2(staleFinish), alsoOverH2(staleDark),
	moved, movedH2(),
	refusal("407", wantsLogin, 1, 1,
		"a proxy that wants credentials wants them again: one attempt, and an error that says so",
		"RFC 9110, 15.5.8: the client may repeat the request with a new or replaced Proxy-Authorization"),
	refusal("403", refusingProxy{status: http.StatusForbidden}, 1, 1,
		"a proxy that forbids the service forbids it again: one attempt, and an error that says so",
		"RFC 9110, 15.5.4: the request should not be automatically repeated with the same credentials"),
	refusal("502", refusingProxy{status: http.StatusBadGateway}, 2, 0,
		"a proxy that does not reach the service may reach it later: the client repeats, and then the error says that it is the proxy", transient),
	refusal("502_once", refusingProxy{status: http.StatusBadGateway, times: 1}, 2, 2,
		"a proxy that does not reach the service once fails no call, since nothing was sent", transient),
	retryAfterOf(refusal("429", refusingProxy{status: http.StatusTooManyRequests, header: "Retry-After: 1\r\n", times: 1}, 2, 2,
		"the proxy asks for a wait of one second: the client repeats after it, and not before", retryAfter)),
	refusal("status_line", wild, 1, 1,
		"a status line of 10 kB with control characters does not get into the error",
		"CWE-117: improper output neutralization for logs"),
	breakerOf(refusal("breaker", refusingProxy{status: http.StatusBadGateway}, 3, 0,
		"a proxy that refuses says nothing about the service: its circuit breaker stays closed, and the next call reaches the service",
		"RFC 9110, 9.3.6: the response is that of the proxy")),
}

func retryAfterOf(r Rule) Rule {
	r.Apart = time.Second
	return r
}

func breakerOf(r Rule) Rule {
	r.Calls, r.Breaker, r.Lives = 3, 2, true
	return r
}
