package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/settings"
)

// TranslatorConfig is what a client for the translation service needs.
func TranslatorConfig(key string) holdfast.Config {
	cfg := settings.CloudAPI()
	cfg.Name, cfg.BaseURL = "translator", "https://translator.example.com/v1"
	cfg.Header = http.Header{"Authorization": {"Bearer " + key}}
	return cfg
}

// Translator calls a translation service. The caller closes its client.
type Translator struct{ Client *holdfast.Client }

// Translate translates each text, in order.
func (t Translator) Translate(ctx context.Context, to string, texts []string, opts ...holdfast.CallOption) ([]string, error) {
	type answer struct{ Texts []string }
	resp, err := t.Client.Post(ctx, "/translate", map[string]any{"to": to, "texts": texts}, opts...)
	if err != nil {
		return nil, err
	}
	var out answer
	if err := resp.Decode(&out); err != nil {
		return nil, err
	}
	if len(out.Texts) != len(texts) {
		return nil, resp.Unusable(fmt.Errorf("%d texts sent, %d received", len(texts), len(out.Texts)))
	}
	return out.Texts, nil
}

// TranslateAll is Translate for any number of texts. It keeps every result.
func (t Translator) TranslateAll(ctx context.Context, to string, texts []string, batch holdfast.BatchOptions) (holdfast.BatchResult[string], error) {
	return holdfast.Batch(ctx, texts, batch, func(ctx context.Context, chunk []string) ([]string, error) {
		return t.Translate(ctx, to, chunk)
	})
}

// Healthy returns nil if the service is healthy. It waits at most 5s.
func (t Translator) Healthy(ctx context.Context) error {
	return t.Client.Healthy(ctx, "/health", holdfast.WithAttemptTimeout(5*time.Second))
}

// translations is what a healthy service answers: everything in capitals.
func translations(r faultserver.Request) faultserver.Answer {
	var in struct{ Texts []string }
	if json.Unmarshal(r.Body, &in) != nil {
		return faultserver.Answer{Status: http.StatusOK} // a health check
	}
	for i, text := range in.Texts {
		in.Texts[i] = strings.ToUpper(text)
	}
	body, _ := json.Marshal(map[string][]string{"texts": in.Texts})
	return faultserver.Answer{Status: http.StatusOK, ContentType: "application/json", Body: body}
}

// A client for one service, which fails twice and declines a chunk.
func Example_provider() {
	service, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Nth: "1-2", Fault: fault.Fault{Status: 503}},
		{Match: fault.Match{Header: map[string]string{"X-Tenant": "unknown"}}, Fault: fault.Fault{Status: 404}},
	}}, faultserver.Backend(translations))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()

	cfg := TranslatorConfig("a key")
	cfg.BaseURL = service.URL() + "/v1"
	cfg.Retry.BaseDelay = 5 * time.Millisecond
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	translator := Translator{client}

	all, err := translator.TranslateAll(context.Background(), "de", []string{"rye", "spelt", "oat"}, holdfast.BatchOptions{ChunkSize: 2})
	fmt.Println(all.Out, err)
	_, err = translator.Translate(context.Background(), "de", []string{"rye"}, holdfast.WithHeader("X-Tenant", "unknown"))
	fmt.Println(errors.Is(err, holdfast.ErrNotFound), translator.Healthy(context.Background()))
	// Output:
	// [RYE SPELT OAT] <nil>
	// true <nil>
}
