package ollama

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// maxKept bounds the text that an IncompleteError keeps: some fifty thousand words,
// so that it is a server without an end that is cut short, and no answer.
const maxKept = 256 << 10

// GenerateStream is Generate that hands on each piece of the answer as it is made;
// see ChatStream.
func (p *Provider) GenerateStream(ctx context.Context, in GenerateRequest, opts ...holdfast.CallOption) iter.Seq2[Reply, error] {
	return p.pieces(ctx, "/api/generate", generation{in, true}, opts)
}

// ChatStream is Chat that hands on each piece of the message as it is made. The
// last piece is Done and has what is known of the whole. Leaving the loop ends the
// call; to range over it again asks again.
//
// Until the first piece, a call that fails is repeated as any other, and the error
// is the client's *holdfast.Error. Afterwards nothing is repeated: an answer that
// breaks off, and one that ends without being done, yields an *[IncompleteError]
// last, which keeps the text.
func (p *Provider) ChatStream(ctx context.Context, in ChatRequest, opts ...holdfast.CallOption) iter.Seq2[Reply, error] {
	return p.pieces(ctx, "/api/chat", conversation{in, true}, opts)
}

// IncompleteError is a streamed answer that did not come to its end.
type IncompleteError struct {
	// Text is what the model had said, the pieces put together: the first 256 KiB.
	Text string
	// Err is why there is no more: the client's *holdfast.Error; or one that is
	// [holdfast.ErrConnection], for an answer that ended without being done; or
	// [holdfast.ErrServer], if the server said what went wrong in the middle of it.
	Err error
}

// Error says how far the answer had come, and why no further. The text stays out
// of it.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("ollama: the answer broke off after %d bytes of text: %v", len(e.Text), e.Err)
}

// Unwrap gives the cause.
func (e *IncompleteError) Unwrap() error { return e.Err }

func (p *Provider) pieces(ctx context.Context, path string, in any, opts []holdfast.CallOption) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		stream, err := p.client.Stream(ctx, http.MethodPost, path, in, first(p.llm, opts)...)
		if err != nil {
			yield(Reply{}, err)
			return
		}
		var said strings.Builder
		isDone := false
		for l, err := range holdfast.DecodeLines[line](stream) {
			if isDone {
				return // the answer is whole, whatever follows it
			}
			if err == nil && l.Error != "" {
				err = fmt.Errorf("the server said %.500q: %w", l.Error, holdfast.ErrServer)
			}
			if err != nil {
				yield(Reply{}, &IncompleteError{said.String(), err})
				return
			}
			piece := l.reply()
			said.WriteString(piece.Text[:min(len(piece.Text), maxKept-said.Len())])
			if isDone = piece.Done; !yield(piece, nil) {
				return
			}
		}
		if !isDone {
			yield(Reply{}, &IncompleteError{said.String(), errNotDone})
		}
	}
}

var errNotDone = fmt.Errorf("the answer is not marked as done: %w: %w", holdfast.ErrConnection, io.ErrUnexpectedEOF)
