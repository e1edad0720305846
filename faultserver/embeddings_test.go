package faultserver

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
)

type embeddingsResponse struct {
	Data []struct{ Embedding []float32 }
}

func embed(t *testing.T, body string) (Answer, embeddingsResponse) {
	t.Helper()
	a := Embeddings(Request{Method: http.MethodPost, Path: "/v1/embeddings", Body: []byte(body)})
	var out embeddingsResponse
	if a.Status == 200 {
		if err := json.Unmarshal(a.Body, &out); err != nil {
			t.Fatal(err)
		}
	}
	return a, out
}

func TestEmbeddingsFormat(t *testing.T) {
	a, _ := embed(t, `{"model": "m", "input": ["\top-7\nsome text", "more"], "dimensions": 1, "normalized": false}`)
	var got map[string]any
	if err := json.Unmarshal(a.Body, &got); err != nil {
		t.Fatal(err)
	}
	// Only the form is the API's, not the numbers.
	for i, item := range got["data"].([]any) {
		vector := item.(map[string]any)["embedding"].([]any)
		if _, ok := vector[0].(float64); !ok || len(vector) != 1 {
			t.Errorf("embedding %d: %v", i, vector)
		}
		delete(item.(map[string]any), "embedding")
	}
	want := map[string]any{
		"usage":           map[string]any{"prompt_tokens": 4., "total_tokens": 4.},
		"model":           "m",
		"data":            []any{map[string]any{"index": 0., "object": "embedding"}, map[string]any{"index": 1., "object": "embedding"}},
		"object":          "list",
		"normalized":      false,
		"encoding_format": "float",
		"dimensions":      1.,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if a.Operation != provider.WorkOf("\top-7\nsome text", "more") || a.ContentType != "application/json" {
		t.Errorf("operation %q, %s", a.Operation, a.ContentType)
	}
}

func TestEmbeddingsListsNoStores(t *testing.T) {
	a := Embeddings(Request{Method: http.MethodGet, Path: "/v1/stores"})
	const want = `{"data":[],"object":"list","pagination":{"first_cursor":null,"has_more":false,"last_cursor":null,"total":0}}`
	if a.Status != 200 || string(a.Body) != want || a.Operation != "" {
		t.Errorf("%d %s %q; want 200 %s without an operation", a.Status, a.Body, a.Operation, want)
	}
}

// Chunks are the same work only if all of their texts are equal: texts of one corpus
// often begin with the same word.
func TestEmbeddingsCountsWholeChunks(t *testing.T) {
	for path, service := range map[string]Service{"/v1/embeddings": Embeddings, "/api/embed": Ollama} {
		s := Start(t, fault.Plan{}, Backend(service))
		w := dialWire(t, s)
		send := func(texts ...string) {
			input, err := json.Marshal(map[string]any{"model": "m", "input": texts})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(input), input)
			if resp, body := w.full(); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
		}
		const lines, chunk = 8000, 100
		for from := 0; from < lines; from += chunk {
			texts := make([]string, chunk)
			for i := range texts {
				texts[i] = fmt.Sprintf("The line %d", from+i)
				if i == 0 {
					texts[i] = "The first line"
				}
			}
			send(texts...)
		}
		send("The first line", "bc")
		send("The first lineb", "c")
		if got, want := s.Effects(), (Effects{Done: lines/chunk + 2}); got != want {
			t.Errorf("%s: different chunks: %+v, want %+v", path, got, want)
		}
		send("The first line", "bc")
		if got, want := s.Effects(), (Effects{Done: lines/chunk + 2, Duplicates: 1, Resent: 1}); got != want {
			t.Errorf("%s: the same chunk twice: %+v, want %+v", path, got, want)
		}
	}
}

func TestEmbeddingsVectors(t *testing.T) {
	_, a := embed(t, `{"model": "m", "input": "bread"}`)
	_, again := embed(t, `{"model": "m", "input": ["bread", "cake"]}`)
	v := a.Data[0].Embedding
	if len(v) != 8 || !slices.Equal(v, again.Data[0].Embedding) || slices.Equal(v, again.Data[1].Embedding) {
		t.Errorf("%v, %v", v, again.Data)
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if math.Abs(sum-1) > 1e-6 {
		t.Errorf("length %v", math.Sqrt(sum))
	}
	_, few := embed(t, `{"model": "m", "input": "bread", "dimensions": 3, "normalized": false}`)
	_, many := embed(t, `{"model": "m", "input": "bread", "dimensions": 4096, "normalized": false}`)
	if len(many.Data[0].Embedding) != 4096 || !slices.Equal(few.Data[0].Embedding, many.Data[0].Embedding[:3]) {
		t.Errorf("3 dimensions are not the beginning of 4096")
	}
}

func TestEmbeddingsRefusals(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"POST", "/v1/embedding", `{}`, 404, "not found"},
		{"GET", "/embeddings", ``, 405, "method not allowed"},
		{"POST", "/v1/stores", `{}`, 404, "not found"}, // only GET, as a health check, exists
		{"POST", "/embeddings", `{"input"`, 422, "unexpected end of JSON input"},
		{"POST", "/embeddings", `{"input": "a"}`, 422, "model: field required"},
		{"POST", "/embeddings", `{"model": "m", "input": []}`, 422, "input: field required"},
		{"POST", "/embeddings", `{"model": "m", "input": ["a"` + strings.Repeat(`,"a"`, 256) + `]}`, 422, "input: 257 texts, at most 256 are allowed"},
		{"POST", "/embeddings", `{"model": "m", "input": "a", "dimensions": 4097}`, 422, "dimensions: 4097 must be 1 to 4096"},
		{"POST", "/embeddings", `{"model": "m", "input": "a", "encoding_format": "base64"}`, 422, `encoding_format: "base64" is not supported: must be float`},
	} {
		a := Embeddings(Request{Method: test.method, Path: test.path, Body: []byte(test.body)})
		var refused struct{ Detail string }
		if err := json.Unmarshal(a.Body, &refused); err != nil {
			t.Fatal(err)
		}
		if a.Status != test.status || refused.Detail != test.detail || a.Operation != "" {
			t.Errorf("%s %s: %d %q %q", test.method, test.path, a.Status, refused.Detail, a.Operation)
		}
	}
}
