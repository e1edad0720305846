package settings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// one is every setting of a provider, none at its default.
const one = `{"providers": {"search": {
  "base_url": "https://search.test/${VERSION}",
  "api_key": "a$$b",
  "header": {"x-team": "${TEAM}", "X-Plain": "yes"},
  "timeouts": {"connect": 1.5, "write": "2s", "read": "off", "pool": "250ms", "attempt": 90.0, "total": "1h30m"},
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
	equal(t, "config", c, holdfast.Config{
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
	})

	// None was left out: every setting has another value than its default.
	before := otherProvider("search")
	for i, f := range got.fields() {
		if f.meaning(f.value()) == before.fields()[i].meaning(before.fields()[i].value()) {
			t.Errorf("%s is still %v", f.path, f.value())
		}
	}
}

// Each field goes to the field of holdfast.Config that its path names: what is
// allowed to be off here is allowed there, and the other way round.
func TestOffIsWhatTheRootAllows(t *testing.T) {
	for _, provider := range []string{"mixedbread", "ollama"} {
		mixed, oll := mixedbreadProvider(), ollamaProvider()
		fields := map[string][]field{"mixedbread": mixed.fields(), "ollama": oll.fields()}[provider]
		for _, f := range fields {
			checks := map[string]func() []check{"mixedbread": mixed.checks, "ollama": oll.checks}[provider]
			def := f.value()
			switch into := f.into.(type) {
			case *int:
				*into = holdfast.Off
			case *int64:
				*into = holdfast.Off
			case *time.Duration:
				*into = holdfast.Off
			default:
				continue
			}
			var problems string
			for _, c := range checks() {
				if err := c.config.Validate(); err != nil {
					problems += err.Error()
				}
			}
			if (problems == "") == f.always {
				t.Errorf("%s of %s: always is %t, but the root says %q", f.path, provider, f.always, problems)
			}
			f.set(def, "0", "0")
		}
	}
}

// The environment wins over the file, and the file over the defaults.
func TestPrecedence(t *testing.T) {
	const file = `{"providers": {"mixedbread": {"timeouts": {"attempt": "45s", "pool": 7}, "retry": {"max_retries": 1}}}}`
	got := mustParse(t, file,
		"MIXEDBREAD_TIMEOUT", "30.5", "MIXEDBREAD_MAX_RETRIES", "", "MIXEDBREAD_API_KEY", "$HOME ${literally}", "OLLAMA_LLM_TIMEOUT", "off")
	m := got.Mixedbread
	equal(t, "of all three", m.Timeout, 30*s+500*time.Millisecond)
	equal(t, "of the file, the variable being empty", m.MaxRetries, 1)
	equal(t, "of the file", m.PoolTimeout, 7*s)
	equal(t, "of the defaults", m.ConnectTimeout, 10*s)
	equal(t, "of the environment, not expanded", m.APIKey.Reveal(), "$HOME ${literally}")
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
		i := slices.IndexFunc(got.Sources, func(s Source) bool { return s.Setting == setting })
		equal(t, setting, [2]string{got.Sources[i].Value, got.Sources[i].From()}, want)
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
		shown := func() string {
			i := slices.IndexFunc(got.Sources, func(s Source) bool { return s.Setting == "providers.ollama.base_url" })
			return got.Sources[i].Value
		}
		equal(t, text, [2]string{got.Ollama.BaseURL, shown()}, want)

		got = mustParse(t, `{"providers": {"ollama": {"base_url": "`+text+`"}}}`, append(variables, "OLLAMA_BASE_URL", "http://b.test/v3")...)
		equal(t, "of the environment", shown(), "http://b.test/v3")
	}
}

// What the second seed's config.py has, letter for letter.
const seedSettings = `
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

// Row B8: each of its settings is a variable of the same name, has its default, and
// takes its value as it is written there.
func TestSeedSettings(t *testing.T) {
	m, o := mixedbreadProvider(), ollamaProvider()
	fields := map[string]field{}
	for _, f := range m.fields() {
		fields["MIXEDBREAD_"+f.env] = f
	}
	for _, f := range o.fields() {
		fields["OLLAMA_"+f.env] = f
	}
	for line := range strings.Lines(strings.TrimSpace(seedSettings)) {
		name, rest, _ := strings.Cut(line, ":")
		_, value, _ := strings.Cut(rest, "= ")
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		f, ok := fields[strings.ToUpper(name)]
		if !ok {
			t.Errorf("there is no %s", strings.ToUpper(name))
			continue
		}
		def := f.value()
		if problem := f.set(def, value, value); problem != "" {
			t.Errorf("%s=%s: %s", strings.ToUpper(name), value, problem)
		}
		equal(t, strings.ToUpper(name)+", its default", def, f.value())
	}
}

// A further provider has variables, too, and every setting one source.
func TestFurtherProviders(t *testing.T) {
	got := mustParse(t, `{"providers": {"my-search_2": {"base_url": "http://a.test", "header": {"x-b": "1", "x-a": "2"}}}}`,
		"MY_SEARCH_2_CIRCUIT_BREAKER_THRESHOLD", "4")
	equal(t, "threshold", got.Others["my-search_2"].CircuitBreakerThreshold, 4)
	count := map[string]int{}
	for _, source := range got.Sources {
		count[source.Setting]++
		if source.Setting == "providers.my-search_2.header" {
			equal(t, "header", source.Value, "X-A, X-B")
		}
	}
	equal(t, "sources", len(count), 29+31+29)
	equal(t, "sources", len(got.Sources), 29+31+29)
}

// Zero is the default, also where the file says otherwise.
func TestZeroIsTheDefault(t *testing.T) {
	got := mustParse(t, `{"providers": {"mixedbread": {"base_url": "", "breaker": {"failure_threshold": 5}, "timeouts": {"connect": 0, "read": "0s"}, "max_response_bytes": 0}}}`,
		"MIXEDBREAD_CIRCUIT_BREAKER_THRESHOLD", "0")
	equal(t, "Mixedbread", got.Mixedbread, mixedbreadProvider())
}

// A default gives way to what was set.
func TestMaxDelayGivesWay(t *testing.T) {
	got := mustParse(t, `{}`, "OLLAMA_RETRY_BASE_DELAY", "20")
	equal(t, "max delay", got.Ollama.RetryMaxDelay, 20*s)
}

// The environment mends what is wrong with the file, if it is the address.
func TestAddressFromTheEnvironment(t *testing.T) {
	got := mustParse(t, `{"providers": {"search": {}}}`, "SEARCH_BASE_URL", "http://a.test")
	equal(t, "url", got.Others["search"].BaseURL, "http://a.test")
}

func TestHasCredentials(t *testing.T) {
	for address, want := range map[string]bool{
		"https://api.test/v1":       false,
		"https://api.test/@scope":   false,
		"https://me:canary@a.test":  true,
		"me:canary@a.test":          true,
		"//me:canary@a.test":        true,
		"localhost:11434?k=canary":  true,
		"https:///?k=canary":        true,
		"https://a.test/v1#canary":  true,
		"https://canary@a.test:1/v": true,
	} {
		equal(t, address, hasCredentials(address), want)
		if !want {
			continue
		}
		_, err := parsed(`{"providers": {"ollama": {"base_url": "`+address+`"}}}`, "MIXEDBREAD_BASE_URL", address)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
