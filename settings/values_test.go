package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// one has settings in every form that a file can have them in.
const one = `{"providers": {"search": {
  "base_url": "https://search.test/${VERSION}",
  "api_key": "a$$b",
  "header": {"x-team": "${TEAM}", "X-Plain": "yes"},
  "timeouts": {"connect": 1.5, "write": "2s", "read": "off", "acquire": "250ms", "attempt": 90.0, "total": "1h30m"},
  "pool": {"max_conns": "off", "max_idle_conns": "7", "idle_expiry": 1e2},
  "retry": {"max_retries": "off", "base_delay": "off", "max_delay": "${DELAY}", "max_retry_after": 5, "jitter": "none", "repeat": "safe"},
  "breaker": {"failure_threshold": 4, "open_timeout": 5, "half_open_max_calls": 6, "count_attempts": true},
  "bulkhead": {"max_concurrent": 8, "max_queue": "off"},
  "request_id_header": "X-Id", "idempotency_key": "true", "max_response_bytes": 4294967296,
  "max_event_bytes": 65536, "max_redirects": 2
}}}`

var ofOne = []string{"VERSION", "v1", "TEAM", "in$ra", "DELAY", "20s"}

func TestEveryValue(t *testing.T) {
	got := mustParse(t, one, ofOne...).Others["search"]
	c := got.Config()
	equal(t, "url", c.BaseURL, "https://search.test/v1")
	equal(t, "Authorization", c.Header.Get("Authorization"), "Bearer a$b")
	equal(t, "X-Team", c.Header.Get("X-Team"), "in$ra") // what was put in is not expanded again
	equal(t, "X-Plain", c.Header.Get("X-Plain"), "yes")
	c.Header = nil
	want := holdfast.Config{
		Name:     "search",
		BaseURL:  "https://search.test/v1",
		Timeouts: holdfast.Timeouts{Connect: 1500 * time.Millisecond, Write: 2 * s, Read: holdfast.Off, Acquire: 250 * time.Millisecond, Attempt: 90 * s, Total: 90 * time.Minute},
		Pool:     holdfast.Pool{MaxConns: holdfast.Off, MaxIdleConns: 7, IdleExpiry: 100 * s},
		Retry: holdfast.Retry{MaxRetries: holdfast.Off, BaseDelay: holdfast.Off, MaxDelay: 20 * s, MaxRetryAfter: 5 * s,
			Jitter: holdfast.NoJitter, Repeat: holdfast.RepeatSafe},
		Breaker:         holdfast.BreakerConfig{FailureThreshold: 4, OpenTimeout: 5 * s, HalfOpenMaxCalls: 6, CountAttempts: true},
		Bulkhead:        holdfast.BulkheadConfig{MaxConcurrent: 8, MaxQueue: holdfast.Off},
		RequestIDHeader: "X-Id", IdempotencyKey: true, MaxResponseBytes: 1 << 32,
		MaxEventBytes: 1 << 16, MaxRedirects: 2,
	}
	for _, row := range table {
		if row.Info().Key != "" {
			row.Fill(&want)
		}
	}
	equal(t, "config", c, want)
}

// The environment wins over the file, and the file over the defaults.
func TestPrecedence(t *testing.T) {
	const file = `{"providers": {"mixedbread": {"timeouts": {"attempt": "45s", "acquire": 7}, "retry": {"max_retries": 1}}}}`
	got := mustParse(t, file,
		"MIXEDBREAD_TIMEOUT", "30.5", "MIXEDBREAD_MAX_RETRIES", "", "MIXEDBREAD_API_KEY", "$HOME ${literally}", "OLLAMA_LLM_TIMEOUT", "off")
	m := got.Mixedbread.Config()
	equal(t, "of all three", m.Timeouts.Attempt, 30*s+500*time.Millisecond)
	equal(t, "of the file, the variable being empty", m.Retry.MaxRetries, 1)
	equal(t, "of the file", m.Timeouts.Acquire, 7*s)
	equal(t, "of the defaults", m.Timeouts.Connect, 10*s)
	equal(t, "of the environment, not expanded", got.Mixedbread.APIKey.Reveal(), "$HOME ${literally}")
	equal(t, "of the environment", got.Ollama.LLMTimeout, time.Duration(holdfast.Off))

	for setting, want := range map[string][2]string{
		"providers.mixedbread.timeouts.attempt":  {"30.5s", "$MIXEDBREAD_TIMEOUT"},
		"providers.mixedbread.retry.max_retries": {"1", "providers.json"},
		"providers.mixedbread.timeouts.connect":  {"10s", "default"},
		"providers.mixedbread.api_key":           {"[hidden]", "$MIXEDBREAD_API_KEY"},
		"providers.mixedbread.timeouts.read":     {"the attempt's", "default"},
		"providers.ollama.api_key":               {"none", "default"},
		"providers.ollama.header":                {"none", "default"},
		"providers.ollama.retry.jitter":          {"proportional", "default"},
		"providers.ollama.retry.repeat":          {"keyed", "default"},
		"providers.ollama.timeouts.llm":          {"off", "$OLLAMA_LLM_TIMEOUT"},
	} {
		source := sourceOf(got, setting)
		equal(t, setting, [2]string{source.Value, source.From()}, want)
	}
}

// A token in the path of an address is not shown, wherever it is from; what comes
// before the path is, and so is a variable that holds the address.
func TestVariablesInAnAddress(t *testing.T) {
	variables := []string{"HOST", "gpu", "TOKEN", "canary", "WHOLE", "https://api.test/v2", "SLASH", "a/b"}
	for text, want := range map[string][2]string{ // what counts, and what is shown
		"http://${HOST}:80/v1":             {"http://gpu:80/v1", "http://gpu:80/v1"},
		"http://${HOST}/${TOKEN}/v1":       {"http://gpu/canary/v1", "http://gpu/${TOKEN}/v1"},
		"http://a.test/x-${TOKEN}${TOKEN}": {"http://a.test/x-canarycanary", "http://a.test/x-${TOKEN}${TOKEN}"},
		"${WHOLE}/${TOKEN}":                {"https://api.test/v2/canary", "https://api.test/v2/${TOKEN}"},
		"http://${SLASH}/${TOKEN}":         {"http://a/b/canary", "http://a/b/${TOKEN}"},
		"http://a.test/$$/${TOKEN}":        {"http://a.test/$/canary", "http://a.test/$/${TOKEN}"},
	} {
		got := mustParse(t, `{"providers": {"ollama": {"base_url": "`+text+`"}}}`, variables...)
		equal(t, text, [2]string{got.Ollama.LLM().BaseURL, sourceOf(got, "providers.ollama.base_url").Value}, want)

		got = mustParse(t, `{"providers": {"ollama": {"base_url": "`+text+`"}}}`, append(variables, "OLLAMA_BASE_URL", "http://b.test/v3")...)
		equal(t, "of the environment", sourceOf(got, "providers.ollama.base_url").Value, "http://b.test/v3")
	}
}

// The settings of requirement B8, letter for letter.
const required = `
ollama_embedding_timeout: float = 90.0  # Increased for large batches
ollama_llm_timeout: float = 120.0  # LLM generation timeout
ollama_health_check_timeout: float = 5.0  # Health check timeout
ollama_max_retries: int = 3
ollama_retry_base_delay: float = 1.0
ollama_retry_max_delay: float = 10.0
ollama_circuit_breaker_threshold: int = 15
ollama_circuit_breaker_timeout: float = 60.0
ollama_circuit_breaker_half_open_max_calls: int = 3
mixedbread_timeout: float = 60.0
mixedbread_max_retries: int = 3
mixedbread_retry_base_delay: float = 1.0
mixedbread_retry_max_delay: float = 10.0
mixedbread_circuit_breaker_threshold: int = 10
mixedbread_circuit_breaker_timeout: float = 60.0
mixedbread_circuit_breaker_half_open_max_calls: int = 3
`

// Requirement B8: each setting is a variable of the same name, with the same default, which
// takes the value as it is written there.
func TestRequiredVariables(t *testing.T) {
	fields := map[string]*field{}
	for _, f := range new(Provider).fields(preset(mixedbreadName)) {
		fields["MIXEDBREAD_"+f.Env] = f
	}
	for _, f := range new(Ollama).fields() {
		fields["OLLAMA_"+f.Env] = f
	}
	for line := range strings.Lines(strings.TrimSpace(required)) {
		name, rest, _ := strings.Cut(line, ":")
		_, value, _ := strings.Cut(rest, "= ")
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		f, ok := fields[strings.ToUpper(name)]
		if !ok {
			t.Errorf("there is no %s", strings.ToUpper(name))
			continue
		}
		f.fill()
		def := f.text()
		if problem := f.parse(value, value); problem != "" {
			t.Errorf("%s=%s: %s", strings.ToUpper(name), value, problem)
		}
		equal(t, strings.ToUpper(name)+", its default", def, f.text())
	}
}

// A further provider has variables, too, and every setting one source.
func TestFurtherProviders(t *testing.T) {
	got := mustParse(t, `{"providers": {"my-search_2": {"base_url": "http://a.test", "header": {"x-b": "1", "x-a": "2"}}}}`,
		"MY_SEARCH_2_CIRCUIT_BREAKER_THRESHOLD", "4")
	equal(t, "threshold", got.Others["my-search_2"].Config().Breaker.FailureThreshold, 4)
	count := map[string]int{}
	for _, source := range got.Sources {
		count[source.Setting]++
		if source.Setting == "providers.my-search_2.header" {
			equal(t, "header", source.Value, "X-A, X-B")
		}
	}
	one := len(new(Provider).fields(preset("x")))
	equal(t, "sources", len(count), 3*one-3+len(ollamaTable)) // two have no kind, and Ollama no timeouts.attempt
	equal(t, "sources", len(got.Sources), len(count))
}

// A provider can have an API and a model.
func TestKindAndModel(t *testing.T) {
	got := mustParse(t, `{"providers": {"mine": {"kind": "openai", "base_url": "http://a.test/v1", "model": "m"}, "ollama": {"model": "n"}}}`,
		"MINE_MODEL", "other", "MIXEDBREAD_MODEL", "b")
	equal(t, "kind", got.Others["mine"].Kind, KindOpenAI)
	equal(t, "model", got.Others["mine"].Model+" "+got.Ollama.Model+" "+got.Mixedbread.Model, "other n b")
	equal(t, "source", sourceOf(got, "providers.mine.model"), Source{Setting: "providers.mine.model", Value: "other", Variable: "MINE_MODEL"})
	equal(t, "problem", fmt.Sprint(failed(`{"providers": {"mine": {"kind": "bedrock", "base_url": "http://a.test", "model": "a\nb"}, "mixedbread": {"kind": "openai"}}}`)),
		"holdfast: 3 problems in providers.json\n"+
			"  providers.mixedbread.kind: unknown key; known are "+groups()+"\n"+
			"  providers.mine.kind: \"bedrock\" must be openai, or left out\n"+
			"  providers.mine.model: \"a\\nb\" must be the name of a model, at most 256 bytes without control characters")
}

// Zero is the default, also where the file says otherwise.
func TestZeroIsTheDefault(t *testing.T) {
	got := mustParse(t, `{"providers": {"mixedbread": {"base_url": "", "breaker": {"failure_threshold": 5}, "timeouts": {"connect": 0, "read": "0s"}, "max_response_bytes": 0}}}`,
		"MIXEDBREAD_CIRCUIT_BREAKER_THRESHOLD", "0")
	equal(t, "Mixedbread", got.Mixedbread, mustParse(t, `{}`).Mixedbread)
}

// A default gives way to what was set.
func TestMaxDelayGivesWay(t *testing.T) {
	got := mustParse(t, `{}`, "OLLAMA_RETRY_BASE_DELAY", "20")
	equal(t, "max delay", got.Ollama.LLM().Retry.MaxDelay, 20*s)
}

// The environment mends what is wrong with the file, if it is the address.
func TestAddressFromTheEnvironment(t *testing.T) {
	got := mustParse(t, `{"providers": {"search": {}}}`, "SEARCH_BASE_URL", "http://a.test")
	equal(t, "url", got.Others["search"].Config().BaseURL, "http://a.test")
}

// An address with a part that may hold a credential is refused, and not shown.
func TestAddressesWithCredentials(t *testing.T) {
	for _, address := range []string{
		"https://me:canary@a.test", "me:canary@a.test", "//me:canary@a.test", "localhost:11434?k=canary",
		"https:///?k=canary", "https://a.test/v1#canary", "https://canary@a.test:1/v", "https://a.test/%3Fk=canary",
	} {
		for _, err := range []error{
			failed(`{"providers": {"ollama": {"base_url": "` + address + `"}}}`),
			failed(`{}`, "OLLAMA_BASE_URL", address),
			failed(`{"providers": {"ollama": {"base_url": "${ADDRESS}"}}}`, "ADDRESS", address),
		} {
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

func failed(text string, pairs ...string) error {
	_, err := parsed(text, pairs...)
	return err
}

// sourceOf gives the source of a setting, empty if there is none.
func sourceOf(s Settings, setting string) Source {
	for _, source := range s.Sources {
		if source.Setting == setting {
			return source
		}
	}
	return Source{}
}
