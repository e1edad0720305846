package fault

import (
	"slices"
	"strings"
	"time"
)

// Rule selects requests and names the fault that strikes them.
type Rule struct {
	// Name describes the rule for readers of the plan. It has no effect.
	Name string `json:"name"`
	// Match selects by properties of the request. Zero matches every request.
	Match Match `json:"match"`
	// Nth selects by number among the requests that fit Match and When, counted
	// from 1: "3" is the third, "1-2" the first two, "4-" all from the fourth
	// on. Empty selects all.
	Nth string `json:"nth"`
	// When selects by time since the plan's start. Zero means always.
	When Window `json:"when"`
	// Repeat makes When periodic.
	Repeat Repeat `json:"repeat"`
	// Probability that a selected request is struck, above 0 and at most 1.
	// Zero means 1; JSON omits the key instead.
	Probability float64 `json:"probability" zero:"refused"`
	// Fault strikes the selected requests.
	Fault Fault `json:"fault"`
}

// Match selects requests by their properties. All fields that are set must fit.
// The zero value matches every request. The body is not inspected.
type Match struct {
	// Method in upper case. Empty matches all.
	Method string `json:"method"`
	// Path without the query, decoded, compared exactly: "/v1/embeddings". A
	// final "*" matches every path with that prefix: "/v1/*".
	Path string `json:"path"`
	// Header matches if the request has all of these headers with exactly these
	// values. One of several values of a header is enough; "*" matches any
	// value. Names are case-insensitive.
	Header map[string]string `json:"header"`
	// Query matches the parameters of the URL's query like Header. Names are
	// case-sensitive.
	Query map[string]string `json:"query"`
	// Shard matches requests by the shard of their key. Nil matches all.
	Shard *Shard `json:"shard"`
}

// Shard selects requests by a key, like a store on several machines: if one
// machine is down, the same keys always fail.
type Shard struct {
	// Header is the name of the header with the key. Exactly one of Header and Query
	// is set. The first value counts; a request without one is on no shard.
	Header string `json:"header"`
	// Query is the name of the query parameter with the key.
	Query string `json:"query"`
	// Of is the number of shards, 1 to 1,000,000. A key is on shard FNV-1a(key)
	// modulo Of (64 bits), counted from 0.
	Of int `json:"of"`
	// Is lists the selected shards.
	Is []int `json:"is"`
}

// Request holds the properties of a request that rules use. Header may be an
// http.Header and Query a url.Values.
type Request struct {
	Method string
	Path   string
	Header map[string][]string
	Query  map[string][]string
}

func (m *Match) fits(req Request) bool {
	if m.Method != "" && m.Method != req.Method {
		return false
	}
	if prefix, ok := strings.CutSuffix(m.Path, "*"); ok {
		if !strings.HasPrefix(req.Path, prefix) {
			return false
		}
	} else if m.Path != "" && m.Path != req.Path {
		return false
	}
	for name, value := range m.Header {
		if !hasHeader(req.Header, name, value) {
			return false
		}
	}
	for name, value := range m.Query {
		if values := req.Query[name]; len(values) == 0 || value != "*" && !slices.Contains(values, value) {
			return false
		}
	}
	return m.Shard == nil || m.Shard.fits(req)
}

func (s *Shard) fits(req Request) bool {
	key, ok := s.key(req)
	return ok && slices.Contains(s.Is, int(fnv1a(key)%uint64(s.Of)))
}

func (s *Shard) key(req Request) (string, bool) {
	if s.Query != "" {
		values := req.Query[s.Query]
		return first(values), len(values) > 0
	}
	for have, values := range req.Header {
		if strings.EqualFold(have, s.Header) && len(values) > 0 {
			return values[0], true
		}
	}
	return "", false
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// fnv1a is hash/fnv's New64a without the allocation.
func fnv1a(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(s) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func hasHeader(header map[string][]string, name, value string) bool {
	for have, values := range header {
		if strings.EqualFold(have, name) && len(values) > 0 &&
			(value == "*" || slices.Contains(values, value)) {
			return true
		}
	}
	return false
}

// rule is a compiled Rule.
type rule struct {
	index       int
	match       Match
	timing      timing
	nth         span
	probability float64
	deck        strikes
	n           uint64 // requests that fitted match and timing so far
	quota       *quota // nil: none
}

func compileRule(index int, r Rule) rule {
	nth, _ := parseNth(r.Nth) // Validate has checked it
	probability := r.Probability
	if probability == 0 {
		probability = 1
	}
	return rule{index: index, match: r.Match, timing: timing{r.When, r.Repeat}, nth: nth, probability: probability,
		deck: compileFault(r.Fault), quota: compileQuota(r.Fault)}
}

// strikes returns the strike for request n, or nil, and the state of the quota that
// counted it, or nil.
func (r *rule) strikes(now time.Duration, seed uint64, n uint64) (*strike, *QuotaState) {
	if n < r.nth.first || n > r.nth.last {
		return nil, nil
	}
	if r.probability < 1 && (draw{seed, r.index, n, drawProbability}).u() >= r.probability {
		return nil, nil
	}
	struck := r.deck.pick(n-r.nth.first, draw{seed, r.index, n, drawMix})
	if r.quota != nil {
		return r.quota.take(now, struck)
	}
	return struck, nil
}

// span is an inclusive range of request numbers.
type span struct{ first, last uint64 }

// parseNth reads "3", "1-2" or "4-"; empty is every number.
func parseNth(s string) (span, bool) {
	if s == "" {
		return span{1, ^uint64(0)}, true
	}
	from, until, isRange := strings.Cut(s, "-")
	first, ok := parseCount(from)
	if !ok {
		return span{}, false
	}
	if !isRange {
		return span{first, first}, true
	}
	if until == "" {
		return span{first, ^uint64(0)}, true
	}
	last, ok := parseCount(until)
	return span{first, last}, ok && first <= last
}

// parseCount reads a number from 1 up to 15 digits, without sign or blanks.
func parseCount(s string) (n uint64, ok bool) {
	if len(s) == 0 || len(s) > 15 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n > 0
}
