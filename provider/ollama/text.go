package ollama

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast"
)

// GenerateRequest asks a model to go on from a prompt.
type GenerateRequest struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// System replaces the model's own system message, if it is not empty.
	System string `json:"system,omitempty"`
	// Options are the model's, "temperature" and "num_predict" for two.
	Options map[string]any `json:"options,omitempty"`
}

// ChatRequest asks a model for the next message of a conversation.
type ChatRequest struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	// Options are the model's, "temperature" and "num_predict" for two.
	Options map[string]any `json:"options,omitempty"`
}

// Message is one of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
}

// Reply is a model's answer, or one piece of it where it is streamed.
type Reply struct {
	Model string
	Text  string
	// Done is true of a whole answer, and of the last piece, which seldom has text.
	// What follows is known of no other.
	Done   bool
	Reason string // why it ended: "stop", "length" for one that was cut short by num_predict
	// PromptTokens and Tokens are what was read and written.
	PromptTokens, Tokens int
	// Took is how long the server was at it.
	Took time.Duration
}

// Generate asks for text and waits for the whole of it.
func (p *Provider) Generate(ctx context.Context, in GenerateRequest, opts ...holdfast.CallOption) (Reply, error) {
	return p.whole(ctx, "/api/generate", generation{in, false}, opts)
}

// Chat asks for the conversation's next message and waits for the whole of it.
func (p *Provider) Chat(ctx context.Context, in ChatRequest, opts ...holdfast.CallOption) (Reply, error) {
	return p.whole(ctx, "/api/chat", conversation{in, false}, opts)
}

// generation and conversation say the one thing that a request leaves to the
// method it is given to.
type generation struct {
	GenerateRequest
	Stream bool `json:"stream"`
}

type conversation struct {
	ChatRequest
	Stream bool `json:"stream"`
}

func (p *Provider) whole(ctx context.Context, path string, in any, opts []holdfast.CallOption) (Reply, error) {
	out, err := holdfast.Post[line](ctx, p.client, path, in, first(p.llm, opts)...)
	if err != nil {
		return Reply{}, err
	}
	if !out.Done {
		return Reply{}, unfit("the answer is not marked as done")
	}
	return out.reply(), nil
}

// line is what is used of an answer's format: of generate, with a response, and
// of chat, with a message.
type line struct {
	Model      string  `json:"model"`
	Response   string  `json:"response"`
	Message    Message `json:"message"`
	Done       bool    `json:"done"`
	DoneReason string  `json:"done_reason"`
	Error      string  `json:"error"` // in a stream, instead of all else

	TotalDuration   time.Duration `json:"total_duration"` // nanoseconds
	PromptEvalCount int           `json:"prompt_eval_count"`
	EvalCount       int           `json:"eval_count"`
}

func (l *line) reply() Reply {
	return Reply{
		Model: l.Model, Text: l.Response + l.Message.Content, Done: l.Done, Reason: l.DoneReason,
		PromptTokens: l.PromptEvalCount, Tokens: l.EvalCount, Took: l.TotalDuration,
	}
}
