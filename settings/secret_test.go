package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// Whatever is printed of settings, by whatever verb, logger or encoder, has no
// credential in it.
func TestSecretsAreNotPrinted(t *testing.T) {
	got := mustParse(t, `{"providers": {
	  "mixedbread": {"api_key": "${KEY}"},
	  "search": {"base_url": "http://a.test", "header": {"X-Key": "a canary"}}
	}}`, "KEY", "a canary", "OLLAMA_API_KEY", "a canary")
	equal(t, "revealed", []string{got.Mixedbread.APIKey.Reveal(), got.Ollama.APIKey.Reveal(), got.Others["search"].Header["X-Key"].Reveal()},
		[]string{"a canary", "a canary", "a canary"})

	var printed bytes.Buffer
	type mine struct{ settings Settings } // fmt calls no methods in here
	for _, v := range []any{got, &got, got.Mixedbread, got.Mixedbread.APIKey, &got.Mixedbread.APIKey, got.Others["search"].Header, mine{got}, []Secret{got.Ollama.APIKey}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%08.3f", "%T", "%!"} {
			fmt.Fprintf(&printed, verb, v)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
			slog.New(h).Info("settings", "v", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		printed.Write(text)
	}
	for _, form := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary"), fmt.Sprint([]byte("canary"))} {
		if strings.Contains(printed.String(), strings.Trim(form, "[]")) {
			t.Errorf("printed as %s", form)
		}
	}
	equal(t, "hidden", fmt.Sprint(got.Mixedbread.APIKey), "[hidden]")
	equal(t, "none", fmt.Sprint(Secret{}, NewSecret(""), Secret{}.Set())+Secret{}.Reveal(), "  false")
}

// FuzzLoad: whatever the file says, what is read holds, and what is refused has at
// least one problem and shows neither the key nor the value of a variable.
func FuzzLoad(f *testing.F) {
	f.Add(one)
	f.Add(`{"providers": {"mixedbread": {"retry": {"base_delay": "-5s"}, "timeouts": {"conect": "10s"}}, "ollama": {"base_url": "localhost:11434"}}}`)
	f.Add(`{"providers": {"ollama": {"api_key": "${KEY}", "timeouts": {"llm": "${KEY}", "embedding": 1e-9}, "base_url": "http://${KEY}"}}}`)
	f.Add(`{"providers": {"a-b": {"base_url": "$$${VERSION}"}, "a_b": {"header": {"x": "${KEY}\n", "X": "$"}}}}`)
	f.Add(`{"providers": {"mixedbread": {"pool": [[[{"max_conns": null}]]], "\u0000": 1e400, "retry": {"max_delay": "off", "max_retries": 0}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parsed(text, append(ofOne, "KEY", "sk-canary")...)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) == 0 || len(e.Problems) > maxProblems+1 {
				t.Fatalf("%T: %v", err, err)
			}
			if strings.Contains(err.Error(), "sk-canary") && !strings.Contains(text, "canary") {
				t.Fatal(err)
			}
			return
		}
		configs := []holdfast.Config{got.Mixedbread.Config(), got.Ollama.Embedding(), got.Ollama.LLM(), got.Ollama.HealthCheck()}
		for _, p := range got.Others {
			configs = append(configs, p.Config())
		}
		for _, c := range configs {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if a := c.Timeouts.Attempt; a == 0 || a > 365*24*time.Hour {
				t.Error(a)
			}
		}
	})
}
