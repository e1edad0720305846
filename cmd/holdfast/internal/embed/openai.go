package embed

import (
	"context"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// openAI calls the embeddings API of OpenAI, which many services have: POST /embeddings.
type openAI struct {
	client *holdfast.Client
	model  string
}

func (o *openAI) embed(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error) {
	in := struct {
		Model string   `json:"model"`
		Input []string `json:"input"`
	}{o.model, texts}
	out, err := holdfast.Post[openAIAnswer](ctx, o.client, "/embeddings", in, opts...)
	if err != nil {
		return nil, err
	}
	return out.inOrder(len(texts))
}

// openAIAnswer is an answer. Its embeddings can have any order.
type openAIAnswer struct {
	Data []struct {
		Embedding []float32 `json:"embedding"`
		Index     *int      `json:"index"` // left out by some services that keep the order
	} `json:"data"`
}

// inOrder is the embeddings of n texts, by their index.
func (a openAIAnswer) inOrder(n int) ([][]float32, error) {
	if len(a.Data) != n {
		return nil, contentErrorf("%s were sent, %s came back", format.Plural(n, "text"), format.Plural(len(a.Data), "embedding"))
	}
	vectors := make([][]float32, n)
	for i, d := range a.Data {
		if d.Index != nil {
			i = *d.Index
		}
		switch {
		case i < 0 || i >= n:
			return nil, contentErrorf("an embedding came back for text %d of %d", i+1, n)
		case vectors[i] != nil:
			return nil, contentErrorf("two embeddings came back for text %d of %d", i+1, n)
		case len(d.Embedding) == 0:
			return nil, contentErrorf("an embedding without numbers came back for text %d of %d", i+1, n)
		}
		vectors[i] = d.Embedding
	}
	return vectors, nil
}
