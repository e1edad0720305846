// Package holdfast makes outbound calls hold when the other side does not.
//
// # A service over HTTP
//
// Make one [Client] for it with [New], and share it. It retries with jittered
// backoff, obeys Retry-After, opens a circuit breaker when the service is down,
// limits how much runs at once, and bounds every wait:
//
//	client, err := holdfast.New(holdfast.Config{BaseURL: "https://api.example.com/v1"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	answer, err := holdfast.Post[Answer](ctx, client, "/questions", question)
//
// [Get], [Post] and [Call] decode JSON; [Client.Get], [Client.Post] and the other
// methods give a [Response], read to its end. [Client.Do] hands out a body that is
// still to be read, for uploads and downloads. A [CallOption] changes one call, and
// the context bounds it. A program with several services keeps their clients in a
// [Registry]; [Client.Healthy] is for its health checks.
//
// # Any other function
//
// For an SDK's method or a query, make one [Policy] and call the function through
// [Do] or [Wrap]. A [Breaker] and a [Bulkhead] also stand on their own. [Fallback]
// asks another service if the first cannot be had, and [Batch] sends many items in
// chunks and loses none that was paid for.
//
// # What happens to a call
//
// There is one order. The breaker is asked first, and gets one verdict for the
// whole operation, the [Outcome] of its last attempt. Inside it are the attempts:
// each waits until the service's last Retry-After is over, takes a slot of the
// bulkhead, asks the breaker once more, and is made under a limit. What failed is
// repeated after a backoff, as long as there are retries, time, and a breaker that
// is not open. [Retry], [Timeouts], [BreakerConfig] and [BulkheadConfig] have the
// numbers, [Repeat] says which requests may be sent twice, and docs/semantics.md
// says what is guaranteed, with the test of each sentence.
//
// # Errors
//
// Every failed call returns an [*Error]. Ask errors.Is for its kind
// ([ErrCircuitOpen], [ErrTimeout], [ErrNotFound], ...), errors.As for a
// [*StatusError] with the answer, and [Error.Explain] for the whole story, attempt
// by attempt:
//
//	switch {
//	case errors.Is(err, holdfast.ErrCircuitOpen): // nothing was sent
//	case errors.Is(err, holdfast.ErrConnection): // it may pass: every retry is used up
//	}
//
// # What can be seen
//
// Without [WithLogger] holdfast is silent; with it, a breaker that opens is a
// warning. An [Observer] gets every [Event]; [Client.Stats] and [Registry.Stats]
// count. No error, event, log or statistic shows a header's value, a body, a query
// or a password, however it is printed; SECURITY.md says what that promises.
//
// # Settings
//
// A field left zero means its documented default; [Off] switches off what it
// sets. New reports every problem with the settings at once. Package settings
// reads them from a file and the environment, and has presets.
//
// # Tests
//
// Package faultserver is a service that fails by plan, on real sockets or in the
// memory of a testing/synctest bubble ([WithDialContext]); [WithTransport] takes a
// fake; [Registry.Reset] keeps one test's breakers from the next.
package holdfast
