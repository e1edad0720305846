// Package provider answers like the APIs of providers: their ordinary answers, their
// headers of rate limits, their errors, and the events of their streams.
//
// Everything is a pure function of its arguments. The forms are those of the
// providers' public documentation. The package shares no code with the clients of
// this module: the two sides can disagree, and a test then notices it.
package provider

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Request has the fields of faultserver.Request.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   []byte
}

// Answer has the fields of faultserver.Answer.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
	Chunks      []int
	Operation   string
}

// API answers like one provider.
type API struct {
	// Serve makes the ordinary answer.
	Serve func(Request) Answer

	report func(Error) report
	limits func(Limits, time.Time) http.Header
	id     string // the header with the id of a request; empty: none

	// For streams. Nil functions: the provider has none.
	event func(body any) []byte     // an error
	ping  func(first []byte) []byte // an event without content; first is the first event of the stream
	lead  int                       // events before the first ping
	in200 func(report) any          // the body of an error with status 200; nil: the same
	usual func(body []byte) Limits  // the limits of a request that no quota counts
}

// Of returns the API of a provider, or nil for none.
func Of(p fault.Provider) *API { return apis[p] }

var apis = map[fault.Provider]*API{
	fault.OpenAI: openAI, fault.Anthropic: anthropic, fault.Ollama: ollamaAPI, fault.Gemini: gemini, fault.GitHub: gitHub,
}

func init() { // not in the literals: a service refers to its API, which reports its errors
	openAI.Serve, anthropic.Serve, ollamaAPI.Serve, gemini.Serve, gitHub.Serve = serveOpenAI, serveAnthropic, Ollama, serveGemini, serveGitHub
}

// Kind is the kind of an error. The zero Kind depends on the status.
type Kind string

// The kinds.
const (
	Overloaded Kind = "overloaded"
	RateLimit  Kind = "rate_limit"
	Secondary  Kind = "secondary_rate_limit"
	Quota      Kind = "quota_exhausted"
	Server     Kind = "server_error"
)

// Error is an error that the API reports.
type Error struct {
	Kind    Kind
	Status  int               // 0: the provider's own for the kind
	Wait    time.Duration     // until the request may be repeated; 0: not told
	Quota   *fault.QuotaState // of the request; nil: the provider's usual
	Message string            // empty: the provider's own
	ID      string            // of the request
}

// report is an error in the provider's form.
type report struct {
	status int
	header http.Header // nil: none
	body   any
	// text and code are for bodies that an error with status 200 has.
	text, code string
}

// Refusal is an error as the answer to a request.
type Refusal struct {
	Answer
	Header http.Header // nil: none
}

// Refuse returns an error as an answer.
func (a *API) Refuse(e Error, now time.Time) Refusal {
	if e.Wait == 0 && e.Status == 0 {
		e.Wait = usualWait(e.Kind)
	}
	r := a.report(e)
	header := r.header
	if header == nil {
		header = http.Header{}
	}
	if (e.Kind == RateLimit || e.Kind == Secondary) && a.limits != nil {
		l := a.usual(nil)
		if e.Quota != nil {
			l.Requests = Bucket{e.Quota.Limit, e.Quota.Remaining, e.Quota.Reset}
		}
		if e.Kind == RateLimit {
			l.Requests.Remaining, l.Requests.Reset = 0, e.Wait
		}
		for name, values := range a.limits(l, now) {
			header[name] = values
		}
	}
	a.identify(header, e.ID)
	return Refusal{jsonAnswer(r.status, "", r.body), header}
}

// usualWait is the wait that an error tells if the plan gives none.
func usualWait(k Kind) time.Duration {
	switch k {
	case RateLimit:
		return time.Second
	case Secondary:
		return time.Minute
	}
	return 0
}

// RefuseWith200 returns an error as the body of an answer with status 200.
func (a *API) RefuseWith200(e Error, now time.Time) Refusal {
	refusal := a.Refuse(e, now)
	refusal.Status = http.StatusOK
	if a.in200 != nil {
		refusal.Answer = jsonAnswer(http.StatusOK, "", a.in200(a.report(e)))
	}
	delete(refusal.Header, "Retry-After") // an answer that claims success has none
	return refusal
}

// Headers returns the headers of an answer that is no error: what is left of the
// limits, and the id of the request. body is the request's. quota is nil if no quota
// counted the request.
func (a *API) Headers(body []byte, quota *fault.QuotaState, id string, now time.Time) http.Header {
	header := http.Header{}
	if a.limits != nil {
		l := a.usual(body)
		if quota != nil {
			l.Requests = Bucket{quota.Limit, quota.Remaining, quota.Reset}
		}
		header = a.limits(l, now)
	}
	a.identify(header, id)
	return header
}

// identify sets the header with the id of a request.
func (a *API) identify(header http.Header, id string) {
	if a.id != "" {
		header.Set(a.id, id)
	}
}

// refuse is the answer of a service to a request that it rejects.
func (a *API) refuse(status int, format string, args ...any) Answer {
	r := a.report(Error{Status: status, Message: fmt.Sprintf(format, args...), ID: "req_rejected"})
	return jsonAnswer(status, "", r.body)
}

// textOf names a status.
func textOf(status int) string {
	return cmp.Or(http.StatusText(status), fmt.Sprintf("Status %d", status))
}

// message returns the error's own message, or another.
func (e *Error) message(otherwise string) string { return cmp.Or(e.Message, otherwise) }

// retryAfter returns the header Retry-After, rounded up to seconds; nil for no wait.
func (e *Error) retryAfter() http.Header {
	if e.Wait <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {fmt.Sprint(seconds(e.Wait))}}
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Of all answers.
const (
	createdUnix   = 1767323045 // 2026-01-02T03:04:05Z: constant, since a service is a pure function
	defaultTokens = 16         // words of an answer
	maxTokens     = 4096       // limit of the words
	maxInputs     = 256        // texts in one request
)

func jsonAnswer(status int, operation string, v any) Answer {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as other languages write it
	if err := e.Encode(v); err != nil {
		panic("faultserver: answer cannot be encoded as JSON: " + err.Error())
	}
	return Answer{Status: status, ContentType: "application/json", Body: bytes.TrimSuffix(b.Bytes(), []byte("\n")), Operation: operation}
}

// stream is an answer in events, which are its chunks.
func stream(contentType, operation string, events ...[]byte) Answer {
	a := Answer{Status: http.StatusOK, ContentType: contentType, Operation: operation}
	for _, event := range events {
		a.Chunks = append(a.Chunks, len(event))
		a.Body = append(a.Body, event...)
	}
	return a
}

// encoded returns v as JSON between two texts.
func encoded(before string, v any, after string) []byte {
	body := jsonAnswer(0, "", v).Body
	return append(append([]byte(before), body...), after...)
}

// WorkOf returns the operation of a request with these texts: 16 hex digits.
func WorkOf(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%q", text) // quoted, so that "a", "bc" differs from "ab", "c"
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// answerTo returns n words that depend on the model and the prompt, with a blank
// before each but the first.
func answerTo(model, prompt string, n int) []string {
	words := make([]string, n)
	for i := range words {
		h := fnv.New64a()
		fmt.Fprintf(h, "%q %q %d", model, prompt, i)
		words[i] = " " + vocabulary[h.Sum64()%uint64(len(vocabulary))]
	}
	if n > 0 {
		words[0] = words[0][1:]
	}
	return words
}

var vocabulary = strings.Fields("flour water salt yeast starter dough knead fold rest proof shape score bake crust crumb loaf")

// limited returns the number of words below a limit that may be absent, and whether
// the limit cut the answer.
func limited(limit *int) (words int, cut bool) {
	if limit == nil || *limit >= defaultTokens {
		return defaultTokens, false
	}
	return max(*limit, 0), true
}

// tokens estimates the tokens of a text: one for four bytes.
func tokens(text string) int { return (len(text) + 3) / 4 }

// joined is the text of raw JSON values.
func joined(values []json.RawMessage) string {
	var b strings.Builder
	for _, v := range values {
		b.Write(v)
		b.WriteByte('\n')
	}
	return b.String()
}
