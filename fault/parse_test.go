package fault

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const everything = `{
  "version": 1, "seed": 18446744073709551615,
  "pace": [
    {"when": {"until": "9s"}, "latency": {"fixed": "8ms"}},
    {"match": {"path": "/v1/*"}, "latency": {"uniform": {"min": "0s", "max": "20ms"}}}
  ],
  "rules": [
    {"name": "warm up", "match": {"method": "POST", "path": "/embeddings", "header": {"X-Shard": "a"}}, "nth": "1-2",
     "fault": {"status": 503, "body": "busy", "header": {"X-Why": "load"}, "retry_after": "2s"}},
    {"nth": "3-", "fault": {"statuses": [503, 503, 200]}},
    {"when": {"from": "5s", "until": "10s"}, "probability": 0.5, "fault": {"commit": true, "reset": "before_answer"}},
    {"fault": {"close": "before_answer"}},
    {"fault": {"hang": "after_headers"}},
    {"fault": {"cut": {"after": 10, "by": "rst"}, "latency": {"lognormal": {"median": "50ms", "p99": "800ms"}}}},
    {"fault": {"mix": [{"weight": 1.5, "fault": {"status": 500}}, {"weight": 2, "fault": {"healthy": true}}]}}
  ]
}`

func everythingPlan() Plan {
	return Plan{
		Version: 1, Seed: math.MaxUint64,
		Pace: []Pace{
			{When: Window{Until: 9 * s}, Latency: Latency{Fixed: 8 * ms}},
			{Match: Match{Path: "/v1/*"}, Latency: Latency{Uniform: &Uniform{0, 20 * ms}}},
		},
		Rules: []Rule{
			{Name: "warm up", Match: Match{Method: "POST", Path: "/embeddings", Header: map[string]string{"X-Shard": "a"}}, Nth: "1-2",
				Fault: Fault{Status: 503, Body: "busy", Header: map[string]string{"X-Why": "load"}, RetryAfter: 2 * s}},
			{Nth: "3-", Fault: Fault{Statuses: []int{503, 503, 200}}},
			{When: Window{5 * s, 10 * s}, Probability: 0.5, Fault: Fault{Commit: true, Reset: BeforeAnswer}},
			{Fault: Fault{Close: BeforeAnswer}},
			{Fault: Fault{Hang: AfterHeaders}},
			{Fault: Fault{Cut: &Cut{After: 10, By: RST}, Latency: &Latency{Lognormal: &Lognormal{50 * ms, 800 * ms}}}},
			{Fault: Fault{Mix: []Choice{{1.5, Fault{Status: 500}}, {2, Fault{Healthy: true}}}}},
		},
	}
}

func TestParseReadsEverything(t *testing.T) {
	got, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if want := everythingPlan(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestThePlanInThePackageComment keeps the package comment correct.
func TestThePlanInThePackageComment(t *testing.T) {
	source, err := os.ReadFile("plan.go")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(source), "# A plan in JSON\n//\n")
	sample, _, _ = strings.Cut(sample, "package fault")
	plan, err := Parse([]byte(strings.ReplaceAll(sample, "//\t", "")))
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Pace) != 2 || len(plan.Rules) != 6 || len(plan.Connections) != 2 || plan.Capacity == nil {
		t.Errorf("%d entries of pace, %d rules", len(plan.Pace), len(plan.Rules))
	}
}

func TestMarshalWritesWhatParseReads(t *testing.T) {
	data, err := json.Marshal(struct{ Plan Plan }{everythingPlan()})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Plan Plan }
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if want := everythingPlan(); !reflect.DeepEqual(got.Plan, want) {
		t.Errorf("got  %+v\nwant %+v", got.Plan, want)
	}
}

func TestParseProblems(t *testing.T) {
	tests := []struct {
		name, json string
		want       []string
	}{
		{"nothing", ``, []string{`line 1, column 1: unexpected end of JSON input`}},
		{"not JSON", "{\n  \"seed\": 7,\n  oops\n}", []string{`line 3, column 3: invalid character 'o' looking for beginning of object key string`}},
		{"more than one value", `{} {}`, []string{`line 1, column 4: invalid character '{' after top-level value`}},
		{"not an object", `[]`, []string{`a list must be an object`}},
		{"another version", `{"version": 2}`, []string{`version: 2 is not known: must be 1`}},
		{"a status, with its path", `{"rules": [{"fault": {"healthy": true}}, {"fault": {"healthy": true}}, {"fault": {"status": 99}}]}`,
			[]string{`rules[2].fault.status: 99 must be 200 to 599`}},
		{"all problems at once, of meaning and form, and each once",
			`{"sede": 7, "rules": [{"fault": {"statsu": 503}}, {"nth": "0", "fault": {"status": "503"}}, {"probability": 1.5, "fault": {}}], "seed": 1, "seed": -2}`,
			[]string{
				`sede: unknown key; did you mean seed?`,
				`rules[0].fault.statsu: unknown key; did you mean status?`,
				`rules[1].fault.status: "503" must be a whole number`,
				`seed: is given twice`,
				`rules[1].nth: "0" must be a number from 1, a range like "1-2", or "4-" for all from the fourth on`,
				`rules[2].probability: 1.5 must be above 0 and at most 1`,
				`rules[2].fault: is empty: name a fault, or healthy`,
			}},
		{"a key without a similar one", `{"rules": [{"when": {"whatever": "1s"}, "fault": {"healthy": true}}]}`,
			[]string{`rules[0].when.whatever: unknown key; known are from, until`}},
		{"a probability of 0", `{"rules": [{"probability": 0, "fault": {"status": 500}}]}`,
			[]string{`rules[0].probability: 0 must be above 0; leave it out for always`}},
		{"types", `{"seed": 1.5, "pace": {}, "rules": [{"name": 1, "when": {"from": 5}, "match": {"header": {"A": 1}}, "fault": {"healthy": 1, "cut": null, "mix": [{"weight": "x"}], "latency": {"fixed": "soon"}}}]}`,
			[]string{
				`seed: 1.5 must be a whole number from 0 to 18446744073709551615`,
				`pace: an object must be a list`,
				`rules[0].name: 1 must be a string`,
				`rules[0].when.from: 5 must be a duration in quotes, as "250ms" or "2s"`,
				`rules[0].match.header.A: 1 must be a string`,
				`rules[0].fault.healthy: 1 must be true or false`,
				`rules[0].fault.cut: null must be an object`,
				`rules[0].fault.mix[0].weight: "x" must be a number`,
				`rules[0].fault.latency.fixed: "soon" must be a duration, as "250ms" or "2s"`,
				`rules[0].fault.mix[0].fault: is empty: name a fault, or healthy`,
			}},
		{"match and when", `{"rules": [{"match": {"method": "post", "path": "embeddings", "header": {"a b": "c"}}, "when": {"from": "-1s", "until": "-2s"}, "fault": {"healthy": true}},
			{"match": {"path": "/a*b"}, "when": {"from": "3s", "until": "3s"}, "nth": "5-4", "fault": {"healthy": true}}]}`,
			[]string{
				`rules[0].match.method: "post" must be a method in upper case`,
				`rules[0].match.path: "embeddings" must begin with "/"`,
				`rules[0].match.header: "a b" is not a header's name`,
				`rules[0].when.from: -1s must be 0s or more`,
				`rules[0].when.until: -2s must be after from (-1s), or left out for no end`,
				`rules[1].match.path: "/a*b" may have "*" at its end only`,
				`rules[1].nth: "5-4" must be a number from 1, a range like "1-2", or "4-" for all from the fourth on`,
				`rules[1].when.until: 3s must be after from (3s), or left out for no end`,
			}},
		{"faults that exclude each other", `{"rules": [{"fault": {"status": 500, "reset": "before_answer"}}]}`,
			[]string{`rules[0].fault: has status and reset: a request can have only one of them`}},
		{"fields that need a status", `{"rules": [{"fault": {"hang": "before_answer", "body": "x", "retry_after": "1s", "header": {"A": "b"}}},
			{"fault": {"status": 204, "body": "x", "retry_after": "-1s", "header": {"Content-Length": "3", "Retry-After": "soon", "X": "a\r\nb"}}}]}`,
			[]string{
				`rules[0].fault.header: needs a status`,
				`rules[0].fault.body: needs a status`,
				`rules[0].fault.retry_after: needs a status`,
				`rules[1].fault.retry_after: -1s must be positive`,
				`rules[1].fault.body: cannot be combined with status 204, which has no body`,
				`rules[1].fault.header.Content-Length: is set by the server`,
				`rules[1].fault.header.Retry-After: cannot be combined with retry_after: give one of them`,
				`rules[1].fault.header.X: "a\r\nb" holds a line break or a zero byte`,
			}},
		{"points and cuts", `{"rules": [{"fault": {"hang": "now"}}, {"fault": {"reset": "after_headers"}}, {"fault": {"cut": {"after": -1, "by": "axe"}}}]}`,
			[]string{
				`rules[0].fault.hang: "now" must be "before_answer" or "after_headers"`,
				`rules[1].fault.reset: "after_headers" must be "before_answer" or "next_request"`,
				`rules[2].fault.cut.after: -1 must be 0 or more bytes`,
				`rules[2].fault.cut.by: "axe" must be "fin" or "rst"`,
			}},
		{"commit needs a fault that can come after the work", `{"rules": [{"fault": {"commit": true, "cut": {"after": 1}}}]}`,
			[]string{`rules[0].fault.commit: is valid only with status, statuses, api, reset, close, and hang before_answer: other faults always strike after the work or never do`}},
		{"latencies", `{"pace": [{"latency": {"fixed": "-1s"}}, {"latency": {"fixed": "2h"}}, {"latency": {"uniform": {"min": "2s", "max": "1s"}}},
			{"latency": {"lognormal": {"median": "0s", "p99": "1s"}}}, {"latency": {"lognormal": {"median": "2s", "p99": "1s"}}},
			{"latency": {"fixed": "1s", "uniform": {"max": "1s"}}}], "rules": [{"fault": {"latency": {}}}]}`,
			[]string{
				`pace[0].latency.fixed: -1s must be 0s or more`,
				`pace[1].latency.fixed: 2h0m0s must be at most 1h0m0s`,
				`pace[2].latency.uniform.max: 1s must be at least min (2s)`,
				`pace[3].latency.lognormal.median: 0s must be above 0s`,
				`pace[4].latency.lognormal.p99: 1s must be at least the median (2s)`,
				`pace[5].latency: must have one of fixed, uniform, lognormal, bimodal`,
				`rules[0].fault.latency: is empty: give one of fixed, uniform, lognormal, bimodal`,
			}},
		{"sequences and mixes", `{"rules": [{"probability": 0.5, "fault": {"statuses": [503, 1]}}, {"fault": {"statuses": []}}, {"fault": {"mix": []}},
			{"fault": {"latency": {"fixed": "1s"}, "mix": [{"weight": 0, "fault": {"status": 500}}, {"weight": 1, "fault": {"mix": []}}, {"weight": 1, "fault": {"statuses": [500]}}, {"weight": 1, "fault": {"status": 600}}]}}]}`,
			[]string{
				`rules[0].probability: cannot be combined with fault.statuses, which counts requests`,
				`rules[0].fault.statuses[1]: 1 must be 200 to 599`,
				`rules[1].fault.statuses: is empty: give at least one status`,
				`rules[2].fault.mix: is empty: give at least one choice`,
				`rules[3].fault.latency: cannot be combined with mix: give it to the choices`,
				`rules[3].fault.mix[0].weight: 0 must be above 0`,
				`rules[3].fault.mix[1].fault.mix: cannot be part of a mix`,
				`rules[3].fault.mix[2].fault.statuses: cannot be part of a mix, which is random: give a status`,
				`rules[3].fault.mix[3].fault.status: 600 must be 200 to 599`,
			}},
		{"providers", `{"as": "opnai", "rules": [{"fault": {"api": "overlaoded"}}, {"fault": {"stream": "error", "error": "nothing"}}, {"fault": {"api": "rate_limit", "error": "server_error", "events": 2}},
			{"fault": {"stream": "end_missing", "events": 1, "every": "1s"}}, {"fault": {"stream": "pings", "events": 10001, "every": "-1s"}}, {"fault": {"api": "quota_exhausted", "retry_after": "1s", "body": "x", "retry_after_as": "ms"}},
			{"fault": {"api": "overloaded", "stream": "cut"}}, {"fault": {"stream": "cut", "commit": true, "retry_after": "1s"}}]}`,
			[]string{
				`as: "opnai" is not known; did you mean "openai"?`,
				`rules[0].fault.api: "overlaoded" is not known; did you mean "overloaded"?`,
				`rules[1].fault.stream: "error" must be "error_first" or "error_after" or "pings" or "end_missing" or "end_twice" or "cut" or "malformed"`,
				`rules[1].fault.error: "nothing" must be "overloaded" or "rate_limit" or "quota_exhausted" or "server_error"`,
				`rules[1].fault.error: is valid only with api error_in_200, stream error_first and stream error_after`,
				`rules[2].fault.error: is valid only with api error_in_200, stream error_first and stream error_after`,
				`rules[2].fault.events: is valid only with stream error_after, pings, cut and malformed`,
				`rules[3].fault.events: is valid only with stream error_after, pings, cut and malformed`,
				`rules[3].fault.every: is valid only with stream pings`,
				`rules[4].fault.events: 10001 must be 1 to 10000 events, or left out for 3`,
				`rules[4].fault.every: -1s must be 0s or more`,
				`rules[5].fault.body: needs a status`,
				`rules[5].fault.retry_after_as: needs a status`,
				`rules[5].fault.retry_after: cannot be combined with api quota_exhausted, which tells no wait`,
				`rules[6].fault: has api and stream: a request can have only one of them`,
				`rules[7].fault.retry_after: needs a status`,
				`rules[7].fault.commit: is valid only with status, statuses, api, reset, close, and hang before_answer: other faults always strike after the work or never do`,
			}},
		{"what a provider does not have", `{"as": "github", "rules": [{"fault": {"api": "quota_exhausted"}}, {"fault": {"api": "error_in_200", "error": "quota_exhausted"}}, {"fault": {"mix": [{"weight": 1, "fault": {"stream": "cut"}}]}}, {"fault": {"api": "secondary_rate_limit"}}]}`,
			[]string{
				`rules[0].fault: github has no quota that can be exhausted: use rate_limit`,
				`rules[1].fault: github has no quota that can be exhausted: use rate_limit`,
				`rules[2].fault.mix[0].fault.stream: github has no streams`,
			}},
		{"what only github has", `{"as": "gemini", "rules": [{"fault": {"api": "secondary_rate_limit"}}]}`,
			[]string{`rules[0].fault.api: "secondary_rate_limit" is a limit of github only; use rate_limit`}},
		{"connections", `{"connections": [{"fault": {}}, {"nth": "0", "fault": {"hang": true, "close": true}}, {"nth": "1", "fault": {"refuse": true, "latency": {"fixed": "1s"}}},
			{"probability": 0.5, "fault": {"refuse": true}}, {"fault": {"tls": "expird"}}, {"fault": {"h2": "goaway_graceful"}}, {"fault": {"latency": {}}}, {"falt": {}, "fault": {"hang": true}}]}`,
			[]string{
				`connections[7].falt: unknown key; did you mean fault?`,
				`connections[0].fault: is empty: name a fault`,
				`connections[1].nth: "0" must be a number from 1, a range like "1-2", or "4-" for all from the fourth on`,
				`connections[1].fault: has hang and close: a connection can have only one of them`,
				`connections[2].fault.refuse: depends on time only: the server does not see refused connections, so nth and probability cannot count them`,
				`connections[2].fault.latency: cannot be combined with refuse, which the kernel does at once`,
				`connections[3].fault.refuse: depends on time only: the server does not see refused connections, so nth and probability cannot count them`,
				`connections[4].fault.tls: "expird" is not known; did you mean "expired"?`,
				`connections[5].fault.h2: "goaway_graceful" must be "max_concurrent_1" or "ping_silence"`,
				`connections[6].fault.latency: is empty: give one of fixed, uniform, lognormal, bimodal`,
			}},
		{"flapping and shards", `{"rules": [{"repeat": {"every": "1s", "for": "1s"}, "fault": {"healthy": true}}, {"repeat": {"for": "1s"}, "fault": {"healthy": true}},
			{"match": {"shard": {"of": 0}}, "fault": {"healthy": true}}, {"match": {"shard": {"header": "a b", "of": 4, "is": [4, -1]}}, "fault": {"healthy": true}}]}`,
			[]string{
				`rules[0].repeat.for: 1s must be above 0s and below every (1s)`,
				`rules[1].repeat.every: 0s must be above 0s`,
				`rules[2].match.shard: must have exactly one of header and query for the key`,
				`rules[2].match.shard.of: 0 must be 1 to 1000000 shards`,
				`rules[2].match.shard.is: must name at least one shard`,
				`rules[3].match.shard.header: "a b" is not a header's name`,
				`rules[3].match.shard.is[0]: 4 must be 0 to 3: shards are counted from 0`,
				`rules[3].match.shard.is[1]: -1 must be 0 to 3: shards are counted from 0`,
			}},
		{"forms of Retry-After", `{"rules": [{"fault": {"status": 503, "retry_after_as": "date"}}, {"fault": {"status": 503, "retry_after": "1s", "retry_after_as": "past"}},
			{"fault": {"hang": "before_answer", "retry_after_as": "huge"}}, {"fault": {"status": 503, "retry_after_as": "never"}},
			{"fault": {"quota": {"limit": -1, "per": "0s"}, "retry_after": "1s", "status": 429}}]}`,
			[]string{
				`rules[0].fault.retry_after_as: "date" needs a retry_after`,
				`rules[1].fault.retry_after_as: "past" has its own value: it cannot be combined with retry_after or quota`,
				`rules[2].fault.retry_after_as: needs a status`,
				`rules[3].fault.retry_after_as: "never" must be "seconds" or "date" or "ms" or "past" or "huge" or "overflow" or "garbage"`,
				`rules[4].fault.retry_after: cannot be combined with quota, which sends the time left in its period`,
				`rules[4].fault.status: cannot be combined with quota, which answers with 429`,
				`rules[4].fault.quota.limit: -1 must be 0 or more requests`,
				`rules[4].fault.quota.per: 0s must be above 0s`,
			}},
		{"parts, drops and sizes", `{"rules": [{"fault": {"cut": {"of": "foot"}}}, {"fault": {"stall": {"after": -1, "for": "-1s"}}}, {"fault": {"drip": {"of": "chunks", "bytes": -1}}},
			{"fault": {"h1": "garbage", "size": 5}}, {"fault": {"gzip": "bomb", "size": -1}}, {"fault": {"h1": "chunk_size_malfromed"}}, {"fault": {"h2": "ping_silence"}},
			{"fault": {"close": "next_request", "commit": true}}, {"fault": {"mix": [{"weight": 1, "fault": {"quota": {"limit": 1, "per": "1s"}}}]}}]}`,
			[]string{
				`rules[0].fault.cut.of: "foot" must be "head" or "body" or "chunks"`,
				`rules[1].fault.stall.after: -1 must be 0 or more bytes`,
				`rules[1].fault.stall.for: -1s must be 0s or more`,
				`rules[2].fault.drip.of: "chunks" must be "head" or "body"`,
				`rules[2].fault.drip.bytes: -1 must be 1 or more bytes, or left out for 1`,
				`rules[2].fault.drip.every: 0s must be above 0s`,
				`rules[3].fault.size: is valid only with gzip bomb, h1 header_oversized and h1 interim_flood`,
				`rules[4].fault.size: -1 must be 1 to 1073741824 bytes, or left out`,
				`rules[5].fault.h1: "chunk_size_malfromed" is not known; did you mean "chunk_size_malformed"?`,
				`rules[6].fault.h2: "ping_silence" must be "goaway_graceful" or "goaway_excluding" or "goaway_enhance_your_calm" or "rst_stream_refused" or "rst_stream_internal" or "rst_stream_after_headers"`,
				`rules[7].fault.commit: is valid only with status, statuses, api, reset, close, and hang before_answer: other faults always strike after the work or never do`,
				`rules[8].fault.mix[0].fault.quota: cannot be part of a mix, which is random`,
			}},
		{"capacity", `{"capacity": {"workers": -1, "queue": 2000000, "service_time": "-1s", "latency": {"base": "2h", "per_in_flight": "-1s"}, "abandoned": "lost"}, "rules": [{"fault": {"latency": {"bimodal": {"fast": "2s", "slow": "1s", "slow_share": 1}}}}]}`,
			[]string{
				`rules[0].fault.latency.bimodal.slow: 1s must be at least fast (2s)`,
				`rules[0].fault.latency.bimodal.slow_share: 1 must be above 0 and below 1`,
				`capacity.workers: -1 must be 0 to 1000000`,
				`capacity.queue: 2000000 must be 0 to 1000000`,
				`capacity.service_time: -1s must be 0s or more`,
				`capacity.latency.base: 2h0m0s must be at most 1h0m0s`,
				`capacity.latency.per_in_flight: -1s must be 0s or more`,
				`capacity.abandoned: "lost" must be "finished" or "dropped"`,
			}},
		{"a queue without workers", `{"capacity": {"queue": 1}}`, []string{`capacity.queue: needs workers: without a limit on workers no request waits`}},
		{"bounds", `{"rules": [` + strings.Repeat(`{"fault":{"healthy":true}},`, MaxRules) + `{"fault":{"healthy":true}}]}`,
			[]string{`rules: has 1001 rules, at most 1000 are allowed`}},
		{"more rules than any list may have", `{"rules": [` + strings.Repeat(`{},`, MaxStatuses) + `{}]}`,
			[]string{`rules: has 10001 entries, at most 10000 are allowed`}},
		{"too long", strings.Repeat(" ", MaxPlanBytes) + "{}",
			[]string{`has 1048578 bytes, at most 1048576 are allowed`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.json))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			var got []string
			for _, p := range e.Problems {
				got = append(got, p.String())
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	// As many unknown keys and empty faults as fit into a text.
	_, err := Parse([]byte(`{"rules": [` + strings.Repeat(`{"a":0},`, MaxStatuses-1) + `{}], "pace": [` + strings.Repeat(`{"a":0},`, MaxStatuses-1) + `{}]}`))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if n := len(e.Problems); n > 2*MaxProblems+2 || e.Problems[MaxProblems].String() != "and more that are not listed" {
		t.Errorf("%d problems, the last %s", n, e.Problems[n-1])
	}
}

func TestErrorText(t *testing.T) {
	one := &Error{[]Problem{{"seed", "is odd"}}}
	two := &Error{append(one.Problems, Problem{"", "is empty"})}
	if got, want := one.Error(), "fault plan: seed: is odd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := two.Error(), "fault plan: 2 problems\n  seed: is odd\n  is empty"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestValidateInGo(t *testing.T) {
	for name, plan := range map[string]Plan{
		"a probability that is not a number": {Rules: []Rule{{Probability: math.NaN(), Fault: Fault{Status: 500}}}},
		"a weight that is not a number":      {Rules: []Rule{{Fault: Fault{Mix: []Choice{{math.NaN(), Fault{Status: 500}}}}}}},
		"weights without a finite sum":       {Rules: []Rule{{Fault: Fault{Mix: []Choice{{math.MaxFloat64, Fault{Status: 500}}}}}}},
		"no fault":                           {Rules: []Rule{{Nth: "1"}}},
		"a body too long":                    {Rules: []Rule{{Fault: Fault{Status: 500, Body: strings.Repeat("x", MaxBody+1)}}}},
	} {
		if _, err := plan.Compile(); err == nil {
			t.Errorf("%s: compiles", name)
		}
	}
	if err := (Plan{}).Validate(); err != nil {
		t.Errorf("the zero plan: %v", err)
	}
}

func TestCatalog(t *testing.T) {
	catalog := map[ID]bool{}
	for _, entry := range Catalog() {
		if catalog[entry.ID] {
			t.Errorf("%s is twice in the catalog", entry.ID)
		}
		catalog[entry.ID] = true
		if entry.Purpose == "" || entry.Faithful == "" {
			t.Errorf("%s has no purpose or no description of its faithfulness", entry.ID)
		}
	}
	applied := map[ID]bool{IDCapacityQueue: true, IDCapacityLoad: true, IDCapacityRefuse: true} // applied by the server
	for _, f := range everyFault() {
		for _, id := range f.ids() {
			applied[id] = true
		}
	}
	for _, f := range everyConnFault() {
		for _, id := range f.ids() {
			applied[id] = true
		}
	}
	for id := range applied {
		if strings.HasPrefix(string(id), "h2.") { // listed by package h2fault
			delete(applied, id)
		}
	}
	if !reflect.DeepEqual(catalog, applied) {
		t.Errorf("the catalog has %v, faults apply %v", catalog, applied)
	}
	if len(catalog) < 45 {
		t.Errorf("%d faults", len(catalog))
	}
}

// everyFault has a fault for each word and field of a request's rule.
func everyFault() []Fault {
	all := []Fault{
		{Status: 503, RetryAfter: time.Second, Commit: true, Latency: &Latency{Fixed: 1}},
		{Hang: BeforeAnswer}, {Hang: AfterHeaders},
		{Reset: BeforeAnswer}, {Reset: NextRequest}, {Close: BeforeAnswer}, {Close: NextRequest},
		{Quota: &Quota{Limit: 1, Per: time.Second}},
		{Drip: &Drip{Every: 1}}, {Drip: &Drip{Every: 1, Of: Head}},
		{Endless: true},
	}
	for _, w := range wordsOf[Part]() {
		all = append(all, Fault{Cut: &Cut{Of: w}}, Fault{Cut: &Cut{Of: w, By: RST}}, Fault{Stall: &Stall{Of: w}})
	}
	for _, w := range wordsOf[RetryForm]() {
		f := Fault{Status: 503, RetryAfterAs: w}
		switch w {
		case RetrySeconds, RetryDate, RetryMillis:
			f.RetryAfter = time.Second
		}
		all = append(all, f)
	}
	for _, w := range wordsOf[Redirect]() {
		all = append(all, Fault{Redirect: w})
	}
	for _, w := range wordsOf[Upload]() {
		all = append(all, Fault{Upload: w})
	}
	for _, w := range wordsOf[Gzip]() {
		all = append(all, Fault{Gzip: w})
	}
	for _, w := range wordsOf[H1]() {
		all = append(all, Fault{H1: w})
	}
	for _, w := range wordsOf[API]() {
		all = append(all, Fault{API: w})
	}
	for _, w := range wordsOf[Stream]() {
		all = append(all, Fault{Stream: w})
	}
	for _, w := range h2Requests {
		all = append(all, Fault{H2: w})
	}
	return all
}

func everyConnFault() []ConnFault {
	all := []ConnFault{{Refuse: true}, {Hang: true}, {Close: true}, {Reset: true}, {Latency: &Latency{Fixed: 1}}}
	for _, w := range wordsOf[TLS]() {
		all = append(all, ConnFault{TLS: w})
	}
	for _, w := range h2Connections {
		all = append(all, ConnFault{H2: w})
	}
	return all
}

func wordsOf[W ~string]() []W {
	var all []W
	for _, text := range vocabulary[reflect.TypeFor[W]()] {
		all = append(all, W(text))
	}
	return all
}

// TestEveryFaultIsAPlan: each fault has an id, is valid, and is the same after
// writing and reading.
func TestEveryFaultIsAPlan(t *testing.T) {
	plan := Plan{Version: 1}
	for _, f := range everyFault() {
		if len(f.ids()) == 0 {
			t.Errorf("%+v has no id", f)
		}
		plan.Rules = append(plan.Rules, Rule{Fault: f})
	}
	for _, f := range everyConnFault() {
		if len(f.ids()) == 0 {
			t.Errorf("%+v has no id", f)
		}
		plan.Connections = append(plan.Connections, ConnRule{Fault: f})
	}
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan, again) {
		t.Errorf("wrote %+v\nread  %+v", plan, again)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add(wide(f))
	f.Add([]byte(`{"rules": [{"fault": {"mix": [{"weight": 1e308, "fault": {"cut": {}}}]}}]}`))
	f.Add([]byte(`{"rules": [{"nth": "999999999999999-", "fault": {"statuses": [200]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := Parse(data)
		if err != nil {
			return
		}
		m, err := plan.Compile()
		if err != nil {
			t.Fatalf("parsed, but not compiled: %v", err)
		}
		for _, at := range []time.Duration{-1, 0, time.Second, math.MaxInt64} {
			if d := m.Next(at, post); d.Delay < 0 || d.Delay > MaxLatency {
				t.Fatalf("a delay of %s", d.Delay)
			}
			if d := m.NextConnection(at); d.Delay < 0 || d.Delay > MaxLatency {
				t.Fatalf("a connection's delay of %s", d.Delay)
			}
			if _, change := m.Refusing(at); change != 0 && change <= at {
				t.Fatalf("at %s the next change is at %s", at, change)
			}
		}
		written, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, written)
		}
		if !reflect.DeepEqual(again, plan) {
			t.Fatalf("wrote %+v\nread  %+v", plan, again)
		}
	})
}
