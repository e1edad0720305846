package judge

import "github.com/holdfast-go/holdfast/internal/outcome"

// Class is what a failure is. Its texts are frozen in api/classes.txt.
type Class uint8

const (
	ClassNone Class = iota
	ClassConnect
	ClassStaleConnection
	ClassLost
	ClassTimeout
	ClassOverloaded
	ClassServer
	ClassThrottled
	ClassQuota
	ClassInProgress
	ClassTooEarly
	ClassCredential
	ClassRequest
	ClassProxy
	ClassMistake
	ClassContent
	ClassCanceled
	classCount
)

// ClassInfo describes a class for people. What follows from it is what Judge decides.
type ClassInfo struct {
	Name    string // in errors, events and logs
	Is      string // what the failure is
	Retried string
	Others  string // what it means for the other operations
	Breaker string // what a closed breaker counts
}

// Classes are the classes in the order of the table in docs/classes.md.
var Classes = [classCount]ClassInfo{
	ClassNone:            {"", "no failure, or an error of a policy's function that nothing classifies", "as the policy says", "nothing", "as the policy says"},
	ClassConnect:         {"connect", "nothing was sent: no connection was made, or none came free", "yes, every method; not if none came free", "nothing", "a failure; nothing if none came free"},
	ClassStaleConnection: {"stale_connection", "a connection of the pool had ended before a byte of an answer", "at once, on another connection", "nothing", "nothing"},
	ClassLost:            {"lost", "the connection was reset or cut, or the answer was malformed", "as far as the request may be repeated", "nothing", "a failure"},
	ClassTimeout:         {"timeout", "a limit was reached", "as far as the request may be repeated", "nothing", "a failure"},
	ClassOverloaded:      {"overloaded", "503 or 529", "as far as the request may be repeated; every method if a wait is told", "they wait, if a wait is told", "a failure"},
	ClassServer:          {"server", "408, or another 5xx that may pass", "as far as the request may be repeated", "nothing", "a failure"},
	ClassThrottled:       {"throttled", "429; 400, 401 or 403 that asks for a wait", "yes, every method", "they wait, if a wait is told", "nothing"},
	ClassQuota:           {"quota", "money or a day's quota is gone: 402, or an answer that says so", "no", "nothing", "nothing"},
	ClassInProgress:      {"in_progress", "409 that an earlier attempt with the same key explains", "yes, with the same key", "nothing", "nothing"},
	ClassTooEarly:        {"too_early", "421 or 425", "once, at once", "nothing", "nothing"},
	ClassCredential:      {"credential", "401 or 403", "once, if Authorize then gives another credential for a 401", "nothing", "nothing"},
	ClassRequest:         {"request", "the same request fails again: 501, 505, another 4xx, or a redirect that is not followed", "no, unless x-should-retry is true", "nothing", "nothing"},
	ClassProxy:           {"proxy", "a proxy declined to connect to the service", "429 and 5xx", "nothing", "nothing"},
	ClassMistake:         {"mistake", "this side made a request that cannot be sent, or the source of its body failed", "no", "nothing", "nothing"},
	ClassContent:         {"content", "the answer cannot be used: it is longer than the client reads, not what is wanted, or a failure by Config.Classify", "no", "nothing", "nothing"},
	ClassCanceled:        {"canceled", "the caller left, or the client was closed", "no", "nothing", "nothing"},
}

// String returns the class's name.
func (c Class) String() string {
	if c < classCount {
		return Classes[c].Name
	}
	return ""
}

// ClassOf returns the class of an attempt's end, of which m is the meaning.
func ClassOf(f Facts, m Meaning) Class {
	switch {
	case m.Outcome == outcome.Success:
		return ClassNone
	case m.Outcome == outcome.Canceled:
		return ClassCanceled
	}
	switch f.Ending {
	case Answered:
		if f.Verdict != ClassNone {
			return f.Verdict
		}
		return classOfAnswer(&f, m)
	case Misled:
		return ClassRequest
	case TooLong:
		return ClassContent
	case NotMade, SourceFailed, Mistaken:
		return ClassMistake
	case ProxyDeclined:
		return ClassProxy
	case Returned:
		return classOfReturned(m)
	}
	switch {
	case m.AtOnce && m.Stands:
		return ClassStaleConnection
	case !f.Sent:
		return ClassConnect
	case m.Kind == Timeout:
		return ClassTimeout
	}
	return ClassLost
}

func classOfAnswer(f *Facts, m Meaning) Class {
	switch {
	case f.Status == 101:
		return ClassLost
	case f.Quota && f.Status < 500, f.Status == 402:
		return ClassQuota
	case m.Outcome == outcome.Throttled:
		return ClassThrottled
	}
	switch f.Status {
	case 401, 403:
		return ClassCredential
	case 409:
		if f.KeyInUse {
			return ClassInProgress
		}
	case 421, 425:
		return ClassTooEarly
	case 408:
		return ClassServer
	case 503, 529:
		return ClassOverloaded
	}
	if f.Status >= 500 && f.Status != 501 && f.Status != 505 {
		return ClassServer
	}
	return ClassRequest
}

// classOfReturned is the class of a policy's error, of which only the outcome is known.
func classOfReturned(m Meaning) Class {
	switch {
	case m.Kind == Timeout:
		return ClassTimeout
	case m.Outcome == outcome.Throttled:
		return ClassThrottled
	}
	return ClassNone
}
