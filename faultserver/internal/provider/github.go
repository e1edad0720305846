package provider

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// gitHub has repositories, their issues, the user, the state of the limit, and one
// answer of the GraphQL API. It has no streams.
var gitHub = &API{
	report: reportGitHub,
	limits: gitHubLimits,
	usual:  func([]byte) Limits { return Limits{Requests: Bucket{5000, 4999, time.Hour}} },
	id:     "X-GitHub-Request-Id",
	// The GraphQL API answers 200 and lists its errors.
	in200: func(r report) any {
		one := map[string]string{"message": r.text}
		if r.code != "" {
			one["type"] = r.code
		}
		return map[string]any{"errors": []any{one}}
	},
}

const gitHubDocs = "https://docs.github.com/rest"

func reportGitHub(e Error) report {
	r := report{status: e.Status}
	docs := gitHubDocs
	own := func(usual int, text string) {
		if r.status == 0 {
			r.status = usual
		}
		r.text = text
	}
	switch {
	case e.Kind == RateLimit, e.Kind == "" && r.status == 429:
		own(403, "API rate limit exceeded for user ID 1.")
		r.code = "RATE_LIMITED"
		docs += "/using-the-rest-api/rate-limits-for-the-rest-api"
	case e.Kind == Secondary:
		own(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		r.header = e.retryAfter()
		docs += "/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
	case e.Kind == Overloaded, e.Kind == "" && r.status == 503:
		own(503, "Service unavailable")
		r.header = e.retryAfter()
	case e.Kind == Server, r.status >= 500:
		own(500, "Server Error")
	case r.status == 401:
		own(401, "Bad credentials")
	case r.status == 403:
		own(403, "Resource not accessible by personal access token")
	case r.status == 422:
		own(422, "Validation Failed")
	default:
		own(404, textOf(r.status))
	}
	r.body = map[string]string{"message": e.message(r.text), "documentation_url": docs, "status": strconv.Itoa(r.status)}
	return r
}

func serveGitHub(r Request) Answer {
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	user := map[string]any{"login": "octocat", "id": 1, "type": "User"}
	switch {
	case r.Path == "/user" && get:
		return gitHubAnswer(http.StatusOK, "", user)
	case r.Path == "/rate_limit" && get:
		core := map[string]any{"limit": 5000, "remaining": 4999, "used": 1, "reset": createdUnix}
		return gitHubAnswer(http.StatusOK, "", map[string]any{"resources": map[string]any{"core": core}, "rate": core})
	case r.Path == "/graphql" && r.Method == http.MethodPost:
		return gitHubAnswer(http.StatusOK, WorkOf(r.Path, string(r.Body)), map[string]any{"data": map[string]any{"viewer": map[string]any{"login": "octocat"}}})
	case len(parts) == 3 && parts[0] == "repos" && get:
		return gitHubAnswer(http.StatusOK, "", map[string]any{
			"id": 1, "name": parts[2], "full_name": parts[1] + "/" + parts[2], "private": false, "owner": user, "default_branch": "main", "open_issues_count": 1,
		})
	case len(parts) == 4 && parts[0] == "repos" && parts[3] == "issues" && get:
		return gitHubAnswer(http.StatusOK, "", []any{gitHubIssue("The oven is cold", user)})
	case len(parts) == 4 && parts[0] == "repos" && parts[3] == "issues" && r.Method == http.MethodPost:
		var in struct{ Title string }
		if err := json.Unmarshal(r.Body, &in); err != nil {
			return gitHub.refuse(http.StatusBadRequest, "Problems parsing JSON")
		}
		if in.Title == "" {
			return gitHub.refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"title\" wasn't supplied.")
		}
		return gitHubAnswer(http.StatusCreated, WorkOf(r.Path, string(r.Body)), gitHubIssue(in.Title, user))
	}
	return gitHub.refuse(http.StatusNotFound, "Not Found")
}

func gitHubIssue(title string, user any) any {
	return map[string]any{"id": 1, "number": 1, "title": title, "state": "open", "user": user, "created_at": "2026-01-02T03:04:05Z"}
}

func gitHubAnswer(status int, operation string, v any) Answer {
	a := jsonAnswer(status, operation, v)
	a.ContentType = "application/json; charset=utf-8"
	return a
}
