package ollama

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast"
)

// GenerateRequest asks a model to continue a prompt.
type GenerateRequest struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// System replaces the model's system message. Empty keeps it.
	System string `json:"system,omitempty"`
	// Options are the model's options, such as "temperature" and "num_predict".
	Options map[string]any `json:"options,omitempty"`
}

// ChatRequest asks a model for the next message of a conversation.
type ChatRequest struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	// Options are the model's options, such as "temperature" and "num_predict".
	Options map[string]any `json:"options,omitempty"`
}

// Message is one message of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
}

// Reply is a model's answer, or one piece of a stream.
type Reply struct {
	Model string
	Text  string
	// Done is true for a complete answer and for the last piece of a stream,
	// which rarely has text. The fields below are set only with Done.
	Done   bool
	Reason string // the reason of the end: "stop", or "length" if num_predict was reached
	// PromptTokens and Tokens are the numbers of tokens read and written.
	PromptTokens, Tokens int
	// Took is the server's total duration.
	Took time.Duration
}

// Generate returns the complete text of an answer.
func (p *Provider) Generate(ctx context.Context, in GenerateRequest, opts ...holdfast.CallOption) (Reply, error) {
	return p.whole(ctx, "/api/generate", generation{in, false}, opts)
}

// Chat returns the conversation's next message, complete.
func (p *Provider) Chat(ctx context.Context, in ChatRequest, opts ...holdfast.CallOption) (Reply, error) {
	return p.whole(ctx, "/api/chat", conversation{in, false}, opts)
}

// generation and conversation add the field that selects a stream.
type generation struct {
	GenerateRequest
	Stream bool `json:"stream"`
}

type conversation struct {
	ChatRequest
	Stream bool `json:"stream"`
}

func (p *Provider) whole(ctx context.Context, path string, in any, opts []holdfast.CallOption) (Reply, error) {
	resp, err := p.client.Post(ctx, path, in, first(opts, p.llm, failures)...)
	if err != nil {
		return Reply{}, err
	}
	var out line
	if err := resp.Decode(&out); err != nil {
		return Reply{}, err
	}
	if !out.Done {
		return Reply{}, unusable(resp, "the answer is not marked as done")
	}
	return out.reply(), nil
}

// line is the used part of an answer's format. generate sets Response, chat
// sets Message.
type line struct {
	Model      string  `json:"model"`
	Response   string  `json:"response"`
	Message    Message `json:"message"`
	Done       bool    `json:"done"`
	DoneReason string  `json:"done_reason"`

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
