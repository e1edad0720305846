package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one problem of a plan.
type Problem struct {
	// Path is the place in JSON form: "rules[2].fault.status". Empty means the
	// plan as a whole.
	Path string
	// Message shows the value and the allowed values.
	Message string
}

// String returns "rules[2].fault.status: 99 must be 200 to 599".
func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Error is the error of [Parse], [Plan.Validate] and [Plan.Compile]. It lists
// at least one and at most [MaxProblems] problems.
type Error struct{ Problems []Problem }

// Error returns one line for one problem, else a heading and a line for each.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "fault plan: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fault plan: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Validate checks the plan. The error is an [*Error] with every problem.
func (p Plan) Validate() error {
	var c checker
	c.plan(p)
	return c.err()
}

// checker collects problems.
type checker struct{ problems []Problem }

func (c *checker) addf(path, format string, args ...any) {
	switch {
	case len(c.problems) < MaxProblems:
		c.problems = append(c.problems, Problem{path, fmt.Sprintf(format, args...)})
	case len(c.problems) == MaxProblems:
		c.problems = append(c.problems, Problem{"", "and more that are not listed"})
	}
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{c.problems}
}

func (c *checker) plan(p Plan) {
	if p.Version != 0 && p.Version != 1 {
		c.addf("version", "%d is not known: must be 1", p.Version)
	}
	c.provider(p)
	for i, entry := range p.Pace[:c.atMost("pace", len(p.Pace), MaxRules, "entries")] {
		path := fmt.Sprintf("pace[%d]", i)
		c.match(path+".match", entry.Match)
		c.timing(path, entry.When, entry.Repeat)
		c.latency(path+".latency", entry.Latency)
	}
	for i, r := range p.Connections[:c.atMost("connections", len(p.Connections), MaxRules, "rules")] {
		c.connRule(fmt.Sprintf("connections[%d]", i), r)
	}
	for i, r := range p.Rules[:c.atMost("rules", len(p.Rules), MaxRules, "rules")] {
		c.rule(fmt.Sprintf("rules[%d]", i), r)
	}
	if p.Capacity != nil {
		c.capacity("capacity", *p.Capacity)
	}
}

func (c *checker) rule(path string, r Rule) {
	c.match(path+".match", r.Match)
	c.nth(path+".nth", r.Nth)
	c.timing(path, r.When, r.Repeat)
	c.probability(path+".probability", r.Probability)
	if len(r.Fault.Statuses) > 0 && r.Probability != 0 {
		c.addf(path+".probability", "cannot be combined with fault.statuses, which counts requests")
	}
	c.fault(path+".fault", r.Fault)
}

func (c *checker) nth(path, nth string) {
	if _, ok := parseNth(nth); !ok {
		c.addf(path, `%q must be a number from 1, a range like "1-2", or "4-" for all from the fourth on`, nth)
	}
}

func (c *checker) probability(path string, p float64) {
	if !(p >= 0 && p <= 1) { // not <, so that NaN is caught
		c.addf(path, "%v must be above 0 and at most 1", p)
	}
}

func (c *checker) match(path string, m Match) {
	if m.Method != "" && !isToken(m.Method) || m.Method != strings.ToUpper(m.Method) {
		c.addf(path+".method", "%q must be a method in upper case", m.Method)
	}
	if m.Path != "" && m.Path[0] != '/' && m.Path != "*" {
		c.addf(path+".path", `%q must begin with "/"`, m.Path)
	} else if i := strings.IndexByte(m.Path, '*'); i >= 0 && i < len(m.Path)-1 {
		c.addf(path+".path", `%q may have "*" at its end only`, m.Path)
	}
	for _, name := range sortedKeys(m.Header) {
		if !isToken(name) {
			c.addf(path+".header", "%q is not a header's name", name)
		}
	}
	if m.Shard != nil {
		c.shard(path+".shard", *m.Shard)
	}
}

func (c *checker) shard(path string, s Shard) {
	if (s.Header == "") == (s.Query == "") {
		c.addf(path, "must have exactly one of header and query for the key")
	} else if s.Header != "" && !isToken(s.Header) {
		c.addf(path+".header", "%q is not a header's name", s.Header)
	}
	if s.Of < 1 || s.Of > MaxShards {
		c.addf(path+".of", "%d must be 1 to %d shards", s.Of, MaxShards)
	}
	if len(s.Is) == 0 {
		c.addf(path+".is", "must name at least one shard")
	}
	for i, is := range s.Is[:c.atMost(path+".is", len(s.Is), MaxStatuses, "shards")] {
		if is < 0 || is >= s.Of {
			c.addf(fmt.Sprintf("%s.is[%d]", path, i), "%d must be 0 to %d: shards are counted from 0", is, s.Of-1)
		}
	}
}

func (c *checker) timing(path string, w Window, r Repeat) {
	c.window(path+".when", w)
	switch {
	case r == Repeat{}:
	case r.Every <= 0:
		c.addf(path+".repeat.every", "%s must be above 0s", r.Every)
	case r.For <= 0 || r.For >= r.Every:
		c.addf(path+".repeat.for", "%s must be above 0s and below every (%s)", r.For, r.Every)
	}
}

func (c *checker) window(path string, w Window) {
	if w.From < 0 {
		c.addf(path+".from", "%s must be 0s or more", w.From)
	}
	if w.Until < 0 || w.Until != 0 && w.Until <= w.From {
		c.addf(path+".until", "%s must be after from (%s), or left out for no end", w.Until, w.From)
	}
}

func (c *checker) latency(path string, l Latency) {
	set := 0
	if l.Fixed != 0 {
		set++
		c.wait(path+".fixed", l.Fixed, 0)
	}
	if l.Uniform != nil {
		set++
		c.wait(path+".uniform.min", l.Uniform.Min, 0)
		c.wait(path+".uniform.max", l.Uniform.Max, 1)
		if l.Uniform.Max < l.Uniform.Min {
			c.addf(path+".uniform.max", "%s must be at least min (%s)", l.Uniform.Max, l.Uniform.Min)
		}
	}
	if l.Lognormal != nil {
		set++
		c.wait(path+".lognormal.median", l.Lognormal.Median, 1)
		c.wait(path+".lognormal.p99", l.Lognormal.P99, 1)
		if l.Lognormal.P99 < l.Lognormal.Median {
			c.addf(path+".lognormal.p99", "%s must be at least the median (%s)", l.Lognormal.P99, l.Lognormal.Median)
		}
	}
	if l.Bimodal != nil {
		set++
		c.wait(path+".bimodal.fast", l.Bimodal.Fast, 0)
		c.wait(path+".bimodal.slow", l.Bimodal.Slow, 1)
		if l.Bimodal.Slow < l.Bimodal.Fast {
			c.addf(path+".bimodal.slow", "%s must be at least fast (%s)", l.Bimodal.Slow, l.Bimodal.Fast)
		}
		if !(l.Bimodal.SlowShare > 0 && l.Bimodal.SlowShare < 1) {
			c.addf(path+".bimodal.slow_share", "%v must be above 0 and below 1", l.Bimodal.SlowShare)
		}
	}
	if set > 1 {
		c.addf(path, "must have one of fixed, uniform, lognormal, bimodal")
	}
}

func (c *checker) wait(path string, d, least time.Duration) {
	switch {
	case d < least && least > 0:
		c.addf(path, "%s must be above 0s", d)
	case d < least:
		c.addf(path, "%s must be 0s or more", d)
	case d > MaxLatency:
		c.addf(path, "%s must be at most %s", d, MaxLatency)
	}
}

// atMost returns the number of entries to check.
func (c *checker) atMost(path string, have, most int, what string) int {
	if have > most {
		c.addf(path, "has %d %s, at most %d are allowed", have, what, most)
	}
	return min(have, most)
}

// isToken reports whether s can be a method or a header's name (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
