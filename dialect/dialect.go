// Package dialect has what the answers of well-known APIs mean. A Dialect finds failures that
// the status does not tell: an error event within a stream, a day's quota behind a 429, a
// wait in the text of an error.
//
//	client, err := holdfast.New(dialect.OpenAI.Apply(holdfast.Config{
//		BaseURL:   "https://api.openai.com/v1",
//		Authorize: authorize,
//	}))
//
// A Dialect knows the forms of errors that the service documents. It leaves everything else
// to the status: other media types, HTML pages, and what a model writes. docs/dialects.md
// has the answers that each dialect knows, and how to write another dialect.
package dialect

import (
	"net/http"

	"github.com/holdfast-go/holdfast"
)

// Dialect is what the answers of one API mean. Its functions are pure, and many goroutines may
// call them at once. Each may be nil.
type Dialect struct {
	// Name is the API's name.
	Name string
	// Classify is for Config.Classify. Its Verdict has a reason of at most 200 bytes, in
	// which texts that look like a credential are hidden. What it does not know is the zero
	// Verdict.
	Classify func(*holdfast.Answer) holdfast.Verdict
	// Scope is for Config.Scope: the part of the API that a limit concerns, such as a model.
	Scope func(*http.Request) string
	// Ends reports whether an event, or a line in its Data, is the last one of a stream. It
	// is for Stream.EndsWith. It is nil if the API's streams have no such event.
	Ends func(holdfast.ServerEvent) bool
}

// Apply returns c with Classify and Scope of the dialect where c has none. It changes nothing
// else. A Scope gives each part of the API a breaker and a cooldown of its own; for one
// breaker for all, set Scope to nil in a copy of the dialect.
func (d Dialect) Apply(c holdfast.Config) holdfast.Config {
	if c.Classify == nil {
		c.Classify = d.Classify
	}
	if c.Scope == nil {
		c.Scope = d.Scope
	}
	return c
}
