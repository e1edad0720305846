package plans

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

func TestYAMLIsJSON(t *testing.T) {
	fromYAML, err := ParseYAML([]byte(`
# Comments are welcome.
version: 1
seed: 18446744073709551615
rules:
  - name: yes                     # text, not true
    match: {path: /v1/*, header: {X-Shard: "3", "X.Dotted": 2001-01-01}}
    nth: 1-2
    fault: {status: 503, retry_after: 2s, body: "a\tb\u00e9"}
  - probability: 1.5e-1
    fault:
      mix:
        - {weight: 1, fault: {hang: before_answer, commit: True}}
        - weight: 2.5
          fault: {endless: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := fault.Parse([]byte(`{"version": 1, "seed": 18446744073709551615, "rules": [
		{"name": "yes", "match": {"path": "/v1/*", "header": {"X-Shard": "3", "X.Dotted": "2001-01-01"}},
		 "nth": "1-2", "fault": {"status": 503, "retry_after": "2s", "body": "a\tbé"}},
		{"probability": 0.15, "fault": {"mix": [
			{"weight": 1, "fault": {"hang": "before_answer", "commit": true}},
			{"weight": 2.5, "fault": {"endless": true}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("from YAML\n%+v\nfrom JSON\n%+v", fromYAML, fromJSON)
	}
}

// Every built-in plan is also YAML, because JSON is YAML.
func TestJSONIsYAML(t *testing.T) {
	for _, b := range Builtins {
		data, err := Builtin(b.Name)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := ParseYAML(data)
		want, _ := fault.Parse(data)
		if err != nil || !reflect.DeepEqual(plan, want) {
			t.Errorf("%s: %v, %+v", b.Name, err, plan)
		}
	}
}

func TestYAMLProblems(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{"", "fault plan: line 1, column 1: is empty; a plan in which nothing goes wrong is {}"},
		{"# nothing\n", "is empty"},
		{"rules: [\n", "fault plan: line 2, column 1: while parsing a flow node: did not find expected node content"},
		{"rules:\n\t- {}\n", "line 2, column 1: "},
		{"seed: \xff", "invalid leading UTF-8 octet"},
		{"seed: 1\n---\nseed: 2\n", "line 2, column 1: a second document begins: a plan is one"},
		{"seed: 1\n---\n[", "while parsing a flow node"},
		{"seed: !!int 1\n", "line 1, column 7: the tag !!int is not allowed"},
		{"rules:\n  - &r {fault: {status: 503}}\n  - *r\n", "line 3, column 5: the alias *r is not allowed"},
		{"? [a]\n: 1\n", "line 1, column 3: a key must be text"},
		{"seed: 1\nversion: 1\nseed: 2\n", "fault plan: line 3, column 1: seed: is given twice"},
		{"seed: 0x1F\n", `line 1, column 1: seed: "0x1F" must be a whole number`},
		{"seed: 007\n", `"007" must be a whole number`},
		{"seed: ~\n", "null must be a whole number"},
		{"rules:\n  - nht: 1\n    fault: {status: 503}\n", "line 2, column 5: rules[0].nht: unknown key; did you mean nth?"},
		{"rules:\n  - nth: 1\n    fault: {status: 503}\n", "line 2, column 5: rules[0].nth: 1 must be a string"},
		{"rules:\n  - nth: '1'\n", "line 2, column 5: rules[0].fault: is empty"},
		{"rules:\n  - fault:\n      status: 503\n      header:\n        X.a.b: \"x\\n\"\n", "line 5, column 9: rules[0].fault.header.X.a.b: "},
		{"- 1\n", "line 1, column 1: a list must be an object"},
		{"rules:\n  - fault: {status: 99}\n  - fault: {status: 503, comit: true}\n",
			"fault plan: 2 problems\n  line 2, column 13: rules[0].fault.status: 99 must be 200 to 599\n  line 3, column 26: rules[1].fault.comit: unknown key; did you mean commit?"},
		{strings.Repeat("[", 20_000), "exceeded max depth"},
		{strings.Repeat(" ", fault.MaxPlanBytes+1), "has 1048577 bytes, at most 1048576 are allowed"},
	} {
		_, err := ParseYAML([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.60q: %v\nwant %s", tt.text, err, tt.says)
		}
	}
}

func FuzzYAML(f *testing.F) {
	f.Add("rules:\n  - nth: 1-2\n    fault: {status: 503}\n")
	f.Add("a: *b\n? [c]\n: !!int 1")
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := ParseYAML([]byte(text))
		if err != nil {
			return
		}
		written, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseYAML(written)
		if err != nil || !reflect.DeepEqual(plan, again) {
			t.Errorf("%q became %s, which became %+v, %v", text, written, again, err)
		}
	})
}
