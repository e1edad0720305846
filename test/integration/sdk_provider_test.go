package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// The SDKs of the providers understand the fault server's answers, streams and errors.
func TestSDKsUnderstandTheProviders(t *testing.T) {
	for _, tt := range []struct {
		as         fault.Provider
		sdk        *sdk
		overloaded int
		message    string
		broken     string // the text of an error event
	}{
		{fault.OpenAI, openaiSDK, 503, "overloaded", "overloaded"},
		{fault.Anthropic, anthropicSDK, 529, "Overloaded", "overloaded_error"},
		{fault.Ollama, ollamaSDK, 503, "server busy", "server busy"},
	} {
		t.Run(string(tt.as), func(t *testing.T) {
			s := faultserver.Start(t, fault.Plan{As: tt.as})
			client := tt.sdk.dial(s.URL(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, false)
			set := func(f fault.Fault) {
				t.Helper()
				if err := s.SetPlan(fault.Plan{As: tt.as, Rules: []fault.Rule{{Fault: f}}}); err != nil {
					t.Fatal(err)
				}
			}
			stream := func() (string, int, error) {
				var said strings.Builder
				n := 0
				err := client.stream(t.Context(), func(piece string) { said.WriteString(piece); n++ })
				return said.String(), n, err
			}
			whole, err := client.ask(t.Context())
			if err != nil || len(strings.Fields(whole)) != 16 {
				t.Errorf("asked: %q, %v", whole, err)
			}
			said, n, err := stream()
			if err != nil || said != whole || n < 16 {
				t.Errorf("streamed %q in %d pieces, %v; want %q", said, n, err, whole)
			}
			set(fault.Fault{Stream: fault.StreamPings, Events: 5})
			if said, _, err = stream(); err != nil || said != whole {
				t.Errorf("with pings %q, %v", said, err)
			}
			set(fault.Fault{API: fault.APIOverloaded})
			_, err = client.ask(t.Context())
			if status, message := client.status(err); status != tt.overloaded || !strings.Contains(message+err.Error(), tt.message) {
				t.Errorf("overloaded: %d %q, %v", status, message, err)
			}
			for _, f := range []fault.Fault{{Stream: fault.StreamErrorFirst}, {Stream: fault.StreamErrorAfter, Events: 5}} {
				set(f)
				if said, _, err = stream(); err == nil || !strings.Contains(err.Error(), tt.broken) || !strings.HasPrefix(whole, said) || (said == "") != (f.Events == 0) {
					t.Errorf("%s: %q, %v", f.Stream, said, err)
				}
			}
			for _, word := range []fault.Stream{fault.StreamMalformed, fault.StreamCut} {
				set(fault.Fault{Stream: word, Events: 5})
				if said, _, err = stream(); err == nil || said == whole {
					t.Errorf("%s: %q, %v", word, said, err)
				}
			}
		})
	}
}

// OpenAI's SDK for Go asks for embeddings as numbers.
func TestOpenAIEmbeddings(t *testing.T) {
	s := faultserver.Start(t, fault.Plan{}, faultserver.As(fault.OpenAI))
	client := openai.NewClient(option.WithBaseURL(s.URL()+"/v1"), option.WithAPIKey("sk-test"))
	out, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: openai.EmbeddingModelTextEmbedding3Small,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"bread", "cake"}},
	})
	if err != nil || len(out.Data) != 2 || len(out.Data[1].Embedding) != 8 || out.Usage.PromptTokens == 0 {
		t.Errorf("%+v, %v", out, err)
	}
}
