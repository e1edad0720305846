package embed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// vector is one line of the output. A later run can resume from it: it identifies the text
// and the model, and its hash reveals a text that has changed.
type vector struct {
	Index     int             `json:"index"`
	ID        json.RawMessage `json:"id,omitempty"`
	Hash      string          `json:"hash"`
	Model     string          `json:"model"`
	Embedding []float32       `json:"embedding"`
}

// maxVector bounds a line of a file that --resume reads: an ID as long as the longest text,
// and four times the longest embeddings in use.
const maxVector = maxText + 1<<18

// encodeVectors makes the lines of a chunk: one for each text that has a vector, and no
// line yet. It returns their number.
func encodeVectors(items []item, vectors [][]float32, model string) ([]byte, int, error) {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false) // an ID is written as it was read
	n := 0
	for i, t := range items {
		if vectors[i] == nil || t.written {
			continue
		}
		if err := enc.Encode(vector{t.index, t.id, hexHash(t.hash()), model, vectors[i]}); err != nil {
			return nil, 0, err
		}
		n++
	}
	return lines.Bytes(), n, nil
}

func hexHash(hash uint64) string { return fmt.Sprintf("%016x", hash) }

// readVector reads a line of an earlier run, with the same model. length is the number of
// numbers in the vector.
func readVector(line []byte, model string) (index int, hash uint64, length int, err error) {
	var v struct {
		vector
		Embedding json.RawMessage `json:"embedding"` // not decoded
	}
	v.Index = -1
	foreign := errors.New("was not written by holdfast embed: must be the file that its --out has written")
	if err := json.Unmarshal(line, &v); err != nil || v.Index < 0 || v.Index >= maxTexts || len(v.Embedding) < 3 || v.Embedding[0] != '[' {
		return 0, 0, 0, foreign
	}
	if hash, err = strconv.ParseUint(v.Hash, 16, 64); err != nil || len(v.Hash) != 16 {
		return 0, 0, 0, foreign
	}
	if v.Model != model {
		return 0, 0, 0, fmt.Errorf("is of model %s: must be %s, because vectors of two models cannot be compared", format.Excerpt(v.Model), format.Excerpt(model))
	}
	return v.Index, hash, bytes.Count(v.Embedding, []byte{','}) + 1, nil
}
