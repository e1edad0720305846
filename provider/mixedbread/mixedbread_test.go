package mixedbread

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// ask runs a test in virtual time, with a provider by Config and a service with
// the faults.
func ask(t *testing.T, test func(t *testing.T, s *faultserver.Server, p *Provider), faults ...fault.Rule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := faultserver.Start(t, fault.Plan{Rules: faults}, faultserver.InMemory(), faultserver.Backend(faultserver.Embeddings))
		cfg := Config("secret")
		cfg.BaseURL = s.URL() + "/v1"
		client, err := holdfast.New(cfg, holdfast.WithDialContext(s.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		test(t, s, New(client, ""))
	})
}

// embed asks a service with the faults for vectors.
func embed(t *testing.T, texts []string, check func(t *testing.T, s *faultserver.Server, vectors [][]float32, err error), faults ...fault.Rule) {
	t.Helper()
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		vectors, err := p.Embed(t.Context(), texts)
		check(t, s, vectors, err)
	}, faults...)
}

func TestEmbed(t *testing.T) {
	embed(t, []string{"rye", "spelt", "oat"}, func(t *testing.T, s *faultserver.Server, vectors [][]float32, err error) {
		if err != nil || len(vectors) != 3 {
			t.Fatalf("%d vectors, %v; want 3", len(vectors), err)
		}
		if slices.Equal(vectors[0], vectors[1]) {
			t.Error("different texts have the same vector")
		}
		if r := s.Record(); len(r) != 1 || r[0].Method != "POST" || r[0].Path != "/v1/embeddings" {
			t.Errorf("the service saw %+v; want one POST /v1/embeddings", r)
		}
	})
}

func TestEmbedOutlivesTwo503s(t *testing.T) {
	embed(t, []string{"rye"}, func(t *testing.T, s *faultserver.Server, vectors [][]float32, err error) {
		if err != nil || len(vectors) != 1 {
			t.Fatalf("%d vectors, %v; want 1", len(vectors), err)
		}
		r := s.Record()
		if len(r) != 3 {
			t.Fatalf("%d attempts; want 3", len(r))
		}
		if r[0].RequestID == "" || r[1].RequestID != r[0].RequestID || r[2].RequestID != r[0].RequestID {
			t.Errorf("request ids %q, %q, %q; want the same one", r[0].RequestID, r[1].RequestID, r[2].RequestID)
		}
		// 1 s ± 50 %, then 2 s ± 50 %.
		for i, most := range []time.Duration{1500 * time.Millisecond, 3 * time.Second} {
			if wait := r[i+1].At - r[i].At; wait < most/3 || wait > most {
				t.Errorf("wait %d was %v; want %v to %v", i+1, wait, most/3, most)
			}
		}
	}, fault.Rule{Fault: fault.Fault{Statuses: []int{503, 503, 200}}})
}

func TestEmbedIsToldNo(t *testing.T) {
	embed(t, []string{"rye"}, func(t *testing.T, s *faultserver.Server, _ [][]float32, err error) {
		if !errors.Is(err, holdfast.ErrNotFound) {
			t.Errorf("error %v; want ErrNotFound", err)
		}
		if n := len(s.Record()); n != 1 {
			t.Errorf("%d attempts; want 1: a 404 is an answer", n)
		}
	}, fault.Rule{Fault: fault.Fault{Status: http.StatusNotFound}})
}

// TestEmbedAuthorizes: the rule accepts requests with the key and rejects
// others.
func TestEmbedAuthorizes(t *testing.T) {
	embed(t, []string{"rye"}, func(t *testing.T, _ *faultserver.Server, _ [][]float32, err error) {
		if err != nil {
			t.Error(err)
		}
	},
		fault.Rule{Match: fault.Match{Header: map[string]string{"Authorization": "Bearer secret"}}, Fault: fault.Fault{Healthy: true}},
		fault.Rule{Fault: fault.Fault{Status: http.StatusUnauthorized}})
}

func TestEmbedLosesNothingSilently(t *testing.T) {
	const rye, spelt = `{"embedding":[0.1],"index":0}`, `{"embedding":[0.2],"index":1}`
	tests := []struct{ name, data, want string }{
		{"fewer embeddings than texts", rye, "2 texts were sent, 1 embeddings came back"},
		{"none", ``, "2 texts were sent, 0 embeddings came back"},
		{"more", rye + "," + spelt + "," + rye, "2 texts were sent, 3 embeddings came back"},
		{"one twice", rye + "," + rye, "two embeddings came back for text 0"},
		{"one for a text that was not sent", rye + `,{"embedding":[1],"index":2}`, "2 texts were sent, an embedding came back for text 2"},
		{"an index below zero", rye + `,{"embedding":[1],"index":-1}`, "an embedding came back for text -1"},
		{"an empty one", rye + `,{"embedding":[],"index":1}`, "an embedding without numbers came back for text 1"},
		{"a null one", rye + `,{"embedding":null,"index":1}`, "an embedding without numbers came back for text 1"},
		{"in another order, which is valid", spelt + "," + rye, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := fault.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"data":[` + tt.data + `]}`}
			embed(t, []string{"rye", "spelt"}, func(t *testing.T, s *faultserver.Server, vectors [][]float32, err error) {
				if n := len(s.Record()); n != 1 {
					t.Errorf("%d attempts; want 1: the call was answered", n)
				}
				if tt.want == "" {
					if err != nil || vectors[0][0] != 0.1 || vectors[1][0] != 0.2 {
						t.Errorf("%v, %v; want the vectors in the order of the texts", vectors, err)
					}
					return
				}
				if vectors != nil || !errors.Is(err, holdfast.ErrDecode) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, %v; want no vectors and ErrDecode with %q", vectors, err, tt.want)
				}
				var e *holdfast.Error
				var received *holdfast.StatusError
				if !errors.As(err, &e) || len(e.Attempts) != 1 || e.Attempts[0].Class != holdfast.ClassContent || !errors.As(err, &received) || string(received.Body) != answer.Body {
					t.Errorf("%v with the answer %+v; want one attempt of class content, and %q", err, received, answer.Body)
				}
			}, fault.Rule{Fault: answer})
		})
	}
}

func TestEmbedNothingAsksNobody(t *testing.T) {
	embed(t, nil, func(t *testing.T, s *faultserver.Server, vectors [][]float32, err error) {
		if vectors != nil || err != nil || len(s.Record()) != 0 {
			t.Errorf("%v, %v after %d attempts; want nothing", vectors, err, len(s.Record()))
		}
	})
}

// TestConfig compares with requirement B9, "Mixedbread Provider".
func TestConfig(t *testing.T) {
	client, err := holdfast.New(Config("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := client.Stats()
	if s.BaseURL != "https://api.mixedbread.com/v1" || s.DefaultTimeout != time.Minute ||
		s.MaxRetries != 3 || s.BaseDelay != time.Second || s.MaxDelay != 10*time.Second || s.BreakerThreshold != 10 {
		t.Errorf("%+v", s)
	}
	b := Config("secret").Breaker
	if b.OpenTimeout != time.Minute || b.HalfOpenMaxCalls != 3 {
		t.Errorf("%+v", b)
	}
}

// TestEmbedEndsWithItsContext: the caller's deadline is not a failure of the
// service.
func TestEmbedEndsWithItsContext(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := p.Embed(ctx, []string{"rye"})
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != 3*time.Second {
			t.Errorf("%v after %v; want ErrTimeout after 3 s", err, took)
		}
	}, fault.Rule{Fault: fault.Fault{Hang: fault.BeforeAnswer}})
}

var grains = []string{"rye", "spelt", "oat", "barley", "emmer", "millet", "teff"}

// check fails the test unless the result has each text's vector, except for the
// texts from one index up to, but not including, another.
func check(t *testing.T, p *Provider, got holdfast.BatchResult[[]float32], from, to int) {
	t.Helper()
	if len(got.Out) != len(grains) {
		t.Fatalf("%d vectors; want %d", len(got.Out), len(grains))
	}
	for i, text := range grains {
		switch missing := from <= i && i < to; {
		case missing && got.Out[i] != nil:
			t.Errorf("%s, which is missing, has a vector", text)
		case !missing:
			alone, err := p.Embed(t.Context(), []string{text})
			if err != nil || !slices.Equal(got.Out[i], alone[0]) {
				t.Errorf("%s has a wrong vector (%v)", text, err)
			}
		}
	}
}

var inThrees = holdfast.BatchOptions{ChunkSize: 3, Width: 1}

func TestEmbedBatch(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		got, err := p.EmbedBatch(t.Context(), grains, holdfast.BatchOptions{ChunkSize: 3, Width: 2})
		if err != nil || got.Missing != nil {
			t.Fatalf("%+v, %v; want all", got.Missing, err)
		}
		if n := len(s.Record()); n != 4 {
			t.Errorf("%d attempts; want 4: three chunks, one of them twice", n)
		}
		check(t, p, got, 0, 0)
	}, fault.Rule{Nth: "1", Fault: fault.Fault{Status: 503}})
}

// TestEmbedBatchLosesNothing: embedded texts are in the result, the others have
// an error.
func TestEmbedBatchLosesNothing(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		got, err := p.EmbedBatch(t.Context(), grains, inThrees)
		var partial *holdfast.BatchError
		if !errors.As(err, &partial) || partial.Missing != 3 || partial.Of != 7 || !errors.Is(err, holdfast.ErrInvalidRequest) {
			t.Errorf("error %v; want 3 of 7 missing, ErrInvalidRequest", err)
		}
		if m := got.Missing; len(m) != 1 || m[0].From != 3 || m[0].To != 6 || !errors.Is(m[0].Err, holdfast.ErrInvalidRequest) {
			t.Errorf("missing %+v; want 3 to 6", m)
		}
		check(t, p, got, 3, 6)
	}, fault.Rule{Nth: "2", Fault: fault.Fault{Status: 422}})
}

// TestEmbedBatchStopsAtAnOpenBreaker: eight calls have failed before, so the
// second chunk's failure is the tenth and opens the breaker. The rest is not
// sent.
func TestEmbedBatchStopsAtAnOpenBreaker(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		if _, err := p.Embed(t.Context(), grains); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if _, err := p.Embed(t.Context(), grains); !errors.Is(err, holdfast.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		before := len(s.Record())
		got, err := p.EmbedBatch(t.Context(), grains, holdfast.BatchOptions{ChunkSize: 1, Width: 1})
		if m := got.Missing; !errors.Is(err, holdfast.ErrCircuitOpen) || !errors.Is(err, holdfast.ErrUnavailable) || len(m) != 3 || m[2].From != 2 || m[2].To != 7 {
			t.Errorf("%v, missing %+v; want all of them, 2 to 7 because of the open breaker", err, m)
		}
		if n := len(s.Record()) - before; n != 8 {
			t.Errorf("%d attempts; want 8: two chunks, four times each", n)
		}
	}, fault.Rule{Nth: "2-", Fault: fault.Fault{Status: 503}})
}

func TestEmbedBatchSendsWhatTheAPITakes(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		texts := slices.Repeat([]string{"rye"}, MaxTexts+1)
		got, err := p.EmbedBatch(t.Context(), texts, holdfast.BatchOptions{ChunkSize: 1000})
		if err != nil || len(got.Out) != len(texts) || len(s.Record()) != 2 {
			t.Errorf("%d vectors after %d attempts, %v; want %d after 2", len(got.Out), len(s.Record()), err, len(texts))
		}
	})
}

func TestEmbedBatchTakesOptions(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		began := time.Now()
		_, err := p.EmbedBatch(t.Context(), grains, inThrees, holdfast.WithAttemptTimeout(2*time.Second), holdfast.WithNoRepeat())
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != 6*time.Second {
			t.Errorf("%v after %v; want ErrTimeout after three chunks of 2 s", err, took)
		}
	}, fault.Rule{Fault: fault.Fault{Hang: fault.BeforeAnswer}})
}

func TestHealthy(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		if err := p.Healthy(t.Context()); err != nil {
			t.Errorf("a healthy service: %v", err)
		}
		if r := s.Record(); len(r) != 1 || r[0].Method != "GET" || r[0].Path != "/v1/stores" {
			t.Errorf("the service saw %+v; want one GET /v1/stores", r)
		}
		if err := p.Healthy(t.Context()); !errors.Is(err, holdfast.ErrAuthentication) {
			t.Errorf("a key that is not accepted: %v; want ErrAuthentication", err)
		}
		began := time.Now()
		err := p.Healthy(t.Context())
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != 5*time.Second {
			t.Errorf("a service that hangs: %v after %v; want ErrTimeout after 5 s", err, took)
		}
		began = time.Now()
		err = p.Healthy(t.Context(), holdfast.WithAttemptTimeout(time.Second))
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != time.Second {
			t.Errorf("with a limit of 1 s: %v after %v", err, took)
		}
	},
		fault.Rule{Nth: "2", Fault: fault.Fault{Status: 401}},
		fault.Rule{Nth: "2-", Fault: fault.Fault{Hang: fault.BeforeAnswer}})
}
