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
	// When selects by time since the plan's start; zero is always.
	When Window `json:"when"`
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
}

// Window is the time from From up to, and without, Until, both counted from the
// plan's start. A zero Until means for ever.
type Window struct {
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// Request is what a rule can match. Header may be an http.Header as it is.
type Request struct {
	Method string
	Path   string
	Header map[string][]string
}

func (w Window) holds(now time.Duration) bool {
	return now >= w.From && (w.Until == 0 || now < w.Until)
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
	return true
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
	when        Window
	nth         span
	probability float64
	deck        strikes
	n           uint64 // requests that fitted match and when so far
}

func compileRule(index int, r Rule) rule {
	nth, _ := parseNth(r.Nth) // Validate has seen it
	probability := r.Probability
	if probability == 0 {
		probability = 1
	}
	return rule{index: index, match: r.Match, when: r.When, nth: nth, probability: probability,
		deck: compileFault(r.Fault)}
}

// strikes gives what the rule does to its nth request; nil if it lets it pass.
func (r *rule) strikes(seed uint64, n uint64) *strike {
	if n < r.nth.first || n > r.nth.last {
		return nil
	}
	if r.probability < 1 && (draw{seed, r.index, n, drawProbability}).u() >= r.probability {
		return nil
	}
	return r.deck.pick(n-r.nth.first, draw{seed, r.index, n, drawMix})
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
