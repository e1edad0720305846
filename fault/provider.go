package fault

import (
	"fmt"
	"slices"
	"time"
)

// Provider is a provider of an API. A server with one answers like it: with its
// ordinary answers, its headers of rate limits, and its form of errors.
type Provider string

// The providers.
const (
	OpenAI    Provider = "openai"    // chat completions, also as a stream of events; embeddings
	Anthropic Provider = "anthropic" // messages, also as a stream of events
	Ollama    Provider = "ollama"    // generate, chat, also as a stream of lines; embed
	Gemini    Provider = "gemini"    // generateContent, streamGenerateContent; embedContent
	GitHub    Provider = "github"    // repositories and issues of the REST API; no streams
)

// Providers lists all providers.
func Providers() []Provider { return []Provider{OpenAI, Anthropic, Ollama, Gemini, GitHub} }

// API is an error that the API of a provider reports, in the provider's own form.
type API string

// The errors of an API.
const (
	APIErrorIn200         API = "error_in_200"         // a JSON body that is an error, with status 200; Error names it
	APIOverloaded         API = "overloaded"           // 529 of Anthropic, else 503
	APIRateLimit          API = "rate_limit"           // 429, of GitHub 403, with headers that have nothing left; the limit lasts for RetryAfter, by default 1s
	APISecondaryRateLimit API = "secondary_rate_limit" // of GitHub only: 403 and Retry-After, while the headers have much left
	APIQuotaExhausted     API = "quota_exhausted"      // money or a day's quota is gone: 429 insufficient_quota of OpenAI, 400 of Anthropic; not of GitHub
)

// APIError is the error of an error_in_200 and of an event in a stream.
type APIError string

// The errors.
const (
	ErrorOverloaded     APIError = "overloaded" // the default
	ErrorRateLimit      APIError = "rate_limit"
	ErrorQuotaExhausted APIError = "quota_exhausted"
	ErrorServer         APIError = "server_error" // an internal error, 500
)

// Stream is a defect of a streamed answer. An event is one event of an event stream
// or one line of NDJSON. An answer that is not a stream has no defect: it is
// healthy, and its record lists no stream fault.
type Stream string

// The defects of a stream. Events is the number of healthy events before the defect.
const (
	StreamErrorFirst Stream = "error_first" // 200, and the first event is an error; Error names it. No work is done
	StreamErrorAfter Stream = "error_after" // Events events, then an error event; Error names it
	StreamPings      Stream = "pings"       // Events pings before the first content, one in each Every
	StreamEndMissing Stream = "end_missing" // all events except the end mark, then a regular end of the answer
	StreamEndTwice   Stream = "end_twice"   // the end mark is sent twice
	StreamCut        Stream = "cut"         // Events events and half of the next one, then a FIN
	StreamMalformed  Stream = "malformed"   // Events events, then one with half of its JSON, then the others
)

// MaxEvents is the limit of a fault's Events.
const MaxEvents = 10_000

// defaultEvents is the number of events if Events is zero.
const defaultEvents = 3

// EventCount returns Events, or its default 3.
func (f *Fault) EventCount() int {
	if f.Events == 0 {
		return defaultEvents
	}
	return f.Events
}

// NeedProvider returns the paths of the faults that need a provider: those with api
// or stream.
func (p Plan) NeedProvider() []string {
	var paths []string
	p.eachFault(func(path string, f *Fault) {
		if f.API != "" {
			paths = append(paths, path+".api")
		}
		if f.Stream != "" {
			paths = append(paths, path+".stream")
		}
	})
	return paths
}

// eachFault calls f for the fault of each rule and each choice of a mix.
func (p Plan) eachFault(f func(path string, fault *Fault)) {
	for i := range p.Rules {
		path := fmt.Sprintf("rules[%d].fault", i)
		of := &p.Rules[i].Fault
		f(path, of)
		for j := range of.Mix {
			f(fmt.Sprintf("%s.mix[%d].fault", path, j), &of.Mix[j].Fault)
		}
	}
}

// provider checks that the provider has the faults of the plan.
func (c *checker) provider(p Plan) {
	oneOf(c, "as", p.As)
	p.eachFault(func(path string, f *Fault) {
		switch {
		case p.As == "":
		case p.As == GitHub && f.Stream != "":
			c.addf(path+".stream", "github has no streams")
		case p.As == GitHub && (f.API == APIQuotaExhausted || f.Error == ErrorQuotaExhausted):
			c.addf(path, "github has no quota that can be exhausted: use rate_limit")
		case p.As != GitHub && f.API == APISecondaryRateLimit:
			c.addf(path+".api", "%q is a limit of github only; use rate_limit", f.API)
		}
	})
}

// ofProvider checks the fields that belong to api and stream.
func (c *checker) ofProvider(path string, f Fault) {
	oneOf(c, path+".api", f.API)
	oneOf(c, path+".stream", f.Stream)
	oneOf(c, path+".error", f.Error)
	if f.Error != "" && f.API != APIErrorIn200 && f.Stream != StreamErrorFirst && f.Stream != StreamErrorAfter {
		c.addf(path+".error", "is valid only with api error_in_200, stream error_first and stream error_after")
	}
	counts := []Stream{StreamErrorAfter, StreamPings, StreamCut, StreamMalformed}
	switch {
	case f.Events != 0 && !slices.Contains(counts, f.Stream):
		c.addf(path+".events", "is valid only with stream error_after, pings, cut and malformed")
	case f.Events < 0 || f.Events > MaxEvents:
		c.addf(path+".events", "%d must be 1 to %d events, or left out for %d", f.Events, MaxEvents, defaultEvents)
	}
	if f.Every != 0 && f.Stream != StreamPings {
		c.addf(path+".every", "is valid only with stream pings")
	} else {
		c.wait(path+".every", f.Every, 0)
	}
	if f.RetryAfter != 0 && (f.API == APIErrorIn200 || f.API == APIQuotaExhausted) {
		c.addf(path+".retry_after", "cannot be combined with api %s, which tells no wait", f.API)
	}
}

// QuotaState is what a Quota has left after a request.
type QuotaState struct {
	Limit, Remaining int
	// Reset is the time left in the period.
	Reset time.Duration
}
