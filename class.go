package holdfast

import "github.com/holdfast-go/holdfast/internal/core/judge"

// Class is what a failure is, and so what follows from it: whether it is repeated, and
// whether the breaker counts it. docs/classes.md has the table. The texts of String do not
// change. The zero Class is ClassNone.
type Class = judge.Class

const (
	// ClassNone is no failure, or an error of a policy's function that nothing classifies.
	ClassNone = judge.ClassNone
	// ClassConnect: nothing was sent. No connection was made, or none came free.
	ClassConnect = judge.ClassConnect
	// ClassStaleConnection: a connection of the pool had ended before a byte of an answer.
	ClassStaleConnection = judge.ClassStaleConnection
	// ClassLost: the connection was reset or cut, or the answer was malformed.
	ClassLost = judge.ClassLost
	// ClassTimeout: a limit was reached.
	ClassTimeout = judge.ClassTimeout
	// ClassOverloaded: 503 or 529.
	ClassOverloaded = judge.ClassOverloaded
	// ClassServer: 408, or another 5xx that may pass.
	ClassServer = judge.ClassServer
	// ClassThrottled: 429, or a 400, 401 or 403 that asks for a wait.
	ClassThrottled = judge.ClassThrottled
	// ClassQuota: money or a day's quota is gone.
	ClassQuota = judge.ClassQuota
	// ClassInProgress: a 409 that an earlier attempt with the same key explains.
	ClassInProgress = judge.ClassInProgress
	// ClassTooEarly: 421 or 425.
	ClassTooEarly = judge.ClassTooEarly
	// ClassCredential: 401 or 403.
	ClassCredential = judge.ClassCredential
	// ClassRequest: the same request fails again.
	ClassRequest = judge.ClassRequest
	// ClassProxy: a proxy declined to connect to the service.
	ClassProxy = judge.ClassProxy
	// ClassMistake: this side made a request that cannot be sent.
	ClassMistake = judge.ClassMistake
	// ClassContent: the answer cannot be used.
	ClassContent = judge.ClassContent
	// ClassCanceled: the caller left, or the client was closed.
	ClassCanceled = judge.ClassCanceled
)
