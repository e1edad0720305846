package dialect_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/dialect"
)

func TestScope(t *testing.T) {
	const model = `{"messages":[],"model":"m"}`
	for _, tt := range []struct {
		dialect         dialect.Dialect
		url, body, want string
	}{
		{dialect.OpenAI, "https://x/v1/chat/completions", model, "m"},
		{dialect.OpenAI, "https://x/openai/deployments/my%20chat/chat/completions?api-version=1", model, "my chat"},
		{dialect.OpenAI, "https://x/v1/models", "", ""},
		{dialect.OpenAIGateway, "https://x/api/v1/chat/completions", model, "m"},
		{dialect.Anthropic, "https://x/v1/messages", model, "m"},
		{dialect.Ollama, "https://x/api/chat", model, "m"},
		{dialect.Bedrock, "https://x/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse", model, "anthropic.claude-3-5-sonnet-20241022-v2:0"},
		{dialect.Bedrock, "https://x/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprovisioned-model%2Fabc/invoke", "", "arn:aws:bedrock:us-east-1:1:provisioned-model/abc"},
		{dialect.Bedrock, "https://x/guardrail/g/version/1/apply", "", ""},
		{dialect.Gemini, "https://x/v1beta/models/gemini-2.5-flash:generateContent?key=secret", "", "gemini-2.5-flash"},
		{dialect.Gemini, "https://x/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:streamGenerateContent", "", "gemini-2.5-pro"},
		{dialect.Gemini, "https://x/v1beta/tunedModels/mine:generateContent", "", "mine"},
		{dialect.Gemini, "https://x/v1beta/files", "", ""},
		{dialect.GitHub, "https://x/search/issues?q=a", "", "search"},
		{dialect.GitHub, "https://x/search/code?q=a", "", "code_search"},
		{dialect.GitHub, "https://x/api/v3/search/users", "", "search"},
		{dialect.GitHub, "https://x/graphql", "", "graphql"},
		{dialect.GitHub, "https://x/api/graphql", "", "graphql"},
		{dialect.GitHub, "https://x/repos/o/search/issues", "", "core"},
	} {
		req, err := http.NewRequest(http.MethodPost, tt.url, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.dialect.Scope(req); got != tt.want {
			t.Errorf("%s: %s is %q, want %q", tt.dialect.Name, tt.url, got, tt.want)
		}
	}
}
