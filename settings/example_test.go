package settings_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/settings"
)

// write makes a settings file, as an administrator would.
func write(text string) (path string, remove func()) {
	folder, err := os.MkdirTemp("", "holdfast")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(folder, "providers.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(folder) }
}

// A file describes the services, the environment has the keys and what differs
// here.
func ExampleLoad() {
	path, remove := write(`{"providers": {
	  "mixedbread": {"api_key": "${EMBEDDINGS_KEY}", "timeouts": {"attempt": "45s"}},
	  "search": {"base_url": "https://search.example.com", "retry": {"max_retries": "off"}}
	}}`)
	defer remove()
	environment := map[string]string{
		"EMBEDDINGS_KEY":           "mxb_0123456789",
		"OLLAMA_EMBEDDING_TIMEOUT": "120.0",
	}
	lookup := func(name string) (string, bool) { // a program gives os.LookupEnv
		value, ok := environment[name]
		return value, ok
	}

	s, err := settings.Load(path, lookup)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("mixedbread", s.Mixedbread.Config().Timeouts.Attempt, s.Mixedbread.APIKey)
	fmt.Println("ollama", s.Ollama.EmbeddingTimeout, s.Ollama.LLMTimeout, s.Ollama.HealthCheckTimeout)
	fmt.Println("search", s.Others["search"].Config().Timeouts.Attempt)

	var clients holdfast.Registry
	defer clients.Shutdown(context.Background())
	for name, cfg := range map[string]holdfast.Config{
		"mixedbread": s.Mixedbread.Config(),
		"ollama":     s.Ollama.Embedding(),
		"search":     s.Others["search"].Config(),
	} {
		if _, err := clients.Open(name, cfg); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(clients.Names())
	// Output:
	// mixedbread 45s [hidden]
	// ollama 2m0s 2m0s 5s
	// search 1m0s
	// [mixedbread ollama search]
}

// Everything that is wrong is told at once.
func ExampleLoad_problems() {
	path, remove := write(`{"providers": {
	  "mixedbread": {"retry": {"base_delay": "-5s"}, "timeouts": {"conect": "10s"}},
	  "ollama": {"base_url": "localhost:11434"}
	}}`)
	defer remove()

	_, err := settings.Load(path, nil) // nil: the file alone
	var e *settings.Error
	if errors.As(err, &e) {
		for _, p := range e.Problems {
			fmt.Println(p)
		}
	}
	// Output:
	// providers.mixedbread.retry.base_delay: -5s must be positive, zero for 1s, or off
	// providers.mixedbread.timeouts.conect: unknown key; did you mean connect?
	// providers.ollama.base_url: "localhost:11434" has no scheme; did you mean "http://localhost:11434"?
}

// Sources gives the value of each setting, and the place that it is from.
func ExampleSource() {
	path, remove := write(`{"providers": {"mixedbread": {"retry": {"max_delay": 5}}}}`)
	defer remove()
	s, err := settings.Load(path, func(name string) (string, bool) {
		return "2", name == "MIXEDBREAD_MAX_RETRIES"
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, source := range s.Sources {
		if strings.HasPrefix(source.Setting, "providers.mixedbread.retry.") {
			fmt.Printf("%s = %s, from %s\n", source.Setting, source.Value, filepath.Base(source.From()))
		}
	}
	// Output:
	// providers.mixedbread.retry.max_retries = 2, from $MIXEDBREAD_MAX_RETRIES
	// providers.mixedbread.retry.base_delay = 1s, from default
	// providers.mixedbread.retry.max_delay = 5s, from providers.json
	// providers.mixedbread.retry.max_retry_after = 1m0s, from default
	// providers.mixedbread.retry.max_cooldown = 10m0s, from default
	// providers.mixedbread.retry.throttled_max_retries = none, from default
	// providers.mixedbread.retry.throttled_base_delay = none, from default
	// providers.mixedbread.retry.throttled_max_delay = none, from default
	// providers.mixedbread.retry.jitter = proportional, from default
	// providers.mixedbread.retry.repeat = keyed, from default
	// providers.mixedbread.retry.nested = yield, from default
}

func ExampleCloudAPI() {
	cfg := settings.CloudAPI()
	cfg.BaseURL = "https://api.example.com/v1"
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Println(cfg.Timeouts.Attempt, cfg.Retry.MaxRetries, cfg.Breaker.FailureThreshold, cfg.Breaker.OpenTimeout)
	// Output: 1m0s 3 10 1m0s
}

func ExampleLocalService() {
	cfg := settings.LocalService()
	cfg.BaseURL = "http://localhost:11434"
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Println(cfg.Timeouts.Attempt, cfg.Retry.MaxRetries, cfg.Breaker.FailureThreshold, cfg.Breaker.OpenTimeout)
	// Output: 1m30s 3 15 1m0s
}

func ExampleDatabase() {
	query := holdfast.MustPolicy(settings.Database())
	n := 0
	_, err := holdfast.Do(context.Background(), query, func(context.Context) (string, error) {
		n++
		return "", errors.New("duplicate key value") // the statement's fault, not the database's
	})
	fmt.Println(n, err != nil)
	// Output: 1 true
}
