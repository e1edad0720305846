// Package ollama calls an Ollama server through a [holdfast.Client]: embeddings
// and text, complete or as a stream. For other functions (tools, images, model
// downloads) use the official client with the transport of a holdfast client.
package ollama

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

// BaseURL is Ollama's default URL.
const BaseURL = "http://localhost:11434"

// Config returns the config of a client for Ollama. Change it as needed, for
// example BaseURL, and pass it to [holdfast.New]. The numbers and their names
// are those of requirement B9 (docs/requirements.md). The attempt timeout is
// that of embeddings.
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
			Repeat:     holdfast.RepeatKeyed,  // a repeated request costs time but does no harm
		},
		Breaker: holdfast.BreakerConfig{
			// "Higher circuit breaker threshold (local service can handle burst failures)"
			FailureThreshold: 15,               // ollama_circuit_breaker_threshold
			OpenTimeout:      60 * time.Second, // ollama_circuit_breaker_timeout
			HalfOpenMaxCalls: 3,                // ollama_circuit_breaker_half_open_max_calls
		},
	}
}

// Timeouts bound one attempt of every call but Embed, which has the limit of the
// client. Each may be [holdfast.Off]. An option of a call has precedence.
type Timeouts struct {
	// LLM applies to Generate and Chat. In a stream it bounds the time without
	// bytes: before the first piece and between two pieces. Default 120s
	// (ollama_llm_timeout).
	LLM time.Duration
	// HealthCheck applies to Healthy. Default 5s: "no point waiting long for
	// unhealthy local service" (ollama_health_check_timeout).
	HealthCheck time.Duration
}

// Provider calls one Ollama server. It is safe for concurrent use.
type Provider struct {
	client      *holdfast.Client
	llm, health holdfast.CallOption
}

// New returns a provider that uses the client. The caller closes the client.
func New(client *holdfast.Client, timeouts Timeouts) *Provider {
	if timeouts.LLM == 0 {
		timeouts.LLM = 120 * time.Second
	}
	if timeouts.HealthCheck == 0 {
		timeouts.HealthCheck = 5 * time.Second
	}
	return &Provider{client, holdfast.WithAttemptTimeout(timeouts.LLM), holdfast.WithAttemptTimeout(timeouts.HealthCheck)}
}

// failures finds Ollama's errors, which are often within a 200.
var failures = holdfast.WithClassify(dialect.Ollama.Classify)

// first puts own options before the caller's, which have precedence.
func first(opts []holdfast.CallOption, own ...holdfast.CallOption) []holdfast.CallOption {
	return append(own, opts...)
}

// Embed returns one vector for each text, in the order of the texts. For many
// texts use [holdfast.Batch]. Without texts it makes no call.
//
// The error is a *holdfast.Error. It is [holdfast.ErrDecode] if the answer does not
// match the texts.
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
	resp, err := p.client.Post(ctx, "/api/embed", in, first(opts, failures)...)
	if err != nil {
		return nil, err
	}
	var out answer
	if err := resp.Decode(&out); err != nil {
		return nil, err
	}
	if len(out.Embeddings) != len(texts) {
		return nil, unusable(resp, "%d texts were sent, %d embeddings came back", len(texts), len(out.Embeddings))
	}
	for i, vector := range out.Embeddings {
		if len(vector) == 0 {
			return nil, unusable(resp, "an embedding without numbers came back for text %d", i)
		}
	}
	return out.Embeddings, nil
}

// Healthy returns nil if the server answers. With an open breaker it sends
// nothing; see [holdfast.Client.Healthy].
func (p *Provider) Healthy(ctx context.Context, opts ...holdfast.CallOption) error {
	return p.client.Healthy(ctx, "/api/version", first(opts, p.health)...)
}

func unusable(resp *holdfast.Response, format string, args ...any) error {
	return resp.Unusable(fmt.Errorf(format, args...))
}
