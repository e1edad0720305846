// Package settings reads how each provider is to be called, from a JSON file and
// the environment, and gives it as a [holdfast.Config].
//
//	{"providers": {
//	  "mixedbread": {
//	    "api_key": "${MIXEDBREAD_API_KEY}",
//	    "timeouts": {"attempt": "45s"},
//	    "retry": {"max_retries": 2}
//	  },
//	  "ollama": {"timeouts": {"embedding": 120.0}},
//	  "search": {"base_url": "https://search.example.com"}
//	}}
//
// The environment wins over the file, and the file over the defaults. In the
// file, a string may have ${NAME} in it, which stands for a variable, and $$ for a
// dollar. A variable that is empty counts as one that is not set: that is how
// Docker Compose and CI systems hand on what nobody has set.
//
// A duration is "90s", as [time.ParseDuration] reads it, or a number of seconds,
// 90.0. Zero means the default, and off means none where there can be none.
// docs/settings.md lists every name.
//
// The presets [CloudAPI], [LocalService] and [Database] are for programs that set
// things in code.
package settings

import (
	"time"

	"github.com/holdfast-go/holdfast"
)

// Settings is how each provider is called. [Load] makes it.
type Settings struct {
	Mixedbread Provider
	Ollama     Ollama
	// Others are the further providers of the file, by name. What is not set of
	// them has the defaults that the second seed gives any client
	// ("HttpClientConfig").
	Others map[string]Provider
	// Sources says of every setting where its value came from.
	Sources []Source
}

// Provider is a service whose requests all may take equally long.
type Provider struct {
	Service
	// Timeout is the longest that one attempt may take. Default 60s: "Standard
	// timeout for cloud APIs" (second seed, "Mixedbread Provider" and
	// "HttpClientConfig").
	Timeout time.Duration
}

// Config is what [holdfast.New] takes. It holds the credentials in plain, since
// they are to be sent.
func (p Provider) Config() holdfast.Config { return p.config(p.Timeout) }

// Ollama is a service that takes longer for some requests than for others (second
// seed, "Ollama Provider").
//
// To share connections and breaker among all requests, make one client of
// Embedding, and call it with [holdfast.WithAttemptTimeout] where it shall be
// another timeout.
type Ollama struct {
	Service
	// EmbeddingTimeout is the longest that one attempt may take to embed. Default
	// 90s: "Higher timeout for embeddings (large batches take longer)".
	EmbeddingTimeout time.Duration
	// LLMTimeout is the longest that one attempt may take to generate. Default
	// 120s: "LLM generation timeout".
	LLMTimeout time.Duration
	// HealthCheckTimeout is the longest that a health check may take. Default 5s:
	// "Quick health check timeout (no point waiting long for unhealthy local
	// service)".
	HealthCheckTimeout time.Duration
}

// Embedding is the client's configuration for embeddings. It holds the
// credentials in plain.
func (o Ollama) Embedding() holdfast.Config { return o.config(o.EmbeddingTimeout) }

// LLM is the client's configuration for generating text. It holds the credentials
// in plain.
func (o Ollama) LLM() holdfast.Config { return o.config(o.LLMTimeout) }

// HealthCheck is the client's configuration for health checks: a single attempt,
// since retries would wait long after all. It holds the credentials in plain.
func (o Ollama) HealthCheck() holdfast.Config {
	c := o.config(o.HealthCheckTimeout)
	c.Retry.MaxRetries = holdfast.Off
	return c
}

// Source says where the effective value of a setting came from.
type Source struct {
	Setting string // its place in the file: "providers.mixedbread.retry.base_delay"
	// Value is as it would be written. Credentials are hidden, and a variable in
	// the path of an address is shown by its ${NAME}.
	Value    string
	File     string // the file, if the value is from there
	Variable string // the environment variable, if the value is from there
}

// From is "default", the file's path, or the variable's name after a dollar.
func (s Source) From() string {
	switch {
	case s.Variable != "":
		return "$" + s.Variable
	case s.File != "":
		return s.File
	}
	return "default"
}
