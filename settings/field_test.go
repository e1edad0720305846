package settings

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/setting"
)

// other gives a value of a setting that is not its default.
func other(s setting.Setting[holdfast.Config]) string {
	switch s.Kind() {
	case setting.Duration:
		return "17s"
	case setting.Number:
		return "17"
	case setting.Flag:
		return "true"
	case setting.Enum: // the last
		values := s.Values()
		return values[strings.LastIndex(values, " ")+1:]
	}
	return "http-x" // holds as the name of a header
}

// Every setting of the table can be set by the file and by the environment, under
// its former name too, and goes to its field. A new setting is asked like all others.
func TestEverySettingOfTheTable(t *testing.T) {
	asked := 0
	for _, row := range table {
		info := row.Info()
		if info.Key == "" || info.Name == headerField {
			continue
		}
		value := other(row)
		if info.Name == baseURLField || info.Name == "Proxy" {
			value = "http://b.test"
		}
		holds := func(how string, got Settings, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s, %s: %v", info.Name, how, err)
				return
			}
			c := got.Others["x"].Config()
			equal(t, info.Name+", "+how, row.Text(&c), value)
			equal(t, info.Name+", its source", sourceOf(got, "providers.x."+info.Key).Value, value)
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		}
		for _, key := range []string{info.Key, info.OldKey} {
			if key != "" {
				asked++
				got, err := parsed(inFile(key, value))
				holds(key, got, err)
			}
		}
		for _, end := range []string{info.Env, info.OldEnv} {
			if end != "" {
				asked++
				got, err := parsed(inFile("base_url", "http://a.test"), "X_"+end, value)
				holds(end, got, err)
			}
		}
	}
	if asked < 50 {
		t.Errorf("%d names were asked", asked)
	}
}

// inFile is a file with one setting of a provider x, and its address.
func inFile(key, value string) string {
	provider := map[string]any{"base_url": "http://a.test"}
	if group, name, ok := strings.Cut(key, "."); ok {
		provider[group] = map[string]any{name: value}
	} else {
		provider[key] = value
	}
	text, err := json.Marshal(map[string]any{"providers": map[string]any{"x": provider}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A former name works, and a warning names the new one.
func TestFormerNames(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        []string
		value      string
		from       string
		warnings   string
		problem    string
	}{
		{"in the file", `"timeouts": {"pool": 7}`, nil, "7s", "providers.json",
			"[providers.ollama.timeouts.pool: is the former name of timeouts.acquire: rename it]", ""},
		{"in the environment", ``, []string{"OLLAMA_POOL_TIMEOUT", "7"}, "7s", "$OLLAMA_POOL_TIMEOUT",
			"[OLLAMA_POOL_TIMEOUT: is the former name of OLLAMA_ACQUIRE_TIMEOUT: rename it]", ""},
		{"in both", `"timeouts": {"acquire": 8}`, []string{"OLLAMA_POOL_TIMEOUT", "7"}, "7s", "$OLLAMA_POOL_TIMEOUT",
			"[OLLAMA_POOL_TIMEOUT: is the former name of OLLAMA_ACQUIRE_TIMEOUT: rename it]", ""},
		{"beside the new one", ``, []string{"OLLAMA_POOL_TIMEOUT", "7", "OLLAMA_ACQUIRE_TIMEOUT", "8"}, "8s", "$OLLAMA_ACQUIRE_TIMEOUT",
			"[OLLAMA_POOL_TIMEOUT: is the former name of OLLAMA_ACQUIRE_TIMEOUT, which is set too: it is ignored]", ""},
		{"the new one alone", ``, []string{"OLLAMA_POOL_TIMEOUT", "", "OLLAMA_ACQUIRE_TIMEOUT", "8"}, "8s", "$OLLAMA_ACQUIRE_TIMEOUT", "[]", ""},
		{"twice in the file", `"timeouts": {"acquire": 8, "pool": 7}`, nil, "", "", "",
			"providers.ollama.timeouts.pool: is given twice, once under a former name"},
		{"twice, the other way round", `"timeouts": {"pool": 7, "acquire": 8}`, nil, "", "", "",
			"providers.ollama.timeouts.acquire: is given twice, once under a former name"},
		{"a value that is wrong", `"timeouts": {"pool": -1}`, nil, "", "", "",
			"providers.ollama.timeouts.pool: -1s must be positive, zero for 5s, or off"},
		{"not a group", `"timeouts": {"pool": {"max_conns": 1}}`, nil, "", "", "",
			`providers.ollama.timeouts.pool: an object must be a duration like "90s", or seconds like 90.0, or off`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsed(`{"providers": {"ollama": {`+tt.file+`}}}`, tt.env...)
			if tt.problem != "" {
				equal(t, "problem", fmt.Sprint(err), "holdfast: 1 problem in providers.json\n  "+tt.problem)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			source := sourceOf(got, "providers.ollama.timeouts.acquire")
			equal(t, "value", source.Value, tt.value)
			equal(t, "from", source.From(), tt.from)
			equal(t, "used", got.Ollama.LLM().Timeouts.Acquire.String(), tt.value)
			equal(t, "warnings", fmt.Sprint(got.Warnings), tt.warnings)
		})
	}
}
