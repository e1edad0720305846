package settings

import (
	"strings"

	"github.com/holdfast-go/holdfast/internal/spelling"
)

// validate tells every problem that [holdfast.Config.Validate] finds as one of the
// setting that it comes from.
func (e *entry) validate(s *Service, checks []check) {
	if _, twice := s.Header["Authorization"]; twice && s.APIKey.Set() {
		e.addf(e.at+".header.Authorization", "is set beside api_key, which is sent as this header: set one of them")
	}
	told := map[string]bool{} // a provider's configurations have most in common
	for _, c := range checks {
		joined, _ := c.config.Validate().(interface{ Unwrap() []error })
		if joined == nil {
			continue
		}
		for _, err := range joined.Unwrap() {
			field, text, _ := strings.Cut(strings.TrimPrefix(err.Error(), "holdfast: Config."), " ")
			of := e.named(field, c)
			if of == nil {
				e.addf(e.at, "%s", err)
				continue
			}
			message := e.retold(of, text)
			if key := of.path + message; message != "" && !told[key] {
				told[key] = true
				e.add(of.from, message)
			}
		}
	}
}

// named gives the setting that a field of the configuration comes from.
func (e *entry) named(field string, c check) *setting {
	if field == "Timeouts.Attempt" {
		return e.find(c.attempt)
	}
	for _, s := range e.settings {
		if strings.EqualFold(strings.ReplaceAll(s.path, "_", ""), field) {
			return s
		}
	}
	return nil
}

// retold is a problem of the root package in the words of this one, empty if it
// follows from another.
func (e *entry) retold(s *setting, text string) string {
	switch {
	case s.bad, s.path == maxDelay && e.find(baseDelay).bad:
		return ""
	case s.expanded && strings.Contains(text, `"`):
		return "the value that its variables make does not hold: " + s.rule // not shown: it may be a credential
	case s.path == baseURL && s.value() == "":
		_, name, _ := strings.Cut(e.at, ".")
		if near := spelling.Nearest(name, []string{"mixedbread", "ollama"}); near != "" {
			return text + "; or did you mean " + near + "?"
		}
		return text
	}
	if value, ok := strings.CutPrefix(text, `is "`); ok {
		text = `"` + strings.Replace(value, `": `, `" `, 1)
	} else if value, ok := strings.CutPrefix(text, "is "); ok {
		text = strings.Replace(value, ": ", " ", 1)
	}
	return strings.NewReplacer("BaseDelay", "base_delay", "or Off", "or off").Replace(text)
}
