// Package holdfast calls services that can be slow, overloaded or down. It applies
// retries, a circuit breaker, a bulkhead and time limits in one fixed order.
//
// # A service over HTTP
//
// Make one [Client] for each service with [New], and share it. It retries with
// jittered backoff, obeys Retry-After, opens a circuit breaker when the service is
// down, limits the calls that run at once, and bounds every wait:
//
//	client, err := holdfast.New(holdfast.Config{BaseURL: "https://api.example.com/v1"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	answer, err := holdfast.Post[Answer](ctx, client, "/questions", question)
//
// [Get], [Post] and [Call] decode JSON. [Client.Get], [Client.Post] and the other
// methods return a [Response], read to its end. [Client.Do] returns a body that is not
// read yet, for uploads and downloads, and [Client.Stream] returns an answer that
// arrives in lines or events. [Client.HTTPClient] is for an SDK that takes an
// *http.Client, and a [Router] for an SDK that calls several hosts. A [CallOption]
// changes one call, and the context bounds it. A program with several services keeps
// their clients in a [Registry]. [Client.Healthy] is for health checks.
//
// # Any other function
//
// For a method of an SDK or a database query, make one [Policy] and call the function
// through [Do], [Run] or [Wrap]. A [Breaker] and a [Bulkhead] can also be used alone.
// [Fallback] and [FallbackStream] call another service if the first fails. [Batch] sends
// many items in chunks and keeps every result.
//
// # What happens to a call
//
// The order is the same for every call. The breaker is asked first, and gets one
// verdict for the whole call: the [Outcome] of the last attempt. Each attempt waits
// until the service's last Retry-After is over, takes a permit of the bulkhead, asks
// the breaker again, and runs under a time limit. A failed attempt is repeated after a
// backoff, while retries and time are left and the breaker is not open. [Retry],
// [Timeouts], [BreakerConfig] and [BulkheadConfig] have the numbers, and [Repeat]
// selects the requests that may be sent twice. docs/semantics.md lists the guarantees,
// each with its tests.
//
// # Errors
//
// Every failed call returns an [*Error]. errors.Is finds its kind ([ErrCircuitOpen],
// [ErrTimeout], [ErrNotFound], ...), errors.As finds the [*StatusError] with the
// answer, and [Error.Explain] lists the attempts:
//
//	switch {
//	case errors.Is(err, holdfast.ErrCircuitOpen): // nothing was sent
//	case errors.Is(err, holdfast.ErrConnection): // it may pass, but no retry is left
//	}
//
// # Logs, events and statistics
//
// Nothing is logged without [WithLogger]; with it, a breaker that opens is a warning.
// An [Observer] receives every [Event]. An [Instrument] starts the spans of a tracer;
// the module otelholdfast has one for OpenTelemetry. [Client.Stats], [Policy.Stats],
// [Registry.Stats] and [Router.Stats] count. No error, event, log or statistic shows a
// header's value, a body, a query or a password; SECURITY.md has this promise and its
// limits.
//
// # Settings
//
// A field that is zero means its documented default. [Off] means none, or no limit. New
// reports every problem with the settings at once. Package settings reads them from a
// file and the environment, and has presets.
//
// # Tests
//
// Package faultserver is a service that fails by plan, on real sockets or in the
// memory of a testing/synctest bubble ([WithDialContext]). [WithTransport] takes a
// fake. [Registry.Reset] separates the breakers of one test from those of the next.
package holdfast
