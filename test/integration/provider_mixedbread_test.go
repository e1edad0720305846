package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// official is the output of testdata/mixedbread/official.mjs: the answers as
// Mixedbread's official client reads them.
type official struct {
	Many, One struct {
		Data []struct {
			Embedding []float32
			Index     int
			Object    string
		}
		Model          string
		Object         string
		Normalized     bool
		Dimensions     int
		EncodingFormat string `json:"encoding_format"`
		Usage          map[string]int
	}
	Stores             int
	TooMany, Elsewhere string
}

// ask runs Mixedbread's official client with Node.
func (o *official) ask(t *testing.T, url string, texts []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"official.mjs", url}, texts...)...)
	cmd.Dir = "testdata/mixedbread"
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Mixedbread's official client, which make mixedbread-sdk installs: %v\n%s", err, said.Bytes())
	}
	if err := json.Unmarshal(out, o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

// Mixedbread's official client works with the fault server, and our provider
// returns the same.
func TestMixedbread(t *testing.T) {
	s := faultserver.Start(t, fault.Plan{}, faultserver.Backend(faultserver.Embeddings))
	texts := []string{"rye bread", "spelt", "oat"}
	var theirs official
	theirs.ask(t, s.URL(), texts)

	cfg := mixedbread.Config("secret")
	cfg.BaseURL = s.URL() + "/v1"
	client, err := holdfast.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	provider := mixedbread.New(client, "")
	ours, err := provider.EmbedBatch(t.Context(), texts, holdfast.BatchOptions{ChunkSize: 2})
	if err != nil {
		t.Fatal(err)
	}

	if len(theirs.Many.Data) != len(texts) {
		t.Fatalf("theirs: %+v; want %d embeddings", theirs.Many, len(texts))
	}
	for i, e := range theirs.Many.Data {
		if e.Index != i || e.Object != "embedding" || !reflect.DeepEqual(e.Embedding, ours.Out[i]) {
			t.Errorf("%s: theirs %+v, ours %v", texts[i], e, ours.Out[i])
		}
	}
	if m := theirs.Many; m.Model != mixedbread.DefaultModel || m.Object != "list" || !m.Normalized || m.Dimensions != 8 || m.EncodingFormat != "float" ||
		!reflect.DeepEqual(m.Usage, map[string]int{"prompt_tokens": 4, "total_tokens": 4}) {
		t.Errorf("theirs: %+v", m)
	}
	if o := theirs.One; len(o.Data) != 1 || len(o.Data[0].Embedding) != 4 || o.Normalized || o.Dimensions != 4 {
		t.Errorf("theirs: %+v; want one text of four dimensions, as it is", o)
	}

	if err := provider.Healthy(t.Context()); err != nil || theirs.Stores != 0 {
		t.Errorf("ours: %v; theirs: %d stores; want a service without stores that is well", err, theirs.Stores)
	}
	_, err = provider.Embed(t.Context(), make([]string, mixedbread.MaxTexts+1))
	if theirs.TooMany != "UnprocessableEntityError 422" || !errors.Is(err, holdfast.ErrInvalidRequest) {
		t.Errorf("too many texts: theirs %q, ours %v", theirs.TooMany, err)
	}
	_, err = client.Get(t.Context(), "/nowhere")
	if theirs.Elsewhere != "NotFoundError 404" || !errors.Is(err, holdfast.ErrNotFound) {
		t.Errorf("another path: theirs %q, ours %v", theirs.Elsewhere, err)
	}
}
