package dialect

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
)

// GitHub is the REST and GraphQL API of GitHub. Its Scope is the resource that has a rate limit
// of its own: search, code_search, graphql or core. It has no streams.
var GitHub = Dialect{Name: "GitHub", Classify: gitHub.classify, Scope: scopeGitHub}

var gitHub = &format{declined: gitHubDeclined, body: gitHubBody}

// secondaryWait is the least wait after a secondary rate limit that tells none (GitHub Docs,
// "Best practices for using the REST API").
const secondaryWait = time.Minute

// isSecondary reports whether a message is that of a secondary rate limit, of which the
// former name is abuse detection.
func isSecondary(message string) bool {
	return strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection mechanism")
}

func gitHubDeclined(a *holdfast.Answer) holdfast.Verdict {
	f := failure{Message: scalar(textMember(a.Body, "message"))}
	v := f.verdict(holdfast.ClassNone)
	if a.Status != http.StatusForbidden && a.Status != http.StatusTooManyRequests {
		return v
	}
	message := string(f.Message[:min(len(f.Message), maxRead)])
	switch {
	case isSecondary(message):
		if v.Class = holdfast.ClassThrottled; a.Header.Get("X-Ratelimit-Remaining") != "0" {
			v.RetryAfter = secondaryWait
		}
	case strings.HasPrefix(message, "API rate limit exceeded"), strings.HasPrefix(message, "API rate limit already exceeded"):
		v.Class = holdfast.ClassThrottled
	}
	return v
}

var errorsName = []byte(`"errors"`)

// gitHubBody finds a GraphQL query that was declined. A query with partial data is answered.
func gitHubBody(a *holdfast.Answer) holdfast.Verdict {
	if !strings.HasSuffix(a.Path, "/graphql") || !bytes.Contains(a.Body, errorsName) || !isWhole(a.Body) {
		return holdfast.Verdict{}
	}
	if data := member(a.Body, "data"); data != nil && string(data) != "null" {
		return holdfast.Verdict{}
	}
	for value := range elements(member(a.Body, "errors")) {
		var f failure
		if !isObject(value) || json.Unmarshal(value, &f) != nil {
			continue
		}
		switch message := string(f.Message); {
		case f.Type == "RATE_LIMITED", f.Type == "RATE_LIMIT", isSecondary(message):
			v := f.verdict(holdfast.ClassThrottled)
			if isSecondary(message) && a.Header.Get("X-Ratelimit-Remaining") != "0" && !tellsWait(a.Header) {
				v.RetryAfter = secondaryWait
			}
			return v
		case strings.HasPrefix(message, "Something went wrong while executing your query"):
			return f.verdict(holdfast.ClassServer)
		}
	}
	return holdfast.Verdict{}
}

// scopeGitHub is the resource of a request, also of an Enterprise Server.
func scopeGitHub(req *http.Request) string {
	path := strings.TrimPrefix(req.URL.Path, "/api/v3")
	switch {
	case path == "/search/code":
		return "code_search"
	case strings.HasPrefix(path, "/search/"):
		return "search"
	case path == "/graphql", path == "/api/graphql":
		return "graphql"
	}
	return "core"
}
