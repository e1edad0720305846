package settings

import (
	"errors"
	"strings"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/spelling"
)

// validate adds each problem that [holdfast.Config.Validate] finds, as a problem of
// the setting that it is from.
func (e *entry) validate() {
	if _, twice := e.service.Header["Authorization"]; twice && e.service.APIKey.Set() {
		e.addf(e.at+".header.Authorization", "is set beside api_key, which is sent as this header: set one of them")
	}
	joined, _ := e.service.configured().Validate().(interface{ Unwrap() []error })
	if joined == nil {
		return
	}
	for _, err := range joined.Unwrap() {
		var p *setting.Problem
		var f *field
		if errors.As(err, &p) {
			f = e.named(p.Name)
		}
		if f == nil {
			e.addf(e.at, "%s", err)
		} else if message := e.inFileWords(f, p); message != "" {
			e.add(f.from, message)
		}
	}
}

// inFileWords is a problem of a Config as one of a file, empty if it follows from
// another.
func (e *entry) inFileWords(f *field, p *setting.Problem) string {
	text := strings.TrimSpace(p.Value + " " + p.Rule)
	switch {
	case f.bad, f.Name == maxDelayField && e.named(baseDelayField).bad:
		return ""
	case f.expanded && strings.Contains(text, `"`):
		return "the value that its variables make does not hold: " + f.Must // not shown: it may be a credential
	case f.Name == baseURLField && e.service.config.BaseURL == "":
		if near := spelling.Nearest(e.service.Name, []string{mixedbreadName, ollamaName}); near != "" {
			return text + "; or did you mean " + near + "?"
		}
		return text
	}
	return inFiles.Replace(text)
}

// inFiles replaces names of Go that rules have in them.
var inFiles = strings.NewReplacer("BaseDelay", "base_delay", "or Off", "or off", "Header or Authorize", "api_key or header", "IdempotencyKey", "idempotency_key")
