package provider

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// anthropic has messages, whole or as a stream, the count of tokens, and a list of
// models.
var anthropic = &API{
	report: reportAnthropic,
	limits: anthropicLimits,
	usual: func(body []byte) Limits {
		return Limits{full(4_000, 1, time.Minute), full(2_000_000, len(body)/4, time.Minute)}
	},
	id:    "request-id",
	event: func(v any) []byte { return encoded("event: error\ndata: ", v, "\n\n") },
	ping:  comment("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
	lead:  1, // message_start
}

type anthropicError struct {
	Type  string `json:"type"` // "error"
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id,omitempty"`
}

// anthropicTypes are the types of the documented statuses.
var anthropicTypes = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
	404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
	500: "api_error", 504: "timeout_error", 529: "overloaded_error",
}

func reportAnthropic(e Error) report {
	status, message := e.Status, ""
	var header http.Header
	own := func(usual int, m string) {
		if status == 0 {
			status = usual
		}
		message = m
	}
	switch {
	case e.Kind == Quota:
		own(400, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.")
	case e.Kind == RateLimit, e.Kind == "" && status == 429:
		own(429, "This request would exceed your organization's rate limit of requests per minute.")
	case e.Kind == Overloaded, e.Kind == "" && status == 529:
		own(529, "Overloaded")
	case e.Kind == Server, e.Kind == "" && status == 500:
		own(500, "Internal server error")
	default:
		own(400, textOf(status))
	}
	if e.Kind != "" {
		header = e.retryAfter()
	}
	out := anthropicError{Type: "error", RequestID: e.ID}
	out.Error.Message = e.message(message)
	out.Error.Type = anthropicTypes[status]
	switch {
	case out.Error.Type != "":
	case status >= 500:
		out.Error.Type = "api_error"
	default:
		out.Error.Type = "invalid_request_error"
	}
	return report{status: status, header: header, body: out}
}

func serveAnthropic(r Request) Answer {
	switch {
	case strings.HasSuffix(r.Path, "/models") && r.Method == http.MethodGet:
		return jsonAnswer(http.StatusOK, "", map[string]any{
			"data":     []any{map[string]any{"type": "model", "id": "claude-sonnet-4-5", "display_name": "Claude Sonnet 4.5", "created_at": "2026-01-02T03:04:05Z"}},
			"first_id": "claude-sonnet-4-5", "last_id": "claude-sonnet-4-5", "has_more": false,
		})
	case strings.HasSuffix(r.Path, "/messages") && r.Method == http.MethodPost:
		return anthropicMessages(r.Body, false)
	case strings.HasSuffix(r.Path, "/messages/count_tokens") && r.Method == http.MethodPost:
		return anthropicMessages(r.Body, true)
	}
	return anthropic.refuse(http.StatusNotFound, "Not found")
}

type anthropicMessage struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"` // "message"
	Role         string         `json:"role"` // "assistant"
	Model        string         `json:"model"`
	Content      []any          `json:"content"`
	StopReason   *string        `json:"stop_reason"`
	StopSequence *string        `json:"stop_sequence"`
	Usage        anthropicUsage `json:"usage"`
}

type anthropicText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type anthropicUsage struct {
	Input  int `json:"input_tokens"`
	Output int `json:"output_tokens"`
}

func anthropicMessages(body []byte, count bool) Answer {
	var in struct {
		Model     string            `json:"model"`
		Messages  []json.RawMessage `json:"messages"`
		System    json.RawMessage   `json:"system"`
		MaxTokens *int              `json:"max_tokens"`
		Stream    bool              `json:"stream"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return anthropic.refuse(http.StatusBadRequest, "The request body is not valid JSON: %s", err)
	}
	switch {
	case in.Model == "":
		return anthropic.refuse(http.StatusBadRequest, "model: Field required")
	case in.Messages == nil:
		return anthropic.refuse(http.StatusBadRequest, "messages: Field required")
	case len(in.Messages) == 0:
		return anthropic.refuse(http.StatusBadRequest, "messages: at least one message is required")
	}
	prompt := string(in.System) + "\n" + joined(in.Messages)
	if count {
		return jsonAnswer(http.StatusOK, "", map[string]int{"input_tokens": tokens(prompt)})
	}
	if in.MaxTokens == nil {
		return anthropic.refuse(http.StatusBadRequest, "max_tokens: Field required")
	}
	n, cut := limited(in.MaxTokens)
	stop := "end_turn"
	if cut {
		stop = "max_tokens"
	}
	words := answerTo(in.Model, prompt, n)
	work := WorkOf(prompt)
	out := anthropicMessage{ID: "msg_" + work, Type: "message", Role: "assistant", Model: in.Model, Content: []any{}, Usage: anthropicUsage{tokens(prompt), n}}
	if !in.Stream {
		out.Content = append(out.Content, anthropicText{"text", strings.Join(words, "")})
		out.StopReason = &stop
		return jsonAnswer(http.StatusOK, work, out)
	}
	var all [][]byte
	event := func(name string, v map[string]any) {
		data := `{"type":"` + name + `"`
		if rest := jsonAnswer(0, "", v).Body[1:]; len(v) > 0 {
			data += "," + string(rest)
		} else {
			data += "}"
		}
		all = append(all, []byte("event: "+name+"\ndata: "+data+"\n\n"))
	}
	out.Usage.Output = 1
	event("message_start", map[string]any{"message": out})
	event("content_block_start", map[string]any{"index": 0, "content_block": anthropicText{"text", ""}})
	event("ping", map[string]any{})
	for _, word := range words {
		event("content_block_delta", map[string]any{"index": 0, "delta": anthropicText{"text_delta", word}})
	}
	event("content_block_stop", map[string]any{"index": 0})
	event("message_delta", map[string]any{"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil}, "usage": map[string]int{"output_tokens": n}})
	event("message_stop", map[string]any{})
	return stream("text/event-stream; charset=utf-8", work, all...)
}
