package main

// page is docs/conformance.md, but for what is measured.
const page = `# Conformance

What HTTP clients of Go do when the other side fails: every fault of the fault server, each by itself, on real sockets, for each client. ` + "`make conformance`" + ` prints the table and writes this page and ` + "`test/integration/out/conformance.json`" + `, a row for each fault and client. The verdicts do not hang on chance: ` + "`make conformance ARGS='-runs 5'`" + ` takes them five times in a row, and fails where one differs.

{date}, {go}: {versions}.

{rows}
## How it is judged

Every meeting has a service and a client of its own. The service follows a plan of one fault; the client makes the call, or the calls, of the rule; then the service is well, and the client makes one call more, which has to be answered. A client is **right** if all of this holds:

- the call ends as wanted: *answered* is the whole healthy answer; *refused* is an error, or the status for what it is; *honest* is either; anything else that looks like success is wrong
- as many requests reached the service as the rule allows, and none too soon
- each call took at most 3 s, of which four attempts take 2 s at most; the caller's own patience ends at 4 s, so that a client which only that ends is seen
- no POST was done twice. The service knows work by what is asked for, not by a key; it recognizes a repeat by its Idempotency-Key or X-Request-ID, as services do that offer either
- where the fault leaves the connection good, it was kept
- nothing was left: no goroutine beyond those of a client that met nothing, no open connection after its Close
- no credential was shown: not in the client's own log, not to another origin. (What a client's errors say is the caller's to log, and so judged by no rule; the table says where they show the query. net/http's do, and those of most that wrap them.)

All are set up to the same terms: 3 retries after 50 ms, doubling up to 200 ms; 0.5 s for an attempt; Retry-After up to 2 s; answers up to 1 MiB. ` + "`test/integration/contenders`" + ` has how, each by its own settings and hooks as someone would who knows it well, and without rebuilding by hand what the library is there for. Corrections are welcome. What is wrong counts only if the machine kept up meanwhile, and only if it is wrong twice out of three.

holdfast is judged twice: as ` + "`Client.Get`" + ` and its like, and at the door that it has for SDKs ([sdks.md](sdks.md)), as an ` + "`*http.Client`" + ` whose caller reads the answer. There an attempt ends at the headers, because a stream has to begin before it has ended; so whatever breaks off or falls silent after its head is an error for the reader, within the limits, and not had again. Those are the rules that the door loses (` + "`body.*`" + ` and their like in ` + "`h1`" + ` and ` + "`h2`" + `). It loses them as net/http does: with an error, nothing left behind, nothing done twice. Who can have the whole answer in memory calls the client itself.

go-retryablehttp logs each request with its whole URL unless its log is switched off, and so fails every rule by that alone; with the log off it is judged a second time.

The rules were written, with their sources, before any client had been judged by them; ` + "`git log internal/conformance`" + ` has the order.

## Judge your own

` + "`holdfast conformance`" + ` asks any command the same, in any language:

` + "```" + `
holdfast conformance --exec './mytool {url}'
holdfast conformance --exec './mytool {method} {url} {body} {key}' --patience 2s
` + "```" + `

Debian's curl, whose waits are whole seconds and which therefore gets more time:

` + "```" + `
holdfast conformance --patience 8s --exec 'curl --disable --silent --show-error --fail --compressed --retry 3 --retry-all-errors --retry-max-time 8 --max-time 1 --max-filesize 1048576 {url}'
` + "```" + `

Its losses are instructive: an answer that breaks off has been written to standard output when it is asked for again, and stands there before the second one (` + "`body.stall`" + `); without --retry-all-errors a lost connection is no reason to try again, and with it a 404 and a bad certificate are; without --retry-max-time it waits as long as Retry-After says.

Python's httpx under tenacity, as in ` + "`test/integration/conformance/testdata/tenacious.py`" + `:

` + "```" + `
holdfast conformance --patience 2s --exec '/usr/bin/python3 tenacious.py {method} {url} {body} {auth} {key}'
` + "```" + `

httpx has a limit for each silence and none for an attempt, so that what comes in drops (` + "`head.drip`" + `) is not ended; half of a compressed answer passes for the whole (` + "`body.gzip_truncated`" + `); a certificate that does not hold is an error of the transport, and tried four times; tenacity does not know Retry-After.

A client that is reached over HTTP is judged behind its endpoint: a proxy as it is, or a handler of a few lines, in any language, that makes each call that it gets with the client, and answers with the status and the body that come back, and with 502 where the client gives an error. The judge is on both sides of it. It calls the endpoint at --client, and it is the service that fails, at --listen; the endpoint is set up to send there what it gets, with its method, path, query, headers and body, and nothing else: a health check would be struck by the fault in a call's place, and ends the run. Debian's HAProxy, with a file proxy.cfg:

` + "```" + `
defaults
  mode http
  timeout connect 500ms
  timeout client 5s
  timeout server 500ms
  retries 3
  retry-on all-retryable-errors
frontend proxy
  bind 127.0.0.1:8080
  default_backend service
backend service
  server service 127.0.0.1:9000
` + "```" + `

` + "```" + `
haproxy -f proxy.cfg -D -p proxy.pid
holdfast conformance --client http://127.0.0.1:8080 --listen 127.0.0.1:9000
kill $(cat proxy.pid)
` + "```" + `

It is right on 38 of 60 (2.6.12), and this is where a proxy that retries and a client that does differ: it sends a POST again whose answer was lost (` + "`commit.then_drop`" + `), comes back at once whatever Retry-After says, and hands on what breaks off after its head (` + "`body.cut_fin`" + `), since it has sent on the head by then.

What a proxy logs and holds is not seen: leaks stay uncounted, and of the secrets shown only those are known that it took to another origin. It is asked nothing over TLS, where it would have to know an authority that is made anew for each rule, and not ` + "`h1.continue_never`" + `, which has another limit for an attempt. Since it lives from one rule to the next, each begins with a call to a service that is well, and after a call that the judge has given up on not before half a second has passed in which nothing came of it.

## The rules

{rules}`
