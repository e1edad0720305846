package faultserver

import (
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
)

// As sets the provider of plans that name none: the server answers like it. Without
// the option [Backend] the service is the provider's. In all cases the headers of rate
// limits, the bodies of error statuses, and the faults API and Stream have the
// provider's form. The default is none.
//
// The limits in the headers are those of the plan's first quota that counts the
// request, else constant. No credential is checked.
func As(p fault.Provider) Option { return func(s *Server) { s.as = p } }

// Embeddings answers like Mixedbread's POST /v1/embeddings, at every path that ends
// in /embeddings. A vector has 8 numbers, or the requested number up to 4096. It is
// a hash of model, prompt and text: equal texts have equal vectors, and different
// texts unrelated ones. The only encoding_format is "float". A GET of a path that
// ends in /stores, the usual health check of clients, returns an empty list.
//
// The operation is a hash of all texts: the same texts in the same order are the
// same work. A malformed request is answered with 422, another path with 404,
// another method with 405.
func Embeddings(r Request) Answer { return Answer(provider.Mixedbread(provider.Request(r))) }

// Ollama answers like an Ollama server: POST /api/generate, /api/chat and
// /api/embed, GET /api/version, /api/tags and /. Every model exists. An answer
// has 16 words, or options.num_predict, made by hash from model and prompt. It
// is streamed as one line of JSON for each word unless stream is false. Vectors
// are those of [Embeddings], with 8 numbers or the given dimensions. The time
// created_at is constant.
//
// The operation is a hash of the whole prompt, of all messages, or of all texts. A
// malformed request is answered with 400, another path with 404, another method
// with 405. Requests for health, version and models have no operation.
func Ollama(r Request) Answer { return Answer(provider.Ollama(provider.Request(r))) }

// asProvider returns the plan with the provider that applies to it.
func (s *Server) asProvider(plan fault.Plan) fault.Plan {
	if plan.As == "" {
		plan.As = s.as
	}
	return plan
}

// serviceOf returns the service of a run.
func (s *Server) serviceOf(api *provider.API) Service {
	if api == nil || s.ownService {
		return s.service
	}
	return func(r Request) Answer { return Answer(api.Serve(provider.Request(r))) }
}

// speak prepares what the provider adds to the answer.
func (x *exchange) speak(body []byte) {
	if api := x.run.api; api != nil {
		x.added = api.Add(&x.decision, provider.Answer(x.answer), body, x.number, time.Now())
		x.fault = x.decision.Fault
	}
}

// add adds headers to the answer.
func (x *exchange) add(extra http.Header) {
	header := x.w.Header()
	for name, values := range extra {
		header[name] = values
	}
}

// refuse sends an error in the provider's form.
func (x *exchange) refuse() {
	x.added.Header = x.added.Refusal.Header
	x.write(Answer(x.added.Refusal.Answer))
}

// strikeStream sends a stream with a defect.
func (x *exchange) strikeStream(f *fault.Fault) {
	script := x.added.Script(f, provider.Answer(x.answer))
	x.begin(-1)
	x.flush()
	for i, event := range script.Events {
		if i < len(script.Pauses) && !x.waitUnless(script.Pauses[i], x.r.Context().Done()) {
			x.disconnect()
		}
		x.stream([][]byte{event})
	}
	if script.Cut {
		x.disconnect()
	}
}
