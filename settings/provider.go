package settings

import (
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// Service is a service with its credentials.
type Service struct {
	// Name is the provider's key in the file, and the client's name.
	Name string
	// APIKey is sent as "Authorization: Bearer" and the key. Default: none is sent.
	APIKey Secret
	// Header is sent with every request. Its values are treated as credentials.
	Header map[string]Secret
	// Model is the model to ask for. Default: none.
	Model string

	config holdfast.Config // without credentials
}

// configured is the client's configuration, with the credentials.
func (s Service) configured() holdfast.Config {
	c := s.config
	c.Name = s.Name
	if s.APIKey.Set() || len(s.Header) > 0 {
		c.Header = http.Header{}
	}
	for name, value := range s.Header {
		c.Header[name] = []string{value.Reveal()}
	}
	if s.APIKey.Set() {
		c.Header.Set("Authorization", "Bearer "+s.APIKey.Reveal())
	}
	return c
}

// Provider is a service with one timeout for all requests.
type Provider struct {
	Service
	// Kind is the API of the service, KindOpenAI or empty. Default: empty, for no API that
	// holdfast knows.
	Kind string
}

// KindOpenAI is the Provider.Kind of a service with the embeddings API of OpenAI: POST
// /embeddings below its BaseURL.
const KindOpenAI = "openai"

// Config is the client's configuration. It holds the credentials in plain text,
// since the client sends them.
func (p Provider) Config() holdfast.Config { return p.configured() }

// Ollama is a service with a timeout for each kind of request.
//
// For one client that shares its connections and its breaker among all requests,
// give [holdfast.New] the configuration of Embedding, and make the other calls with
// [holdfast.WithAttemptTimeout].
type Ollama struct {
	Service
	// EmbeddingTimeout bounds one attempt to embed. Default 90s, since large batches
	// take long.
	EmbeddingTimeout time.Duration
	// LLMTimeout bounds one attempt to generate text. Default 120s.
	LLMTimeout time.Duration
	// HealthCheckTimeout bounds a health check. Default 5s, since a healthy service on
	// this machine answers fast.
	HealthCheckTimeout time.Duration
}

// Embedding is the client's configuration for embeddings. It holds the credentials
// in plain text.
func (o Ollama) Embedding() holdfast.Config { return o.within(o.EmbeddingTimeout) }

// LLM is the client's configuration for generating text. It holds the credentials
// in plain text.
func (o Ollama) LLM() holdfast.Config { return o.within(o.LLMTimeout) }

// HealthCheck is the client's configuration for health checks, which make a single
// attempt. It holds the credentials in plain text.
func (o Ollama) HealthCheck() holdfast.Config {
	c := o.within(o.HealthCheckTimeout)
	c.Retry.MaxRetries = holdfast.Off
	return c
}

func (o Ollama) within(attempt time.Duration) holdfast.Config {
	c := o.configured()
	c.Timeouts.Attempt = attempt
	return c
}

// ollamaTable has the settings that Ollama has in the place of timeouts.attempt.
var ollamaTable = []setting.Setting[Ollama]{
	setting.Of[Ollama, time.Duration]{
		Row: setting.Row{Key: "timeouts.embedding", Env: "EMBEDDING_TIMEOUT", Off: setting.Always,
			Source: "B8", Doc: "one attempt to embed; large batches take long"},
		At:      func(o *Ollama) *time.Duration { return &o.EmbeddingTimeout },
		Default: 90 * time.Second,
	},
	setting.Of[Ollama, time.Duration]{
		Row: setting.Row{Key: "timeouts.llm", Env: "LLM_TIMEOUT", Off: setting.Always,
			Source: "B8", Doc: "one attempt to generate text"},
		At:      func(o *Ollama) *time.Duration { return &o.LLMTimeout },
		Default: 120 * time.Second,
	},
	setting.Of[Ollama, time.Duration]{
		Row: setting.Row{Key: "timeouts.health_check", Env: "HEALTH_CHECK_TIMEOUT", Off: setting.Always,
			Source: "B8", Doc: "a health check"},
		At:      func(o *Ollama) *time.Duration { return &o.HealthCheckTimeout },
		Default: 5 * time.Second,
	},
}

// preset is what a provider of that name has in the place of defaults: those of
// provider/mixedbread and provider/ollama (requirement B8), or nothing.
func preset(name string) holdfast.Config {
	switch name {
	case mixedbreadName:
		return holdfast.Config{
			Name: name, BaseURL: "https://api.mixedbread.com/v1",
			Retry:   holdfast.Retry{Jitter: holdfast.Proportional},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 10},
		}
	case ollamaName:
		return holdfast.Config{
			Name: name, BaseURL: "http://localhost:11434",
			Retry: holdfast.Retry{Jitter: holdfast.Proportional},
		}
	}
	return holdfast.Config{Name: name}
}

// The providers that are there without a file.
const (
	mixedbreadName = "mixedbread"
	ollamaName     = "ollama"
)
