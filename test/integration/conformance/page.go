package main

// page is the template of docs/conformance.md.
const page = `# Conformance

This page shows how HTTP clients for Go react when a service fails, or something on the way to it. It takes every fault of the fault server, one at a time, on real sockets, with each client. In the rules ` + "`pool.*`" + `, ` + "`name.*`" + ` and ` + "`proxy.*`" + ` the service is well: a relay makes every connection of the client's pool stale, the service's name gets another address, or a proxy refuses CONNECT. ` + "`make conformance`" + ` prints the table and writes this page and ` + "`test/integration/out/conformance.json`" + `, which has one row for each fault and client. The verdicts do not depend on chance: ` + "`make conformance ARGS='-runs 5'`" + ` repeats them five times and fails if one differs.

{date}, {go}: {versions}.

{rows}
## How a client is judged

Each test of a rule has its own service and its own client:

1. The service follows a plan with one fault.
2. The client makes the call, or the calls, of the rule.
3. The service becomes healthy. The client makes one more call, which must be answered.

A client is **right** if all of this holds:

- **Result.** The call ends as wanted. *answered* is the whole healthy answer. *refused* is an error, or the error status. *honest* is either of them. Anything else that looks like success is wrong.
- **Requests.** As many requests reach the service as the rule allows, and none comes too early. A request that went into a stale connection counts, and behind a proxy the requests to the proxy count.
- **Attempts.** With a stale pool, a client that tells its attempts tells as many as it sent requests, and at most one more than it was called.
- **Errors.** An error of a proxy contains the word proxy and the status. It has at most 1 kB and no control characters.
- **Time.** Each call takes at most 3 s. Four attempts take 2 s at most. The caller's own deadline is 4 s, so a call that only this deadline ends is visible.
- **Work.** No POST is done twice. The service identifies work by the content of the request, not by a key. It recognizes a second request by its Idempotency-Key or X-Request-ID, as services with such keys do.
- **Connection.** If the fault leaves the connection usable, the client keeps it.
- **Leaks.** Nothing is left: no goroutine more than a client without a fault has, and no open connection after its Close.
- **Credentials.** No credential is shown: not in the client's own log, and not to another origin. No rule judges whether the text of errors shows one, because the caller decides whether to log it. The table counts the rules where an error shows the query. The errors of net/http show it, and so do those of most clients that wrap them.

All clients have the same settings: 3 retries after 50 ms, doubling up to 200 ms; 0.5 s for an attempt; Retry-After up to 2 s; answers up to 1 MiB. There is a circuit breaker only in ` + "`proxy.connect/breaker`" + `: two failures open it for an hour. In ` + "`name.moved`" + ` a connection may be 0.2 s old, for a client that can limit the age. ` + "`test/rivals`" + ` has the setup of each client. It uses the client's own settings and hooks, as an expert would, and does not rebuild what the library should do. Corrections are welcome. A wrong result counts only if the machine was fast enough at that time, and only if it is wrong in two of three runs.

holdfast is judged twice: as ` + "`Client.Get`" + ` and similar methods, and as the SDK transport ([sdks.md](sdks.md)), an ` + "`*http.Client`" + `: there the caller reads the answer. With the SDK transport an attempt ends at the headers, because a stream must start before it has ended. If the answer breaks off or stops after the headers, the reader gets an error within the limits, and the attempt is not retried. It fails these rules as net/http does: with an error, with nothing left behind and nothing done twice. Above, each rule that it fails has the reason. ` + "`make conformance`" + ` fails if holdfast, in either form, fails a rule without a reason. If you can hold the whole answer in memory, use the client itself.

go-retryablehttp logs each request with its whole URL unless its log is off, and so fails every rule. It is judged a second time with the log off.

The rules and their sources were written before any client was judged; ` + "`git log internal/conformance`" + ` shows the order.

## Judge your own client

` + "`holdfast conformance`" + ` applies the same rules to any command, in any language:

` + "```" + `
holdfast conformance --exec './mytool {url}'
holdfast conformance --exec './mytool {method} {url} {body} {key}' --patience 2s
` + "```" + `

**curl.** Debian's curl waits for whole seconds, so it gets more time:

` + "```" + `
holdfast conformance --patience 8s --exec 'curl --disable --silent --show-error --fail --compressed --retry 3 --retry-all-errors --retry-max-time 8 --max-time 1 --max-filesize 1048576 {url}'
` + "```" + `

Its failed rules show the following:

- If an answer breaks off, curl has already written it to standard output. The retried answer follows it (` + "`body.stall`" + `).
- Without --retry-all-errors, curl does not retry a lost connection. With it, curl also retries a 404 and a bad certificate.
- Without --retry-max-time, curl waits as long as Retry-After asks.

**httpx.** Python's httpx with tenacity, as in ` + "`test/integration/conformance/testdata/tenacious.py`" + `:

` + "```" + `
holdfast conformance --patience 2s --exec '/usr/bin/python3 tenacious.py {method} {url} {body} {auth} {key}'
` + "```" + `

- httpx limits each gap between bytes but not a whole attempt, so an answer that arrives byte by byte (` + "`head.drip`" + `) does not end.
- It takes half of a compressed answer for the whole (` + "`body.gzip_truncated`" + `).
- A bad certificate is a transport error, and is tried four times.
- tenacity does not know Retry-After.

**A proxy or a handler.** A client that is reached over HTTP is judged behind its endpoint. The endpoint is a proxy, or a small handler in any language. The handler makes each call that it receives with the client. It answers with the status and body that come back, or with 502 if the client returns an error. The judge is on both sides: it calls the endpoint at --client, and it is the failing service at --listen. The endpoint must forward the method, path, query, headers and body of each call to that service, and must send nothing else. A health check would take the fault meant for a call, so it ends the run.

Debian's HAProxy, with a file proxy.cfg:

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

HAProxy 2.6.12 is right on 38 of 60 rules. The other rules show how a proxy that retries differs from a client that retries:

- It sends a POST again after its answer was lost (` + "`commit.then_drop`" + `).
- It retries at once and ignores Retry-After.
- It passes on an answer that breaks off after its headers (` + "`body.cut_fin`" + `), because it has already forwarded the headers.

Some rules do not apply to an endpoint:

- Its log and its resources are not visible, so leaks are not counted. A shown credential counts only if it reaches another origin.
- There are no rules over TLS, because each rule has a new authority.
- There is no ` + "`h1.continue_never`" + `, because that rule needs another limit for an attempt.
- The endpoint keeps running between rules, so each rule starts with a call to a healthy service. After a call that the judge has given up on, it first waits until nothing more has arrived for half a second.

## The rules

{rules}`
