package provider

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Script is a streamed answer with a defect, event by event.
type Script struct {
	Events [][]byte
	// Pauses are the waits before each event, from the first; later events have none.
	Pauses []time.Duration
	// Cut ends the connection after the events, without the end of the answer.
	Cut bool
}

// IsStream reports whether an answer is a stream of events or lines.
func IsStream(a Answer) bool {
	return len(a.Chunks) > 0 && a.Status < 300 &&
		(strings.HasPrefix(a.ContentType, "text/event-stream") || strings.HasPrefix(a.ContentType, "application/x-ndjson"))
}

// events returns the events of a stream, which are its chunks.
func events(a Answer) [][]byte {
	var all [][]byte
	rest := a.Body
	for _, n := range a.Chunks {
		n = min(n, len(rest))
		all, rest = append(all, rest[:n]), rest[n:]
	}
	if len(rest) > 0 {
		all = append(all, rest)
	}
	return all
}

// Defective returns the stream with the defect of the fault. The answer is a stream,
// and the provider has streams.
func (a *API) Defective(f *fault.Fault, answer Answer, e Error) Script {
	healthy := events(answer)
	last := len(healthy) - 1 // the end mark
	n := min(f.EventCount(), last)
	switch f.Stream {
	case fault.StreamErrorFirst:
		return Script{Events: [][]byte{a.event(a.report(e).body)}}
	case fault.StreamErrorAfter:
		return Script{Events: append(healthy[:n:n], a.event(a.report(e).body))}
	case fault.StreamPings:
		return a.pings(f, healthy)
	case fault.StreamEndMissing:
		return Script{Events: healthy[:last]}
	case fault.StreamEndTwice:
		return Script{Events: append(healthy, healthy[last])}
	case fault.StreamCut:
		next := healthy[n]
		return Script{Events: append(healthy[:n:n], next[:len(next)/2]), Cut: true}
	case fault.StreamMalformed:
		n = max(min(n, last-1), 0)
		return Script{Events: append(append(healthy[:n:n], halfOf(healthy[n])), healthy[n+1:]...)}
	}
	return Script{Events: healthy}
}

// pings adds events without content before the first content.
func (a *API) pings(f *fault.Fault, healthy [][]byte) Script {
	lead := min(a.lead, len(healthy))
	script := Script{Events: healthy[:lead:lead]}
	script.Pauses = make([]time.Duration, lead)
	ping := a.ping(healthy[0])
	for range f.EventCount() {
		script.Events = append(script.Events, ping)
		script.Pauses = append(script.Pauses, f.Every)
	}
	script.Events = append(script.Events, healthy[lead:]...)
	return script
}

// halfOf cuts the JSON of an event in half and keeps its framing.
func halfOf(event []byte) []byte {
	text := bytes.TrimRight(event, "\r\n")
	begin := max(bytes.IndexByte(text, '{'), 0)
	half := begin + (len(text)-begin)/2
	return append(append([]byte{}, text[:half]...), event[len(text):]...)
}

// The frames of the providers.
func dataEvent(v any) []byte     { return encoded("data: ", v, "\n\n") }
func dataEventCRLF(v any) []byte { return encoded("data: ", v, "\r\n\r\n") }
func line(v any) []byte          { return encoded("", v, "\n") }
func comment(text string) func([]byte) []byte {
	return func([]byte) []byte { return []byte(text) }
}

// emptied returns the first line of Ollama's stream without its text.
func emptied(first []byte) []byte {
	var reply ollamaReply
	if json.Unmarshal(first, &reply) != nil {
		return first
	}
	empty := ""
	if reply.Response != nil {
		reply.Response = &empty
	}
	if reply.Message != nil {
		reply.Message = &ollamaMessage{Role: reply.Message.Role}
	}
	return line(reply)
}
