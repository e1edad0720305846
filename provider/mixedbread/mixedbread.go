// Package mixedbread calls the embeddings API of Mixedbread through a
// [holdfast.Client]. It is a small template for a provider of another service.
package mixedbread

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
)

const (
	// BaseURL is the URL of the API.
	BaseURL = "https://api.mixedbread.com/v1"
	// DefaultModel returns vectors of 1024 numbers.
	DefaultModel = "mxbai-embed-large-v1"
	// MaxTexts is the API's limit of texts in one request.
	MaxTexts = 256
)

// Config returns the config of a client for this service. Change it as needed,
// for example BaseURL, and pass it to [holdfast.New]. The numbers and their
// names are those of requirement B9 (docs/requirements.md).
func Config(key string) holdfast.Config {
	return holdfast.Config{
		Name:     "mixedbread",
		BaseURL:  BaseURL,
		Header:   http.Header{"Authorization": {"Bearer " + key}},
		Timeouts: holdfast.Timeouts{Attempt: 60 * time.Second}, // mixedbread_timeout
		Retry: holdfast.Retry{
			MaxRetries: 3,                     // mixedbread_max_retries
			BaseDelay:  time.Second,           // mixedbread_retry_base_delay
			MaxDelay:   10 * time.Second,      // mixedbread_retry_max_delay
			Jitter:     holdfast.Proportional, // "±50% random variance"
			Repeat:     holdfast.RepeatKeyed,  // a repeated request returns the same embedding
		},
		Breaker: holdfast.BreakerConfig{
			// "Lower circuit breaker threshold (external APIs can fail more frequently)"
			FailureThreshold: 10,               // mixedbread_circuit_breaker_threshold
			OpenTimeout:      60 * time.Second, // mixedbread_circuit_breaker_timeout
			HalfOpenMaxCalls: 3,                // mixedbread_circuit_breaker_half_open_max_calls
		},
	}
}

// Provider makes embeddings. It is safe for concurrent use.
type Provider struct {
	client *holdfast.Client
	model  string
}

// New returns a provider that uses the client. The caller closes the client. An
// empty model means [DefaultModel].
func New(client *holdfast.Client, model string) *Provider {
	if model == "" {
		model = DefaultModel
	}
	return &Provider{client, model}
}

// Embed returns one vector for each text, in the order of the texts: up to
// [MaxTexts] in one call. EmbedBatch takes more. Without texts it makes no call.
//
// The error is a *holdfast.Error. It is [holdfast.ErrDecode] if the answer does not
// match the texts.
func (p *Provider) Embed(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	answer, err := p.client.Post(ctx, "/embeddings", request{Model: p.model, Input: texts}, opts...)
	if err != nil {
		return nil, err
	}
	var out response
	if err := answer.Decode(&out); err != nil {
		return nil, err
	}
	vectors, err := out.inOrder(len(texts))
	if err != nil {
		return nil, answer.Unusable(err)
	}
	return vectors, nil
}

// EmbedBatch is Embed for any number of texts, in chunks of at most [MaxTexts]; see
// [holdfast.Batch]. If some chunks fail, the error is a *holdfast.BatchError, and
// the result has all other vectors and the missing texts with their errors.
//
// The options apply to every chunk, for example
// holdfast.WithAttemptTimeout(90*time.Second) for large chunks.
// holdfast.WithIdempotencyKey is not allowed, since each chunk is a separate
// operation.
func (p *Provider) EmbedBatch(ctx context.Context, texts []string, batch holdfast.BatchOptions, opts ...holdfast.CallOption) (holdfast.BatchResult[[]float32], error) {
	batch.ChunkSize = min(batch.ChunkSize, MaxTexts)
	return holdfast.Batch(ctx, texts, batch, func(ctx context.Context, chunk []string) ([][]float32, error) {
		return p.Embed(ctx, chunk, opts...)
	})
}

// Healthy returns nil if the service answers and accepts the key. The key must
// permit reading stores: a list of one store is the API's cheapest call with a
// key. The timeout is 5s, unless an option sets another. With an open breaker
// it sends nothing; see [holdfast.Client.Healthy].
func (p *Provider) Healthy(ctx context.Context, opts ...holdfast.CallOption) error {
	limit := holdfast.WithAttemptTimeout(5 * time.Second) // "Short timeout for health checks"
	return p.client.Healthy(ctx, "/stores?limit=1", append([]holdfast.CallOption{limit}, opts...)...)
}

// request and response are the used part of the API's format. The other fields
// (prompt, dimensions, normalized, encoding_format; usage) have their defaults:
// normalized vectors of floats.
type request struct {
	Model string   `json:"model"`
	Input []string `json:"input"`
}

type response struct {
	Data []struct {
		Embedding []float32 `json:"embedding"`
		Index     int       `json:"index"`
	} `json:"data"`
}

// inOrder sorts the embeddings by index and checks that each of n texts has one.
func (r response) inOrder(n int) ([][]float32, error) {
	if len(r.Data) != n {
		return nil, fmt.Errorf("%d texts were sent, %d embeddings came back", n, len(r.Data))
	}
	vectors := make([][]float32, n)
	for _, d := range r.Data {
		switch {
		case d.Index < 0 || d.Index >= n:
			return nil, fmt.Errorf("%d texts were sent, an embedding came back for text %d", n, d.Index)
		case vectors[d.Index] != nil:
			return nil, fmt.Errorf("two embeddings came back for text %d", d.Index)
		case len(d.Embedding) == 0:
			return nil, fmt.Errorf("an embedding without numbers came back for text %d", d.Index)
		}
		vectors[d.Index] = d.Embedding
	}
	return vectors, nil
}
