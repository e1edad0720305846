// Package ollama calls an Ollama server through a [holdfast.Client]: embeddings,
// and text whole or as it is made. What it leaves out (tools, images, models to
// be pulled) is in the official client, which can be given a holdfast client's
// transport.
package ollama

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
)

// BaseURL is where Ollama listens unless it is told otherwise.
const BaseURL = "http://localhost:11434"

// Config is what a client for Ollama needs. Change what should differ, BaseURL
// for one, and give it to [holdfast.New]. The numbers are the second seed's
// ("Ollama Provider"); the limit of an attempt is that of embedding.
func Config() holdfast.Config {
	return holdfast.Config{
		Name:    "ollama",
		BaseURL: BaseURL,
		Timeouts: holdfast.Timeouts{
			// "Higher timeout for embeddings (large batches take longer)"
			Attempt: 90 * time.Second, // ollama_embedding_timeout
		},
		Retry: holdfast.Retry{
			MaxRetries: 3,                     // ollama_max_retries
			BaseDelay:  time.Second,           // ollama_retry_base_delay
			MaxDelay:   10 * time.Second,      // ollama_retry_max_delay
			Jitter:     holdfast.Proportional, // "±50% random variance"
			Repeat:     holdfast.RepeatKeyed,  // an answer made twice costs time, and does no harm
		},
		Breaker: holdfast.BreakerConfig{
			// "Higher circuit breaker threshold (local service can handle burst failures)"
			FailureThreshold: 15,               // ollama_circuit_breaker_threshold
			OpenTimeout:      60 * time.Second, // ollama_circuit_breaker_timeout
			HalfOpenMaxCalls: 3,                // ollama_circuit_breaker_half_open_max_calls
		},
	}
}

// Timeouts are the limits of one attempt where it is not the client's own, which
// is for embedding. They may be [holdfast.Off]; an option of the call wins.
type Timeouts struct {
	// LLM is for Generate and Chat. In a stream it is the longest silence: before
	// the first piece, and then between two. Default 120s (second seed,
	// ollama_llm_timeout).
	LLM time.Duration
	// HealthCheck is for Healthy. Default 5s: "no point waiting long for unhealthy
	// local service" (ollama_health_check_timeout).
	HealthCheck time.Duration
}

// Provider asks one Ollama server. It is safe for any number of goroutines.
type Provider struct {
	client      *holdfast.Client
	llm, health holdfast.CallOption
}

// New makes a provider of the client, which stays the caller's to close.
func New(client *holdfast.Client, timeouts Timeouts) *Provider {
	if timeouts.LLM == 0 {
		timeouts.LLM = 120 * time.Second
	}
	if timeouts.HealthCheck == 0 {
		timeouts.HealthCheck = 5 * time.Second
	}
	return &Provider{client, holdfast.WithAttemptTimeout(timeouts.LLM), holdfast.WithAttemptTimeout(timeouts.HealthCheck)}
}

// first puts an option before the caller's, which so win.
func first(own holdfast.CallOption, opts []holdfast.CallOption) []holdfast.CallOption {
	return append([]holdfast.CallOption{own}, opts...)
}

// Embed gives one vector for each text, in the order of the texts; for many, call
// it from [holdfast.Batch]. For none at all nobody is asked.
//
// The error is the client's *holdfast.Error, or, for an answer that does not fit
// the texts, one that is [holdfast.ErrDecode].
func (p *Provider) Embed(ctx context.Context, model string, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	in := struct {
		Model string   `json:"model"`
		Input []string `json:"input"`
	}{model, texts}
	type answer struct {
		Embeddings [][]float32 `json:"embeddings"`
	}
	out, err := holdfast.Post[answer](ctx, p.client, "/api/embed", in, opts...)
	if err != nil {
		return nil, err
	}
	if len(out.Embeddings) != len(texts) {
		return nil, unfit("%d texts were sent, %d embeddings came back", len(texts), len(out.Embeddings))
	}
	for i, vector := range out.Embeddings {
		if len(vector) == 0 {
			return nil, unfit("an embedding without numbers came back for text %d", i)
		}
	}
	return out.Embeddings, nil
}

// Healthy is nil if the server answers. It leaves a server alone that the breaker
// knows to be down; see [holdfast.Client.Healthy].
func (p *Provider) Healthy(ctx context.Context, opts ...holdfast.CallOption) error {
	return p.client.Healthy(ctx, "/api/version", first(p.health, opts)...)
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("ollama: "+format+": %w", append(args, holdfast.ErrDecode)...)
}
