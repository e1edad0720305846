package provider

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
)

// Limits of vectors.
const (
	maxDimensions     = 4096 // numbers in a vector
	defaultDimensions = 8    // a real model has 1024; small is cheap
)

// Mixedbread is faultserver.Embeddings.
func Mixedbread(r Request) Answer {
	switch {
	case strings.HasSuffix(r.Path, "/stores") && r.Method == http.MethodGet:
		return noStores
	case !strings.HasSuffix(r.Path, "/embeddings"):
		return refusal(http.StatusNotFound, "not found")
	case r.Method != http.MethodPost:
		return refusal(http.StatusMethodNotAllowed, "method not allowed")
	}
	var in embeddingsRequest
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return refusal(http.StatusUnprocessableEntity, err.Error())
	}
	if problem := in.problem(); problem != "" {
		return refusal(http.StatusUnprocessableEntity, problem)
	}
	return jsonAnswer(http.StatusOK, WorkOf(in.Input...), in.answer())
}

// noStores is an empty page of a list.
var noStores = jsonAnswer(http.StatusOK, "", map[string]any{
	"data":       []any{},
	"object":     "list",
	"pagination": map[string]any{"has_more": false, "first_cursor": nil, "last_cursor": nil, "total": 0},
})

func refusal(status int, detail string) Answer {
	return jsonAnswer(status, "", map[string]string{"detail": detail})
}

type embeddingsRequest struct {
	Model          string    `json:"model"`
	Input          oneOrMany `json:"input"`
	Dimensions     *int      `json:"dimensions"`
	Prompt         string    `json:"prompt"`
	Normalized     *bool     `json:"normalized"` // default true
	EncodingFormat *string   `json:"encoding_format"`
}

type embeddingsResponse struct {
	Usage          usage       `json:"usage"`
	Model          string      `json:"model"`
	Data           []embedding `json:"data"`
	Object         string      `json:"object"` // "list"
	Normalized     bool        `json:"normalized"`
	EncodingFormat string      `json:"encoding_format"` // "float"
	Dimensions     int         `json:"dimensions"`
}

type usage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

type embedding struct {
	Embedding []float32 `json:"embedding"`
	Index     int       `json:"index"`
	Object    string    `json:"object"` // "embedding"
}

// oneOrMany decodes a string as a list of one.
type oneOrMany []string

func (m *oneOrMany) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*m = make(oneOrMany, 1)
		return json.Unmarshal(data, &(*m)[0])
	}
	return json.Unmarshal(data, (*[]string)(m))
}

func (in *embeddingsRequest) problem() string {
	switch {
	case in.Model == "":
		return "model: field required"
	case len(in.Input) == 0:
		return "input: field required"
	case len(in.Input) > maxInputs:
		return fmt.Sprintf("input: %d texts, at most %d are allowed", len(in.Input), maxInputs)
	case in.Dimensions != nil && (*in.Dimensions < 1 || *in.Dimensions > maxDimensions):
		return fmt.Sprintf("dimensions: %d must be 1 to %d", *in.Dimensions, maxDimensions)
	case in.EncodingFormat != nil && *in.EncodingFormat != "float":
		return fmt.Sprintf("encoding_format: %q is not supported: must be float", *in.EncodingFormat)
	}
	return ""
}

func (in *embeddingsRequest) answer() embeddingsResponse {
	out := embeddingsResponse{
		Model:          in.Model,
		Data:           make([]embedding, len(in.Input)),
		Object:         "list",
		Normalized:     in.Normalized == nil || *in.Normalized,
		EncodingFormat: "float",
		Dimensions:     defaultDimensions,
	}
	if in.Dimensions != nil {
		out.Dimensions = *in.Dimensions
	}
	for i, text := range in.Input {
		out.Data[i] = embedding{vector(in.Model, in.Prompt, text, out.Dimensions, out.Normalized), i, "embedding"}
		for range strings.FieldsSeq(text) { // good enough for a token count
			out.Usage.PromptTokens++
		}
	}
	out.Usage.TotalTokens = out.Usage.PromptTokens
	return out
}

// vector returns numbers in [-1, 1) for a text, with length 1 if normalized. A
// vector with fewer dimensions is a prefix of the longer one, as in Matryoshka
// models.
func vector(model, prompt, text string, dimensions int, normalized bool) []float32 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q", model, prompt, text)
	state := h.Sum64()
	v := make([]float32, dimensions)
	sum := 0.0
	for i := range v {
		// One round of xorshift64* (Vigna, 2016) for each number.
		state ^= state >> 12
		state ^= state << 25
		state ^= state >> 27
		x := float64(int64(state*0x2545f4914f6cdd1d)) / (1 << 63)
		v[i] = float32(x)
		sum += x * x
	}
	if normalized && sum > 0 {
		for i := range v {
			v[i] /= float32(math.Sqrt(sum))
		}
	}
	return v
}
