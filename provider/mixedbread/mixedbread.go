// Package mixedbread calls the embeddings API of Mixedbread through a
// [holdfast.Client], so that it holds while the service does not. It is small on
// purpose: copy it to write a provider for another service.
package mixedbread

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
)

const (
	// BaseURL is where the API is served.
	BaseURL = "https://api.mixedbread.com/v1"
	// DefaultModel gives vectors of 1024 numbers.
	DefaultModel = "mxbai-embed-large-v1"
	// MaxTexts is how many texts the API takes at once.
	MaxTexts = 256
)

// Config is what a client for this service needs. Change what should differ, a
// BaseURL for one, and give it to [holdfast.New]. The numbers are the second
// seed's ("Mixedbread Provider").
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
			Repeat:     holdfast.RepeatKeyed,  // an embedding made twice is the same one
		},
		Breaker: holdfast.BreakerConfig{
			// "Lower circuit breaker threshold (external APIs can fail more frequently)"
			FailureThreshold: 10,               // mixedbread_circuit_breaker_threshold
			OpenTimeout:      60 * time.Second, // mixedbread_circuit_breaker_timeout
			HalfOpenMaxCalls: 3,                // mixedbread_circuit_breaker_half_open_max_calls
		},
	}
}

// Provider makes embeddings. It is safe for any number of goroutines.
type Provider struct {
	client *holdfast.Client
	model  string
}

// New makes a provider of the client, which stays the caller's to close. An
// empty model means [DefaultModel].
func New(client *holdfast.Client, model string) *Provider {
	if model == "" {
		model = DefaultModel
	}
	return &Provider{client, model}
}

// Embed gives one vector for each text, in the order of the texts: up to
// [MaxTexts] in one call, more by EmbedBatch. For none at all nobody is asked.
//
// The error is the client's *holdfast.Error, or, for an answer that does not fit
// the texts, one that is [holdfast.ErrDecode].
func (p *Provider) Embed(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out, err := holdfast.Post[response](ctx, p.client, "/embeddings", request{Model: p.model, Input: texts}, opts...)
	if err != nil {
		return nil, err
	}
	return out.inOrder(len(texts))
}

// EmbedBatch is Embed for any number of texts, cut into chunks of at most
// [MaxTexts]; see [holdfast.Batch]. What was embedded is in the result even if the
// error is not nil: the error is then a *holdfast.BatchError, and the result says
// which texts are missing, and why.
//
// The options go with every chunk, holdfast.WithAttemptTimeout(90*time.Second) for
// one where chunks are large; holdfast.WithIdempotencyKey must not be among them,
// since each chunk is an operation of its own.
func (p *Provider) EmbedBatch(ctx context.Context, texts []string, batch holdfast.BatchOptions, opts ...holdfast.CallOption) (holdfast.BatchResult[[]float32], error) {
	batch.ChunkSize = min(batch.ChunkSize, MaxTexts)
	return holdfast.Batch(ctx, texts, batch, func(ctx context.Context, chunk []string) ([][]float32, error) {
		return p.Embed(ctx, chunk, opts...)
	})
}

// Healthy is nil if the service answers and accepts the key, which must be one
// that may read stores: the API has nothing lighter behind a key than a list of
// one store. It waits 5s, unless an option says otherwise, and leaves a service
// alone that the breaker knows to be down; see [holdfast.Client.Healthy].
func (p *Provider) Healthy(ctx context.Context, opts ...holdfast.CallOption) error {
	limit := holdfast.WithAttemptTimeout(5 * time.Second) // "Short timeout for health checks"
	return p.client.Healthy(ctx, "/stores?limit=1", append([]holdfast.CallOption{limit}, opts...)...)
}

// request and response are what is used of the API's format. The rest (prompt,
// dimensions, normalized, encoding_format; usage) is left at its defaults, which
// are normalized vectors of floats.
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

// inOrder puts the embeddings where their indexes say, and sees that every one
// of n texts has got one.
func (r response) inOrder(n int) ([][]float32, error) {
	if len(r.Data) != n {
		return nil, unfit("%d texts were sent, %d embeddings came back", n, len(r.Data))
	}
	vectors := make([][]float32, n)
	for _, d := range r.Data {
		switch {
		case d.Index < 0 || d.Index >= n:
			return nil, unfit("%d texts were sent, an embedding came back for text %d", n, d.Index)
		case vectors[d.Index] != nil:
			return nil, unfit("two embeddings came back for text %d", d.Index)
		case len(d.Embedding) == 0:
			return nil, unfit("an embedding without numbers came back for text %d", d.Index)
		}
		vectors[d.Index] = d.Embedding
	}
	return vectors, nil
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("mixedbread: "+format+": %w", append(args, holdfast.ErrDecode)...)
}
