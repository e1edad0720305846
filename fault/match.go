package fault

import (
	"slices"
	"strings"
	"time"
)

// Rule selects requests and says what strikes them.
type Rule struct {
	// Name is for the reader of the plan; nothing depends on it.
	Name string `json:"name"`
	// Match selects by what the request is; zero fits every request.
	Match Match `json:"match"`
	// Nth selects by number among the requests that fit Match and When, counted
	// from 1: "3" is the third, "1-2" the first two, "4-" all from the fourth on.
	// Empty selects all.
	Nth string `json:"nth"`
	// When selects by time since the plan's start; zero is always. Repeat makes
	// that flap.
	When   Window `json:"when"`
	Repeat Repeat `json:"repeat"`
	// Probability, above 0 and at most 1, that a request which is selected so far
	// is struck. Zero means 1; in JSON it is left out instead.
	Probability float64 `json:"probability" zero:"refused"`
	// Fault strikes the selected requests.
	Fault Fault `json:"fault"`
}

// Match selects requests by what they are. Its zero value fits every request;
// several fields must all fit. Bodies are not looked at.
type Match struct {
	// Method, in upper case; empty fits all.
	Method string `json:"method"`
	// Path without the query, decoded, exact: "/v1/embeddings". One that ends in
	// "*" fits every path that begins with what stands before it: "/v1/*".
	Path string `json:"path"`
	// Header fits if the request has every one of these headers with exactly
	// that value (any one of the header's values); "*" fits any value. Names are
	// compared without regard to case.
	Header map[string]string `json:"header"`
	// Query fits as Header does, by the parameters of the URL's query. Their
	// names are compared exactly.
	Query map[string]string `json:"query"`
	// Shard fits the requests whose key falls on certain shards of many; nil
	// fits all.
	Shard *Shard `json:"shard"`
}

// Shard selects by a key, as a store does that is spread over many machines:
// one machine down is some of the keys down, always the same ones.
type Shard struct {
	// Header or Query names the header or the query parameter whose first value
	// is the key; one of them is given. A request without it fits no shard.
	Header string `json:"header"`
	Query  string `json:"query"`
	// Of is how many shards there are, 1 to 1,000,000. The key belongs to number
	// FNV-1a(key) modulo Of (64 bits), counted from 0.
	Of int `json:"of"`
	// Is lists the numbers that are selected.
	Is []int `json:"is"`
}

// Request is what a rule can match. Header may be an http.Header as it is, and
// Query the url.Values of the URL's query.
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

// fnv1a is hash/fnv's New64a without its allocation.
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

// rule is a Rule made ready: its selectors parsed, its fault split into the
// strikes it can deal out.
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
	nth, _ := parseNth(r.Nth) // Validate has seen it
	probability := r.Probability
	if probability == 0 {
		probability = 1
	}
	return rule{index: index, match: r.Match, timing: timing{r.When, r.Repeat}, nth: nth, probability: probability,
		deck: compileFault(r.Fault), quota: compileQuota(r.Fault)}
}

// strikes gives what the rule does to its nth request; nil if it lets it pass.
func (r *rule) strikes(now time.Duration, seed uint64, n uint64) *strike {
	if n < r.nth.first || n > r.nth.last {
		return nil
	}
	if r.probability < 1 && (draw{seed, r.index, n, drawProbability}).u() >= r.probability {
		return nil
	}
	struck := r.deck.pick(n-r.nth.first, draw{seed, r.index, n, drawMix})
	if r.quota != nil {
		return r.quota.take(now, struck)
	}
	return struck
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
