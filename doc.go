// Package holdfast makes outbound calls hold when the other side does not.
//
// For a service over HTTP, make one [Client] and share it. It retries with
// jittered backoff, opens a circuit breaker when the service is down, limits how
// much runs at once, and bounds every wait:
//
//	client, err := holdfast.New(holdfast.Config{BaseURL: "https://api.example.com/v1"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	out, err := holdfast.Post[Answer](ctx, client, "/questions", question)
//
// For any other function, an SDK's method or a query, make one [Policy] and call
// the function through [Do] or [Wrap]. A [Breaker] and a [Bulkhead] also stand on
// their own.
//
// # What happens to a call
//
// There is one order. The breaker is asked first, and gets one verdict for the
// whole operation. Inside it are the attempts: each waits until the service's
// last Retry-After is over, takes a slot of the bulkhead, asks the breaker once
// more, and is made under a limit. What failed is repeated after a backoff, as
// long as there are retries, time, and a breaker that is not open.
//
// # Errors
//
// Every failed call returns an [*Error]. Ask errors.Is for its kind
// ([ErrCircuitOpen], [ErrTimeout], [ErrNotFound], ...), and its Explain method for
// the whole story, attempt by attempt. No error, event or log shows a credential
// or a query value.
//
// # Settings
//
// A field left zero means its documented default; [Off] switches off what it
// sets. New reports every problem with the settings at once.
package holdfast
