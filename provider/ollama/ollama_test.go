package ollama

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/settings"
)

// ask runs a test in virtual time, with a provider by Config and a server with
// the faults.
func ask(t *testing.T, test func(t *testing.T, s *faultserver.Server, p *Provider), faults ...fault.Rule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := faultserver.Start(t, fault.Plan{Rules: faults}, faultserver.InMemory(), faultserver.Backend(faultserver.Ollama))
		cfg := Config()
		cfg.BaseURL = s.URL()
		client, err := holdfast.New(cfg, holdfast.WithDialContext(s.Dial))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			client.Close()
			synctest.Wait()
			time.Sleep(time.Second) // net/http closes a cut connection half a second later
		})
		test(t, s, New(client, Timeouts{}))
	})
}

// answer returns a rule with that answer.
func answer(body string) fault.Rule {
	return fault.Rule{Fault: fault.Fault{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/json"}, Body: body}}
}

var hang = fault.Rule{Fault: fault.Fault{Hang: fault.BeforeAnswer}}

// timesOut fails the test unless f ends with a timeout after that time.
func timesOut(t *testing.T, what string, want time.Duration, f func() error) {
	t.Helper()
	began := time.Now()
	err := f()
	if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != want {
		t.Errorf("%s: %v after %v; want ErrTimeout after %v", what, err, took, want)
	}
}

func TestEmbed(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		vectors, err := p.Embed(t.Context(), "nomic-embed-text", []string{"rye", "spelt", "oat"})
		if err != nil || len(vectors) != 3 || slices.Equal(vectors[0], vectors[1]) {
			t.Fatalf("%v, %v; want 3 vectors that differ", vectors, err)
		}
		spelt, err := p.Embed(t.Context(), "nomic-embed-text", []string{"spelt"})
		if err != nil || !slices.Equal(spelt[0], vectors[1]) {
			t.Errorf("%v, %v; want the second of %v", spelt, err, vectors)
		}
		if n := len(s.Record()); n != 3 {
			t.Errorf("%d attempts; want 3, one of them a repeat", n)
		}
	}, fault.Rule{Nth: "1", Fault: fault.Fault{Status: 503}})
}

func TestEmbedNothingAsksNobody(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		if vectors, err := p.Embed(t.Context(), "m", nil); vectors != nil || err != nil || len(s.Record()) != 0 {
			t.Errorf("%v, %v after %d attempts; want nothing", vectors, err, len(s.Record()))
		}
	})
}

func TestEmbedLosesNothingSilently(t *testing.T) {
	for _, tt := range []struct{ embeddings, want string }{
		{`[[0.1]]`, "2 texts were sent, 1 embeddings came back"},
		{`[[0.1],[0.2],[0.3]]`, "2 texts were sent, 3 embeddings came back"},
		{`null`, "2 texts were sent, 0 embeddings came back"},
		{`[[0.1],[]]`, "an embedding without numbers came back for text 1"},
		{`[null,[0.2]]`, "an embedding without numbers came back for text 0"},
	} {
		ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
			vectors, err := p.Embed(t.Context(), "m", []string{"rye", "spelt"})
			if vectors != nil || !errors.Is(err, holdfast.ErrDecode) || !strings.Contains(err.Error(), tt.want) || len(s.Record()) != 1 {
				t.Errorf("%v, %v after %d attempts; want ErrDecode with %q after 1", vectors, err, len(s.Record()), tt.want)
			}
			var e *holdfast.Error
			var received *holdfast.StatusError
			if !errors.As(err, &e) || len(e.Attempts) != 1 || e.Attempts[0].Class != holdfast.ClassContent || !errors.As(err, &received) || !strings.Contains(string(received.Body), tt.embeddings) {
				t.Errorf("%v with the answer %+v; want one attempt of class content, and %s", err, received, tt.embeddings)
			}
		}, answer(`{"embeddings":`+tt.embeddings+`}`))
	}
}

var (
	why     = GenerateRequest{Model: "llama3.2", Prompt: "why rye", Options: map[string]any{"num_predict": 5}}
	whyChat = ChatRequest{Model: "llama3.2", Messages: []Message{{"system", "be brief"}, {"user", "why rye"}}, Options: map[string]any{"num_predict": 5}}
)

func TestGenerate(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		got, err := p.Generate(t.Context(), why)
		if err != nil || len(strings.Fields(got.Text)) != 5 || !got.Done || got.Reason != "stop" ||
			got.Model != "llama3.2" || got.PromptTokens != 2 || got.Tokens != 5 || got.Took != 6200*time.Microsecond {
			t.Errorf("%+v, %v; want a whole answer of 5 words", got, err)
		}
		if n := len(s.Record()); n != 2 {
			t.Errorf("%d attempts; want 2", n)
		}
	}, fault.Rule{Nth: "1", Fault: fault.Fault{Reset: fault.BeforeAnswer}})
}

func TestChat(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		got, err := p.Chat(t.Context(), whyChat)
		if err != nil || len(strings.Fields(got.Text)) != 5 || !got.Done || got.PromptTokens != 6 {
			t.Errorf("%+v, %v; want a whole answer of 5 words", got, err)
		}
		_, err = p.Chat(t.Context(), ChatRequest{Model: "llama3.2", Messages: []Message{{"baker", "why rye"}}})
		if !errors.Is(err, holdfast.ErrInvalidRequest) {
			t.Errorf("an unknown role: %v; want ErrInvalidRequest", err)
		}
	})
}

func TestAnswerThatIsNotDone(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		if got, err := p.Generate(t.Context(), why); !errors.Is(err, holdfast.ErrDecode) || got != (Reply{}) {
			t.Errorf("%+v, %v; want ErrDecode", got, err)
		}
	}, answer(`{"model":"llama3.2","response":"flour"}`))
}

// TestLimits compares with requirement B9, "Ollama Provider". An option has
// precedence.
func TestLimits(t *testing.T) {
	once := holdfast.WithNoRepeat()
	second := holdfast.WithAttemptTimeout(time.Second)
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		timesOut(t, "Embed", 90*time.Second, func() error {
			_, err := p.Embed(t.Context(), "m", []string{"rye"}, once)
			return err
		})
		generate := func(opts ...holdfast.CallOption) func() error {
			return func() error {
				_, err := p.Generate(t.Context(), why, opts...)
				return err
			}
		}
		timesOut(t, "Generate", 120*time.Second, generate(once))
		timesOut(t, "Generate with an option", time.Second, generate(once, second))
		timesOut(t, "Chat", 120*time.Second, func() error {
			_, err := p.Chat(t.Context(), whyChat, once)
			return err
		})
		timesOut(t, "Healthy", 5*time.Second, func() error { return p.Healthy(t.Context()) })
		timesOut(t, "Healthy with an option", time.Second, func() error { return p.Healthy(t.Context(), second) })

		p = New(p.client, Timeouts{LLM: 7 * time.Second, HealthCheck: 2 * time.Second})
		timesOut(t, "Generate, limited to 7 s", 7*time.Second, generate(once))
		timesOut(t, "Healthy, limited to 2 s", 2*time.Second, func() error { return p.Healthy(t.Context()) })
	}, hang)
}

func TestHealthy(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		if err := p.Healthy(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.Healthy(t.Context()); !errors.Is(err, holdfast.ErrUnavailable) {
			t.Errorf("%v; want ErrUnavailable", err)
		}
		if r := s.Record(); len(r) != 2 || r[0].Method != "GET" || r[0].Path != "/api/version" {
			t.Errorf("the server saw %+v; want two GET /api/version", r)
		}
	}, fault.Rule{Nth: "2", Fault: fault.Fault{Status: 503}})
}

// TestConfig compares with the defaults of the settings for Ollama.
func TestConfig(t *testing.T) {
	s, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := s.Ollama.Embedding()
	of := func(cfg holdfast.Config) holdfast.ClientStats {
		client, err := holdfast.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return client.Stats()
	}
	if got, want := of(Config()), of(want); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if b, want := Config().Breaker, want.Breaker; b.OpenTimeout != want.OpenTimeout || b.HalfOpenMaxCalls != want.HalfOpenMaxCalls {
		t.Errorf("got %+v, want %+v", b, want)
	}
}
