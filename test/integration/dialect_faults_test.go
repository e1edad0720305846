package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// speaker is a provider of the fault server, with the dialect for it. The two have no
// code in common.
type speaker struct {
	as      fault.Provider
	dialect dialect.Dialect
	path    string
	body    map[string]any // of a request for a stream, if the provider has streams
}

var speakers = []speaker{
	{fault.OpenAI, dialect.OpenAI, "/v1/chat/completions", map[string]any{"model": "m", "messages": []any{map[string]string{"role": "user", "content": "hi"}}, "stream": true}},
	{fault.OpenAI, dialect.OpenAIGateway, "/v1/chat/completions", map[string]any{"model": "m", "messages": []any{map[string]string{"role": "user", "content": "hi"}}, "stream": true}},
	{fault.Anthropic, dialect.Anthropic, "/v1/messages", map[string]any{"model": "m", "max_tokens": 100, "messages": []any{map[string]string{"role": "user", "content": "hi"}}, "stream": true}},
	{fault.Ollama, dialect.Ollama, "/api/generate", map[string]any{"model": "m", "prompt": "hi"}},
	{fault.Gemini, dialect.Gemini, "/v1beta/models/m:streamGenerateContent?alt=sse", map[string]any{"contents": []any{map[string]any{"parts": []any{map[string]string{"text": "hi"}}}}}},
	{fault.GitHub, dialect.GitHub, "/graphql", map[string]any{"query": "{viewer{login}}"}},
}

// call makes one attempt. A stream is read to its end.
func (s *speaker) call(t *testing.T, f fault.Fault) (failed *holdfast.Error, said string) {
	t.Helper()
	server := faultserver.Start(t, fault.Plan{As: s.as, Rules: []fault.Rule{{Fault: f}}})
	client, err := holdfast.New(s.dialect.Apply(holdfast.Config{BaseURL: server.URL(), Retry: holdfast.Retry{MaxRetries: holdfast.Off}}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if s.as == fault.GitHub {
		_, err = client.Post(t.Context(), s.path, s.body)
	} else {
		said, err = s.read(t, client)
	}
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("%s: %T %v", s.dialect.Name, err, err)
	}
	return failed, said
}

func (s *speaker) read(t *testing.T, client *holdfast.Client) (string, error) {
	stream, err := client.Stream(t.Context(), "POST", s.path, s.body)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	if s.dialect.Ends != nil {
		stream.EndsWith(s.dialect.Ends)
	}
	var said strings.Builder
	if s.as == fault.Ollama {
		for line, err := range stream.Lines() {
			if err != nil {
				return said.String(), err
			}
			said.Write(line)
		}
		return said.String(), nil
	}
	for event, err := range stream.Events() {
		if err != nil {
			return said.String(), err
		}
		said.Write(event.Data)
	}
	return said.String(), nil
}

// A client with the dialect of a provider understands each error of the API: what it
// is, and how long to wait.
func TestDialectsUnderstandTheFaults(t *testing.T) {
	for _, tt := range []struct {
		fault  fault.Fault
		class  holdfast.Class
		wait   time.Duration
		except string                    // the dialects of APIs without such a fault
		others map[string]holdfast.Class // of some dialects
	}{
		{fault.Fault{API: fault.APIOverloaded}, holdfast.ClassOverloaded, 0, "", nil},
		{fault.Fault{API: fault.APIRateLimit, RetryAfter: 90 * time.Second}, holdfast.ClassThrottled, 90 * time.Second, "", nil},
		{fault.Fault{API: fault.APISecondaryRateLimit, RetryAfter: 90 * time.Second}, holdfast.ClassThrottled, 90 * time.Second, "OpenAI OpenAIGateway Anthropic Ollama Gemini", nil},
		{fault.Fault{API: fault.APIQuotaExhausted}, holdfast.ClassQuota, 0, "GitHub", nil},
		{fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorRateLimit}, holdfast.ClassThrottled, 0, "",
			map[string]holdfast.Class{"OpenAI": holdfast.ClassContent}}, // it never answers so: a stream has no event
		{fault.Fault{Status: 401}, holdfast.ClassCredential, 0, "", nil},
		{fault.Fault{Status: 400}, holdfast.ClassRequest, 0, "", nil},
		{fault.Fault{Status: 500}, holdfast.ClassServer, 0, "", nil},
		{fault.Fault{Stream: fault.StreamErrorFirst}, holdfast.ClassOverloaded, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamErrorFirst, Error: fault.ErrorQuotaExhausted}, holdfast.ClassQuota, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamErrorAfter, Events: 5, Error: fault.ErrorServer}, holdfast.ClassServer, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamCut, Events: 5}, holdfast.ClassLost, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamEndMissing}, holdfast.ClassLost, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamPings}, holdfast.ClassNone, 0, "GitHub", nil},
		{fault.Fault{Stream: fault.StreamEndTwice}, holdfast.ClassNone, 0, "GitHub", nil},
	} {
		for _, s := range speakers {
			if strings.Contains(" "+tt.except+" ", " "+s.dialect.Name+" ") {
				continue
			}
			failed, said := s.call(t, tt.fault)
			name := s.dialect.Name + " " + string(tt.fault.API) + string(tt.fault.Stream) + " " + string(tt.fault.Error)
			if tt.class == holdfast.ClassNone {
				if failed != nil || said == "" {
					t.Errorf("%s: %q, %v", name, said, failed)
				}
				continue
			}
			if failed == nil {
				t.Errorf("%s %d: no error, and %q", name, tt.fault.Status, said)
				continue
			}
			want := tt.class
			if other, ok := tt.others[s.dialect.Name]; ok {
				want = other
			}
			last := failed.Attempts[len(failed.Attempts)-1]
			if last.Class != want || last.RetryAfter < tt.wait-2*time.Second || last.RetryAfter > tt.wait+2*time.Second {
				t.Errorf("%s %d: %s, wait %s from %q; want %s, wait %s\n%v", name, tt.fault.Status, last.Class, last.RetryAfter, last.RetryAfterFrom, want, tt.wait, failed)
			}
		}
	}
}
