package embed

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/faultserver"
)

// vectorOf is the embedding of a text by the service.
func vectorOf(t *testing.T, text string) []float32 {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": "mxbai-embed-large-v1", "input": []string{text}})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Data []struct{ Embedding []float32 }
	}
	answer := faultserver.Embeddings(faultserver.Request{Method: "POST", Path: "/v1/embeddings", Body: body})
	if err := json.Unmarshal(answer.Body, &out); err != nil || len(out.Data) != 1 {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return out.Data[0].Embedding
}

// readVectors reads an output file. All its lines must be complete.
func readVectors(t *testing.T, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseVectors(t, string(data))
}

func parseVectors(t *testing.T, lines string) []vector {
	t.Helper()
	var all []vector
	for line := range strings.Lines(lines) {
		var v vector
		if err := json.Unmarshal([]byte(line), &v); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%v in line %q", err, line)
		}
		all = append(all, v)
	}
	return all
}
