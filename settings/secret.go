package settings

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a credential. Whatever prints it, fmt, a logger or an encoder, prints
// [hidden]; only Reveal gives it away.
//
// The text is behind a pointer because fmt calls no method of what lies in an
// unexported field of somebody's struct: there it prints an address.
type Secret struct{ text *string }

const hidden = "[hidden]"

// NewSecret makes a secret of text; an empty one is none.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal gives the credential in plain, empty if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Set reports whether there is one.
func (s Secret) Set() bool { return s.text != nil }

// String is "[hidden]", or empty if there is no secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return hidden
}

// Format hides the secret from every verb, also from those that would show what
// lies below a String method.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // fmt keeps this error to itself as well
}

// MarshalText hides the secret from encoding/json and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
