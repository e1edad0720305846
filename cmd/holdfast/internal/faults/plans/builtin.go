package plans

import "embed"

// builtinFiles has a file builtin/NAME.json for each of Builtins.
//
//go:embed builtin/*.json
var builtinFiles embed.FS

// Description describes a built-in plan.
type Description struct {
	Name string
	Text string
}

// Builtins are the built-in plans, in the order of the list.
var Builtins = []Description{
	{"healthy", "nothing goes wrong; answers in 8 ms, 1 in 100 over 40 ms"},
	{"flaky", "one answer in ten is a 5xx, a few connections are reset, a few requests hang"},
	{"outage", "8 s healthy, resets, no listener for 10 s, 503 for 5 s, then slow, then healthy"},
	{"flapping", "of every 10 s 4 fail, half of these refuse connections"},
	{"throttled", "429 with Retry-After in waves; a few with a date, a few with an invalid value"},
	{"quota", "50 requests in 10 s are admitted, the rest get 429 and the remaining time"},
	{"slow", "one answer in twenty takes 2 s; some stall in the middle, some drip"},
	{"overload", "8 workers and 32 places to wait; answers slow down with the load"},
	{"dying-bodies", "half of the answers break off, stall, or are shorter than announced"},
	{"stale-connections", "idle connections die just when they are used again"},
	{"lost-answers", "one in five: the work is done, the answer is lost"},
	{"one-shard", "from 5 s on one shard of eight is down, by the header X-Tenant"},
	{"model-api", "errors in the words of a provider: rate limits, overload, errors inside a 200, streams that break; needs --as"},
	{"hostile", "garbage, huge headers, a gzip bomb, redirect loops, endless bodies"},
	{"bad-tls", "the first six connections fail in the handshake, each in its own way; needs --tls"},
	{"h2", "GOAWAY and RST_STREAM as in a rolling restart, some connections serve one stream; needs --h2"},
}

// Builtin returns the text of a built-in plan. The error names similar plans.
func Builtin(name string) ([]byte, error) {
	for _, b := range Builtins {
		if b.Name == name {
			return builtinFiles.ReadFile("builtin/" + name + ".json")
		}
	}
	return nil, unknownError{name: name}
}
