package settings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// table has the settings of a client.
var table = setting.Client.([]setting.Setting[holdfast.Config])

// attemptTimeout is the setting that Ollama has three others for.
const attemptTimeout = "Timeouts.Attempt"

// field is a setting of a provider that is being read.
type field struct {
	setting.Row
	kind   setting.Kind
	values string // those that files can have
	// parse sets it to what text means. The result is what is wrong, in which the
	// text is as shows has it.
	parse func(text, shows string) (problem string)
	fill  func()        // replaces a value that is not set by its default
	text  func() string // the value as files have it

	from     Source
	bad      bool   // what was given last is wrong
	expanded bool   // variables were put into it
	shown    string // an address as it may be shown, if it is from the file
}

// bind makes a field of a row. Its value goes to c; preset has the defaults that
// are not the row's.
func bind[C any](s setting.Setting[C], c, preset *C) *field {
	return &field{
		Row:    s.Info(),
		kind:   s.Kind(),
		values: s.Values(),
		parse:  func(text, shows string) string { return s.Parse(c, preset, text, shows) },
		fill:   func() { s.Fill(c) },
		text:   func() string { return s.Text(c) },
	}
}

// fields are the settings of a service, credentials included, whose values are
// those of preset.
func (s *Service) fields(preset holdfast.Config) (fields []*field) {
	s.Name, s.config = preset.Name, preset
	for _, row := range table {
		switch info := row.Info(); {
		case info.Name == headerField:
			fields = append(fields, s.apiKey(), s.headers(info), s.model())
		case info.Key != "":
			fields = append(fields, bind(row, &s.config, &preset))
		}
	}
	return fields
}

// fields are the settings of a provider. Only the file's own have a kind.
func (p *Provider) fields(preset holdfast.Config) []*field {
	fields := p.Service.fields(preset)
	if preset.Name != mixedbreadName {
		fields = append(fields, p.kind())
	}
	return fields
}

// fields are the settings of Ollama.
func (o *Ollama) fields() []*field {
	fields := slices.DeleteFunc(o.Service.fields(preset(ollamaName)), func(f *field) bool { return f.Name == attemptTimeout })
	for _, row := range ollamaTable {
		fields = append(fields, bind(row, o, new(Ollama)))
	}
	return fields
}

const (
	none       = "none" // the value of credentials that are not set
	unsendable = "has a control character in it, perhaps the end of a line"
)

// sendable reports whether text can be the value of a header.
func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// The fields of Config that rules name.
const (
	baseURLField   = "BaseURL"
	headerField    = "Header"
	baseDelayField = "Retry.BaseDelay"
	maxDelayField  = "Retry.MaxDelay"
)

// apiKey is the setting that becomes the header Authorization.
func (s *Service) apiKey() *field {
	return &field{
		Row:    setting.Row{Key: "api_key", Env: "API_KEY", Unset: none, Doc: "sent as `Authorization: Bearer` and the key"},
		kind:   setting.Text,
		values: "text",
		parse: func(text, _ string) string {
			if !sendable(text) {
				return unsendable
			}
			s.APIKey = NewSecret(text)
			return ""
		},
		fill: func() {},
		text: func() string { return cmp.Or(s.APIKey.String(), none) },
	}
}

// model is the setting of the model that programs ask for, if nothing else names one.
func (s *Service) model() *field {
	return &field{
		Row:    setting.Row{Key: "model", Env: "MODEL", Unset: none, Doc: "the model of `holdfast embed`, unless it names another"},
		kind:   setting.Text,
		values: "text",
		parse: func(text, shows string) string {
			if len(text) > maxModel || !sendable(text) {
				return fmt.Sprintf("%s must be the name of a model, at most %d bytes without control characters", shows, maxModel)
			}
			s.Model = text
			return ""
		},
		fill: func() {},
		text: func() string { return cmp.Or(s.Model, none) },
	}
}

// maxModel bounds the name of a model, in bytes.
const maxModel = 256

// kind is the setting of the API of a provider that is in the file only.
func (p *Provider) kind() *field {
	return &field{
		Row:    setting.Row{Key: "kind", Env: "KIND", Unset: none, Doc: "the API; `openai` is the embeddings API of OpenAI, which many services have"},
		kind:   setting.Text,
		values: "`openai`",
		parse: func(text, shows string) string {
			if text != KindOpenAI {
				return shows + " must be " + KindOpenAI + ", or left out"
			}
			p.Kind = text
			return ""
		},
		fill: func() {},
		text: func() string { return cmp.Or(p.Kind, none) },
	}
}

// headers is the setting of the other headers, which only the file has.
func (s *Service) headers(info setting.Row) *field {
	return &field{
		Row:    info,
		values: "text, by name",
		fill:   func() {},
		text:   func() string { return cmp.Or(strings.Join(slices.Sorted(maps.Keys(s.Header)), ", "), none) },
	}
}
