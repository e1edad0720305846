package settings

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a credential. A logger, an encoder or package fmt prints it as
// "[hidden]". Reveal returns it.
//
// The text is behind a pointer because fmt calls no method of a value in an
// unexported field: it prints the pointer's address.
type Secret struct{ text *string }

const hidden = "[hidden]"

// NewSecret makes a secret of text. An empty text makes none.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the credential in plain text, empty if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Set reports whether there is a credential.
func (s Secret) Set() bool { return s.text != nil }

// String is "[hidden]", or empty if there is no secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return hidden
}

// Format hides the secret from every verb, among them those that do not call
// String.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // fmt keeps this error to itself as well
}

// MarshalText hides the secret from encoding/json and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
