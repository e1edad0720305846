package ollama

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

// maxKept limits the text of an IncompleteError. It is about fifty thousand
// words, more than an answer has.
const maxKept = 256 << 10

// GenerateStream is Generate as a stream; see ChatStream.
func (p *Provider) GenerateStream(ctx context.Context, in GenerateRequest, opts ...holdfast.CallOption) iter.Seq2[Reply, error] {
	return p.pieces(ctx, "/api/generate", generation{in, true}, opts)
}

// ChatStream is Chat as a stream: it yields each piece of the message as it
// arrives. The last piece is Done and has the totals. Leaving the loop ends the
// call; another range makes another call.
//
// Before the first piece, a failed call is repeated like any other, also if the
// first line is an error, and the error is the client's *holdfast.Error. After it, nothing is repeated: if the
// answer breaks off or ends without Done, the last error is an
// *[IncompleteError] with the text so far.
func (p *Provider) ChatStream(ctx context.Context, in ChatRequest, opts ...holdfast.CallOption) iter.Seq2[Reply, error] {
	return p.pieces(ctx, "/api/chat", conversation{in, true}, opts)
}

// IncompleteError is a streamed answer that broke off.
type IncompleteError struct {
	// Text is the text so far, at most its first 256 KiB.
	Text string
	// Err is the cause, an *holdfast.Error: of [holdfast.ErrConnection] for an
	// answer that ended without Done, and with a [holdfast.StatusError] for an
	// error that the server sent in the stream.
	Err error
}

// Error returns the length of the text and the cause, without the text.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("ollama: the answer broke off after %d bytes of text: %v", len(e.Text), e.Err)
}

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Err }

func (p *Provider) pieces(ctx context.Context, path string, in any, opts []holdfast.CallOption) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		stream, err := p.client.Stream(ctx, http.MethodPost, path, in, first(opts, p.llm, failures)...)
		if err != nil {
			yield(Reply{}, err)
			return
		}
		stream.EndsWith(dialect.Ollama.Ends)
		var said strings.Builder
		for l, err := range holdfast.DecodeLines[line](stream) {
			if err != nil {
				yield(Reply{}, &IncompleteError{said.String(), err})
				return
			}
			piece := l.reply()
			said.WriteString(piece.Text[:min(len(piece.Text), maxKept-said.Len())])
			if !yield(piece, nil) {
				return
			}
		}
	}
}
