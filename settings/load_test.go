package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

const s = time.Second

// env makes a lookup of names and values, in turn.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// parsed is load for tests: the file is called providers.json.
func parsed(text string, pairs ...string) (Settings, error) {
	return load("providers.json", []byte(text), env(pairs...))
}

func mustParse(t *testing.T, text string, pairs ...string) Settings {
	t.Helper()
	got, err := parsed(text, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const threeProblems = `{"providers": {
  "mixedbread": {"retry": {"base_delay": "-5s"}, "timeouts": {"conect": "10s"}},
  "ollama": {"base_url": "localhost:11434"}
}}`

// The problems of a file as a reader of it sees them.
func TestProblemsAsShown(t *testing.T) {
	_, err := parsed(threeProblems)
	equal(t, "text", fmt.Sprint(err), `holdfast: 3 problems in providers.json
  providers.mixedbread.retry.base_delay: -5s must be positive, zero for 1s, or off
  providers.mixedbread.timeouts.conect: unknown key; did you mean connect?
  providers.ollama.base_url: "localhost:11434" has no scheme; did you mean "http://localhost:11434"?`)
}

// groups are the keys of a provider's object.
func groups() string {
	var names []string
	for _, f := range new(Service).fields(preset("x")) {
		if name, _, _ := strings.Cut(f.Key, "."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func TestProblems(t *testing.T) {
	const long = "12345678901234567890123456789012345678901234567890"
	in := func(provider string) string { return `{"providers": {"mixedbread": {` + provider + `}}}` }
	const at = "providers.mixedbread."
	tests := []struct {
		name, file string
		env        []string
		want       []string
	}{
		// the file as a whole
		{"nothing", ``, nil, []string{`line 1, column 1: unexpected end of JSON input`}},
		{"not JSON", "{\n  oops\n}", nil, []string{`line 2, column 3: invalid character 'o' looking for beginning of object key string`}},
		{"more than one value", `{} {}`, nil, []string{`line 1, column 4: invalid character '{' after top-level value`}},
		{"not UTF-8", "{\"\xff\": 1}", nil, []string{`is not UTF-8`}},
		{"too long", strings.Repeat(" ", maxFile) + "{}", nil, []string{`the file is longer than 1048576 bytes`}},
		{"the environment is read all the same", `[`, []string{"OLLAMA_MAX_RETRIES", "x"}, []string{
			`line 1, column 1: unexpected end of JSON input`,
			`OLLAMA_MAX_RETRIES: "x" must be a whole number, or off`,
		}},

		// its shape
		{"not an object", `[]`, nil, []string{`must be an object`}},
		{"providers are none", `{"providers": null}`, nil, []string{`providers: must be an object`}},
		{"a provider is none", `{"providers": {"ollama": "sk-canary"}}`, nil, []string{`providers.ollama: must be an object`}},
		{"a group is none", in(`"retry": 3`), nil, []string{at + `retry: must be an object`}},
		{"unknown keys", `{"provider": {}, "providers": {"ollama": {"timeouts": {"attempt": 1}, "x": 1}}}`, nil, []string{
			`provider: unknown key; did you mean providers?`,
			`providers.ollama.timeouts.attempt: unknown key; known are connect, write, read, acquire, first_event, event, total, embedding, llm, health_check`,
			`providers.ollama.x: unknown key; known are ` + groups(),
		}},
		{"a path is no key", in(`"retry.base_delay": "2s", "": 1`), nil, []string{
			at + `"retry.base_delay": unknown key; known are ` + groups(),
			at + `"": unknown key; known are ` + groups(),
		}},
		{"a key of absurd length", in(`"retry": {"` + long + long + `": 1}`), nil,
			[]string{at + `retry."` + long[:40] + `…": unknown key; known are max_retries, base_delay, max_delay, max_retry_after, max_cooldown, throttled_max_retries, throttled_base_delay, throttled_max_delay, jitter, repeat, nested`}},
		{"twice", `{"providers": {"ollama": {}, "ollama": {"pool": {"max_conns": 1, "max_conns": 2}}}}`, nil,
			[]string{`providers.ollama: is given twice`}},
		{"twice within", in(`"pool": {"max_conns": 1, "max_conns": 2}`), nil, []string{at + `pool.max_conns: is given twice`}},

		// names of providers
		{"a name that makes no variable", `{"providers": {"Über": {}}}`, nil,
			[]string{`providers.Über: its name must begin with a letter, and have only lower-case letters, digits, - and _, at most 64`}},
		{"two names that make the same variables", `{"providers": {"a-b": {"base_url": "http://a.test"}, "a_b": {"base_url": "http://b.test"}}}`, nil,
			[]string{`providers.a_b: needs another name: A_B_BASE_URL would be its variable and that of providers.a-b.base_url`}},
		{"a name that makes one of Ollama's", `{"providers": {"ollama-embedding": {"base_url": "http://a.test"}}}`, nil,
			[]string{`providers.ollama-embedding: needs another name: OLLAMA_EMBEDDING_TIMEOUT would be its variable and that of providers.ollama.timeouts.embedding`}},
		{"no address", `{"providers": {"search": {}, "mixdbread": {}}}`, nil, []string{
			`providers.search.base_url: is empty: must be an address like "https://api.example.com/v1"`,
			`providers.mixdbread.base_url: is empty: must be an address like "https://api.example.com/v1"; or did you mean mixedbread?`,
		}},

		// values
		{"durations", in(`"timeouts": {"connect": "soon", "write": -1, "read": null, "acquire": [], "total": "366d", "attempt": true}`), nil, []string{
			at + `timeouts.connect: "soon" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.write: -1s must be positive, zero for 10s, or off`,
			at + `timeouts.read: null must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.acquire: a list must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.total: "366d" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.attempt: true must be a duration like "90s", or seconds like 90.0, or off`,
		}},
		{"durations out of bounds", in(`"timeouts": {"connect": 1e300, "write": 1e-10, "read": "-1ns", "acquire": -1e-9, "total": 31536001, "attempt": {}}`), nil, []string{
			at + `timeouts.connect: 1e300 must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.write: 1e-10 must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.read: -1ns must be positive, zero for the attempt's, or off`,
			at + `timeouts.acquire: -1ns must be positive, zero for 5s, or off`,
			at + `timeouts.total: 8760h0m1s must be at most 8760h0m0s`,
			at + `timeouts.attempt: an object must be a duration like "90s", or seconds like 90.0, or off`,
		}},
		{"what ParseFloat would read", in(`"timeouts": {"connect": "inf", "write": "0x1p4", "read": "nan", "acquire": "1_0", "total": "", "attempt": "1e999"}`), nil, []string{
			at + `timeouts.connect: "inf" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.write: "0x1p4" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.read: "nan" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.acquire: "1_0" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.total: "" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `timeouts.attempt: "1e999" must be a duration like "90s", or seconds like 90.0, or off`,
		}},
		{"numbers", in(`"retry": {"max_retries": 3.5}, "pool": {"max_conns": -1, "max_idle_conns": "99999999999999999999"}, "max_response_bytes": ` + long), nil, []string{
			at + `retry.max_retries: 3.5 must be a whole number, or off`,
			at + `pool.max_conns: -1 must be positive, zero for 50, or off`,
			at + `pool.max_idle_conns: "99999999999999999999" must be a whole number, or off`,
			at + `max_response_bytes: ` + long[:40] + `… must be a whole number, or off`,
		}},
		{"no retries, as Python says it", in(`"retry": {"max_retries": 0}`), nil,
			[]string{at + `retry.max_retries: 0 may mean two things: must be positive, left out for 3, or off for none`}},
		{"each provider has defaults of its own", `{"providers": {"mixedbread": {"breaker": {"failure_threshold": -2}}, "ollama": {"breaker": {"failure_threshold": -2}, "timeouts": {"llm": -1}}}}`, nil, []string{
			`providers.mixedbread.breaker.failure_threshold: -2 must be positive, zero for 10, or off`,
			`providers.ollama.breaker.failure_threshold: -2 must be positive, zero for 15, or off`,
			`providers.ollama.timeouts.llm: -1s must be positive, zero for 2m0s, or off`,
		}},
		{"what cannot be off", in(`"retry": {"max_delay": "off"}, "breaker": {"open_timeout": -1, "half_open_max_calls": "x"}`), nil, []string{
			at + `retry.max_delay: "off" is not possible here: must be positive or zero for 10s`,
			at + `breaker.open_timeout: -1s must be positive or zero for 1m0s`,
			at + `breaker.half_open_max_calls: "x" must be a whole number`,
		}},
		{"words", in(`"retry": {"jitter": "some", "repeat": 1}, "idempotency_key": "yes", "breaker": {"count_attempts": 1}`), nil, []string{
			at + `retry.jitter: "some" must be full, proportional, decorrelated or none`,
			at + `retry.repeat: 1 must be keyed, safe or never`,
			at + `idempotency_key: "yes" must be true or false`,
			at + `breaker.count_attempts: 1 must be true or false`,
		}},
		{"strings", in(`"base_url": 1, "api_key": 12345678, "request_id_header": {}`), nil, []string{
			at + `base_url: must be a string`,
			at + `api_key: must be a string`,
			at + `request_id_header: must be a string`,
		}},
		{"an address that is none is not missing as well", `{"providers": {"search": {"base_url": 1}}}`, nil,
			[]string{`providers.search.base_url: must be a string`}},
		{"headers", in(`"header": {"X Y": "1", "x-team": "a", "X-Team": "b", "X-N": 1, "X-E": "${NOT_SET}", "X-C": "a\nb"}`), nil, []string{
			at + `header.X-Team: is given twice`,
			at + `header.X-N: must be a string`,
			at + `header.X-E: ${NOT_SET} is not set, or empty`,
			at + `header.X-C: has a control character in it, perhaps the end of a line`,
			at + `header: has the name "X…": must be letters, digits and hyphens`,
		}},
		{"constant ids", in(`"header": {"X-Request-ID": "1", "X-Op": "1", "idempotency-key": "1"}, "request_id_header": "X-Op"`), nil, []string{
			at + `header: Idempotency-Key would be the same key for all calls: must be left out; idempotency_key sends a new one with each call`,
			at + `header: X-Op would be the same id for all calls: must be left out, since each call gets an id of its own`,
			at + `header: X-Request-Id would be the same id for all calls: must be left out, since each call gets an id of its own`,
		}},
		{"a credential as id", in(`"request_id_header": "X-Api-Key"`), nil,
			[]string{at + `request_id_header: "X-Api-Key" must be a header that holds no credential, since logs show the id`}},
		{"two credentials", in(`"api_key": "sk-canary", "header": {"authorization": "Basic sk-canary"}`), nil,
			[]string{at + `header.Authorization: is set beside api_key, which is sent as this header: set one of them`}},

		// what the root package knows
		{"bounds", in(`"pool": {"max_conns": 2097152}, "retry": {"max_retries": 101}, "breaker": {"half_open_max_calls": 1001}, "request_id_header": "X:ID"`), nil, []string{
			at + `pool.max_conns: 2097152 must be at most 1048576`,
			at + `retry.max_retries: 101 must be at most 100`,
			at + `breaker.half_open_max_calls: 1001 must be at most 1000`,
			at + `request_id_header: has the name "X…": must be letters, digits and hyphens`,
		}},
		{"one setting and another", in(`"retry": {"base_delay": 20, "max_delay": 10}`), nil,
			[]string{at + `retry.max_delay: 10s must be at least base_delay, which is 20s`}},
		{"what follows from another problem is not told", in(`"retry": {"base_delay": "x", "max_delay": "500ms"}`), nil,
			[]string{at + `retry.base_delay: "x" must be a duration like "90s", or seconds like 90.0, or off`}},
		{"a value of one configuration, and one of all", `{"providers": {"ollama": {"base_url": "ftp://a.test", "timeouts": {"llm": "9000h"}}}}`, nil, []string{
			`providers.ollama.timeouts.llm: 9000h0m0s must be at most 8760h0m0s`,
			`providers.ollama.base_url: "ftp://a.test" must begin with http:// or https://`,
		}},

		// the environment
		{"by the name of the variable", `{}`, []string{
			"OLLAMA_EMBEDDING_TIMEOUT", "long", "OLLAMA_BASE_URL", "localhost:11434", "MIXEDBREAD_MAX_RETRIES", "101", "MIXEDBREAD_API_KEY", "sk-canary\n",
		}, []string{
			`MIXEDBREAD_API_KEY: has a control character in it, perhaps the end of a line`,
			`MIXEDBREAD_MAX_RETRIES: 101 must be at most 100`,
			`OLLAMA_EMBEDDING_TIMEOUT: "long" must be a duration like "90s", or seconds like 90.0, or off`,
			`OLLAMA_BASE_URL: "localhost:11434" has no scheme; did you mean "http://localhost:11434"?`,
		}},
		{"of the file and of the environment", in(`"pool": {"max_conns": "x"}`), []string{"MIXEDBREAD_MAX_CONNECTIONS", "y"}, []string{
			at + `pool.max_conns: "x" must be a whole number, or off`,
			`MIXEDBREAD_MAX_CONNECTIONS: "y" must be a whole number, or off`,
		}},

		{"a wrong value of the file does not cover up for one of the environment", in(`"pool": {"max_conns": "x"}`), []string{"MIXEDBREAD_MAX_CONNECTIONS", "2097152"}, []string{
			at + `pool.max_conns: "x" must be a whole number, or off`,
			`MIXEDBREAD_MAX_CONNECTIONS: 2097152 must be at most 1048576`,
		}},
		{"what the environment says is shown, whatever the file would expand", in(`"base_url": "http://${HOST}"`), []string{"HOST", "a.test", "MIXEDBREAD_BASE_URL", "a.test"},
			[]string{`MIXEDBREAD_BASE_URL: "a.test" must begin with http:// or https://`}},

		// expansion
		{"expansion", in(`"base_url": "http://${HOST", "api_key": "pa$word", "request_id_header": "${not a name}", "timeouts": {"connect": "${NOT_SET}", "read": "${EMPTY}"}`), []string{"EMPTY", ""}, []string{
			at + `base_url: has a $ that begins no ${NAME}: write $$ for a dollar`,
			at + `api_key: has a $ that begins no ${NAME}: write $$ for a dollar`,
			at + `request_id_header: has a $ that begins no ${NAME}: write $$ for a dollar`,
			at + `timeouts.connect: ${NOT_SET} is not set, or empty`,
			at + `timeouts.read: ${EMPTY} is not set, or empty`,
		}},
		{"what was expanded is not shown", in(`"base_url": "${KEY}", "request_id_header": "${KEY} ", "retry": {"jitter": "${KEY}"}, "timeouts": {"connect": "${KEY}"}`), []string{"KEY", "sk-canary"}, []string{
			at + `retry.jitter: "${KEY}" must be full, proportional, decorrelated or none`,
			at + `timeouts.connect: "${KEY}" must be a duration like "90s", or seconds like 90.0, or off`,
			at + `base_url: the value that its variables make does not hold: must be an address like "https://api.example.com/v1"`,
			at + `request_id_header: the value that its variables make does not hold: must be letters, digits and hyphens`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parsed(test.file, test.env...)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("no problem, but %v", err)
			}
			var got []string
			for _, p := range e.Problems {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error("shows a credential")
			}
		})
	}
}

// A file of nothing but problems is neither told in full nor read for minutes.
func TestProblemsAreBounded(t *testing.T) {
	var keys []string
	for i := range 50_000 {
		keys = append(keys, fmt.Sprintf(`"k%d": 1`, i))
	}
	var e *Error
	if _, err := parsed(`{` + strings.Join(keys, ",") + `}`); !errors.As(err, &e) {
		t.Fatal(err)
	}
	equal(t, "problems", len(e.Problems), 101)
	equal(t, "the last", e.Problems[100].String(), "and more that are not listed")

	keys = keys[:0]
	for i := range 101 {
		keys = append(keys, fmt.Sprintf(`"p%d": {"base_url": "http://a.test"}`, i))
	}
	_, err := parsed(`{"providers": {` + strings.Join(keys, ",") + `}}`)
	equal(t, "providers", fmt.Sprint(err), "holdfast: 1 problem in providers.json\n  providers: has more than 100 providers")
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(path, []byte(`{"providers": {"ollama": {"timeouts": {"llm": 300}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "from the file", got.Ollama.LLMTimeout, 300*s)

	// What a lookup gives beside false is nothing.
	got, err = Load("", func(string) (string, bool) { return "x", false })
	if err != nil {
		t.Error(err)
	}
	equal(t, "not set", got.Ollama, mustParse(t, `{}`).Ollama)

	if err := os.WriteFile(path, []byte("{}"+strings.Repeat(" ", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path, nil)
	if err == nil || !strings.Contains(err.Error(), "the file is longer than 1048576 bytes") {
		t.Error(err)
	}

	_, err = Load(path+"x", nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "holdfast: reading settings: ") {
		t.Error(err)
	}
	if _, err := Load(t.TempDir(), nil); err == nil {
		t.Error("a folder was read")
	}
	_, err = parsed(`{"provider": 1}`, "OLLAMA_MAX_RETRIES", "x")
	equal(t, "with both", fmt.Sprint(err), `holdfast: 2 problems in providers.json and the environment
  provider: unknown key; did you mean providers?
  OLLAMA_MAX_RETRIES: "x" must be a whole number, or off`)
	_, err = parsed(`{}`, "OLLAMA_MAX_RETRIES", "x")
	equal(t, "only in the environment", fmt.Sprint(err), "holdfast: 1 problem in the environment\n  OLLAMA_MAX_RETRIES: \"x\" must be a whole number, or off")
	_, err = Load("", env("MIXEDBREAD_TIMEOUT", "x", "MIXEDBREAD_MAX_RETRIES", "x"))
	equal(t, "without a file", fmt.Sprint(err), `holdfast: 2 problems in the environment
  MIXEDBREAD_TIMEOUT: "x" must be a duration like "90s", or seconds like 90.0, or off
  MIXEDBREAD_MAX_RETRIES: "x" must be a whole number, or off`)
}

// Without a file and an environment there are the settings of requirement B8, name
// by name.
func TestDefaults(t *testing.T) {
	got, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, o := got.Mixedbread.Config(), got.Ollama
	for _, row := range []struct {
		name string
		got  any
		want any
	}{
		{"ollama_embedding_timeout: float = 90.0", o.EmbeddingTimeout, 90 * s},
		{"ollama_llm_timeout: float = 120.0", o.LLMTimeout, 120 * s},
		{"ollama_health_check_timeout: float = 5.0", o.HealthCheckTimeout, 5 * s},
		{"ollama_max_retries: int = 3", o.LLM().Retry.MaxRetries, 3},
		{"ollama_retry_base_delay: float = 1.0", o.LLM().Retry.BaseDelay, 1 * s},
		{"ollama_retry_max_delay: float = 10.0", o.LLM().Retry.MaxDelay, 10 * s},
		{"ollama_circuit_breaker_threshold: int = 15", o.LLM().Breaker.FailureThreshold, 15},
		{"ollama_circuit_breaker_timeout: float = 60.0", o.LLM().Breaker.OpenTimeout, 60 * s},
		{"ollama_circuit_breaker_half_open_max_calls: int = 3", o.LLM().Breaker.HalfOpenMaxCalls, 3},
		{"mixedbread_timeout: float = 60.0", m.Timeouts.Attempt, 60 * s},
		{"mixedbread_max_retries: int = 3", m.Retry.MaxRetries, 3},
		{"mixedbread_retry_base_delay: float = 1.0", m.Retry.BaseDelay, 1 * s},
		{"mixedbread_retry_max_delay: float = 10.0", m.Retry.MaxDelay, 10 * s},
		{"mixedbread_circuit_breaker_threshold: int = 10", m.Breaker.FailureThreshold, 10},
		{"mixedbread_circuit_breaker_timeout: float = 60.0", m.Breaker.OpenTimeout, 60 * s},
		{"mixedbread_circuit_breaker_half_open_max_calls: int = 3", m.Breaker.HalfOpenMaxCalls, 3},
	} {
		equal(t, row.name, row.got, row.want)
	}
	for what, got := range map[string]holdfast.Config{"embedding": o.Embedding(), "llm": o.LLM(), "health": o.HealthCheck()} {
		want := map[string]time.Duration{"embedding": 90 * s, "llm": 120 * s, "health": 5 * s}
		equal(t, what, got.Timeouts.Attempt, want[what])
		equal(t, what+" header", len(got.Header), 0)
	}
	equal(t, "retries of a health check", o.HealthCheck().Retry.MaxRetries, holdfast.Off)
}

// What these settings make is what the provider makes of itself: a registry that
// has a client of one gives it for the other.
func TestTheProviderAgrees(t *testing.T) {
	got := mustParse(t, `{}`, "MIXEDBREAD_API_KEY", "key")
	var r holdfast.Registry
	r.Reset(t)
	if _, err := r.Open("mixedbread", mixedbread.Config("key")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open("mixedbread", got.Mixedbread.Config()); err != nil {
		t.Error(err)
	}
	equal(t, "header", got.Mixedbread.Config().Header, mixedbread.Config("key").Header)
}
