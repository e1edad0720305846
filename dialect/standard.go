package dialect

import (
	"encoding/json"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// Standard is HTTP itself: what the status, the headers and an application/problem+json
// (RFC 9457) say. It does not read the body of a success. It has no Scope and no Ends.
var Standard = Dialect{Name: "Standard", Classify: standard.classify}

var standard = &format{}

// The problem types of the IETF draft "RateLimit header fields for HTTP".
var problemClasses = map[string]holdfast.Class{
	"https://iana.org/assignments/http-problem-types#quota-exceeded":             holdfast.ClassThrottled,
	"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity": holdfast.ClassOverloaded,
	"https://iana.org/assignments/http-problem-types#abnormal-usage-detected":    holdfast.ClassThrottled,
}

// classifyProblem reads an application/problem+json.
func classifyProblem(a *holdfast.Answer) (v holdfast.Verdict) {
	var problem struct{ Type, Title, Detail scalar }
	_ = json.Unmarshal(a.Body[:min(len(a.Body), maxText)], &problem)
	text := string(problem.Title)
	if problem.Detail != "" {
		if text != "" {
			text = strings.TrimSuffix(text, ".") + ": "
		}
		text += string(problem.Detail)
	}
	if class := problemClasses[string(problem.Type)]; mayMean(a.Status, class) {
		v.Class = class
	}
	v.Text = reason(text)
	return v
}
