package dialect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// The fault server has the forms of the providers from code of its own. The dialects agree
// with it.
func TestFormsOfTheFaultServer(t *testing.T) {
	const chat = `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"stream":%t}`
	for _, p := range []struct {
		as      fault.Provider
		dialect dialect.Dialect
		whole   string // a path
		stream  string // a path; empty for none
		body    string // of a request
	}{
		{fault.OpenAI, dialect.OpenAI, "/v1/chat/completions", "/v1/chat/completions", chat},
		{fault.OpenAI, dialect.OpenAIGateway, "/v1/chat/completions", "/v1/chat/completions", chat},
		{fault.Anthropic, dialect.Anthropic, "/v1/messages", "/v1/messages", chat},
		{fault.Ollama, dialect.Ollama, "/api/chat", "/api/chat", chat},
		{fault.Gemini, dialect.Gemini, "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse", `{"contents":[{"parts":[{"text":"hi"}]}]}`},
		{fault.GitHub, dialect.GitHub, "/repos/o/r/issues", "", `{"title":"hi"}`},
	} {
		try := func(path string, streamed bool, f fault.Fault, want string) {
			t.Run(fmt.Sprint(p.dialect.Name, " ", f.API, f.Stream, " ", f.Error), func(t *testing.T) {
				s, err := faultserver.New(fault.Plan{As: p.as, Rules: []fault.Rule{{Fault: f}}})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				c, err := holdfast.New(p.dialect.Apply(holdfast.Config{BaseURL: s.URL(), Retry: holdfast.Retry{MaxRetries: holdfast.Off}}))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				body := p.body
				if strings.Contains(body, "%t") {
					body = fmt.Sprintf(body, streamed)
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				_, err = readBody(c.Do(req))
				got, _, _ := strings.Cut(meaning(err), " ")
				if got != want {
					t.Errorf("%s, want %s: %v", got, want, err)
				}
			})
		}
		errors := map[fault.APIError]string{fault.ErrorOverloaded: "overloaded", fault.ErrorRateLimit: "throttled", fault.ErrorQuotaExhausted: "quota", fault.ErrorServer: "server"}
		try(p.whole, false, fault.Fault{API: fault.APIOverloaded}, "overloaded")
		try(p.whole, false, fault.Fault{API: fault.APIRateLimit}, "throttled")
		if p.as == fault.GitHub {
			try(p.whole, false, fault.Fault{API: fault.APISecondaryRateLimit}, "throttled")
			try("/graphql", false, fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorRateLimit}, "throttled")
			continue
		}
		try(p.whole, false, fault.Fault{API: fault.APIQuotaExhausted}, "quota")
		for e, class := range errors {
			try(p.stream, true, fault.Fault{Stream: fault.StreamErrorFirst, Error: e}, class)
			try(p.stream, true, fault.Fault{Stream: fault.StreamErrorAfter, Error: e}, class)
			if p.dialect.Name != "OpenAI" { // its 200 has an answer
				try(p.whole, false, fault.Fault{API: fault.APIErrorIn200, Error: e}, class)
			}
		}
		missing := "lost"
		if p.dialect.Name == "OpenAIGateway" { // a finish_reason is enough
			missing = "none"
		}
		try(p.stream, true, fault.Fault{Stream: fault.StreamEndMissing}, missing)
		try(p.stream, true, fault.Fault{Stream: fault.StreamCut}, "lost")
		try(p.stream, true, fault.Fault{Stream: fault.StreamEndTwice}, "none")
		try(p.stream, true, fault.Fault{Stream: fault.StreamPings}, "none")
	}
}
