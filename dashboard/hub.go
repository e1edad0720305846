package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
)

const (
	maxCards   = 200 // clients and policies on the page; of more, the others are counted
	maxNotes   = 100 // in the feed
	maxHistory = 120 // samples, so two minutes
	judgedBy   = 5   // samples that decide the health
)

// hub samples the statistics for all open pages, at most once a second and only while one
// is open.
type hub struct {
	registry *holdfast.Registry
	failures *Failures

	mu      sync.Mutex
	viewers int
	sampled time.Time
	cards   map[string]*card
	hidden  int // clients and policies without a card
	notes   []note
	noteSeq uint64
	ticked  []byte // the tick of the last sample
	// marks are the last note and failure before each of the last samples. A tick has what
	// came after the oldest, because a page may miss a tick.
	marks [3]mark
}

type mark struct{ note, failure uint64 }

// card is what the page shows of a client or a policy.
type card struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"` // client or policy
	Health  string  `json:"health"`
	Rank    int     `json:"rank"` // of the health: the greater, the more trouble
	Why     string  `json:"why"`
	Breaker string  `json:"breaker"`
	Now     cell    `json:"now"`
	History []cell  `json:"history,omitempty"` // the oldest first; only in a state
	Flying  int     `json:"in_flight"`
	Queued  int     `json:"queued"`
	Permits int     `json:"permits"`
	Streams int     `json:"streams"`
	P50     float64 `json:"p50"` // of the last minute, in milliseconds, as the next
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
	Timed   bool    `json:"timed"` // the three above are known

	total holdfast.Counts // at the last sample
}

// cell is what happened between two samples, per second.
type cell struct {
	Answered float64 `json:"a"`
	Retried  float64 `json:"r"`
	Failed   float64 `json:"f"`
	Rejected float64 `json:"x"`
	Waited   float64 `json:"w"` // operations that met a cooldown
	Breaker  string  `json:"b"` // closed, open, half-open or off
}

// note is a line of the feed.
type note struct {
	Seq    uint64 `json:"seq"`
	At     int64  `json:"at"` // Unix milliseconds
	Client string `json:"client"`
	Text   string `json:"text"`
}

// view is a state or a tick.
type view struct {
	Now      int64     `json:"now"` // Unix milliseconds
	Cards    []*card   `json:"cards"`
	Hidden   int       `json:"hidden"`
	Notes    []note    `json:"notes"`
	Failures []failure `json:"failures"`
}

func (h *hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewers == maxViewers {
		return false
	}
	h.viewers++
	return true
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers--
}

// state is all that the page shows.
func (h *hub) state(now time.Time) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sample(now)
	return h.encode(now, true, h.notes, h.failures.after(0))
}

// tick is what has changed since the sample before: the same bytes for all pages.
func (h *hub) tick(now time.Time) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sample(now)
	return h.ticked
}

func (h *hub) encode(now time.Time, history bool, notes []note, failures []failure) []byte {
	v := view{Now: now.UnixMilli(), Cards: h.sorted(), Hidden: h.hidden, Notes: notes, Failures: failures}
	if !history {
		for i, c := range v.Cards {
			short := *c
			short.History = nil
			v.Cards[i] = &short
		}
	}
	b, err := json.Marshal(v)
	if err != nil { // a number that JSON has not
		return []byte(`{"cards":[]}`)
	}
	return b
}

// sorted returns the cards, those in trouble first.
func (h *hub) sorted() []*card {
	all := make([]*card, 0, len(h.cards))
	for _, c := range h.cards {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *card) int {
		return cmp.Or(b.Rank-a.Rank, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// sample reads the statistics, if the last time is long enough ago. The lock is held.
func (h *hub) sample(now time.Time) {
	since := now.Sub(h.sampled)
	if since < sampleEvery*9/10 {
		return
	}
	fresh := since > 5*sampleEvery // no page was open: the history has a gap
	h.sampled = now
	seen := map[string]bool{}
	h.hidden = 0
	copy(h.marks[:], h.marks[1:])
	h.marks[len(h.marks)-1] = mark{h.noteSeq, h.failures.last()}
	take := func(kind, name string, total holdfast.Counts, fill func(*card)) {
		key := kind + " " + name
		c := h.cards[key]
		if c == nil {
			if len(h.cards) >= maxCards {
				h.hidden++
				return
			}
			if h.cards == nil {
				h.cards = map[string]*card{}
			}
			c = &card{Name: bounded(name), Kind: kind, total: total}
			h.cards[key] = c
		} else if fresh {
			c.History, c.total = nil, total
		}
		seen[key] = true
		fill(c)
		c.next(total, since)
		h.judge(now, c)
	}
	for name, s := range h.registry.Stats() {
		take("client", name, s.Counts, func(c *card) {
			c.Breaker, c.Flying, c.Queued, c.Permits, c.Streams = s.BreakerState, s.InFlight, s.Queued, s.Permits, s.Streams
			l := s.LastMinute.Latency
			c.Timed, c.P50, c.P95, c.P99 = l.Count > 0, milliseconds(l.P50), milliseconds(l.P95), milliseconds(l.P99)
		})
	}
	for name, s := range h.registry.PolicyStats() {
		take("policy", name, s.Counts, func(c *card) { c.Breaker, c.Queued = s.BreakerState, s.Queued })
	}
	for key := range h.cards {
		if !seen[key] { // closed
			delete(h.cards, key)
		}
	}
	if len(h.notes) > maxNotes {
		h.notes = slices.Delete(h.notes, 0, len(h.notes)-maxNotes)
	}
	from := h.marks[0]
	i := slices.IndexFunc(h.notes, func(n note) bool { return n.Seq > from.note })
	var notes []note
	if i >= 0 {
		notes = h.notes[i:]
	}
	h.ticked = h.encode(now, false, notes, h.failures.after(from.failure))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// next adds a cell to the history.
func (c *card) next(total holdfast.Counts, since time.Duration) {
	rate := func(now, before uint64) float64 {
		if len(c.History) == 0 || now < before {
			return 0
		}
		return float64(now-before) / since.Seconds()
	}
	c.Now = cell{
		Answered: rate(total.Succeeded, c.total.Succeeded), Retried: rate(total.Retries, c.total.Retries),
		Failed: rate(total.Failed, c.total.Failed), Rejected: rate(total.Rejected, c.total.Rejected),
		Waited: rate(total.Cooldowns, c.total.Cooldowns), Breaker: c.Breaker,
	}
	c.Now.Failed = max(0, c.Now.Failed-c.Now.Rejected) // a rejection is a failed operation, too
	c.total = total
	if c.History = append(c.History, c.Now); len(c.History) > maxHistory {
		c.History = slices.Delete(c.History, 0, len(c.History)-maxHistory)
	}
}

// healths are the words for the health, by rank.
var healths = [...]string{"idle", "healthy", "waiting", "cooling down", "retrying", "failing", "probing", "open"}

const (
	idle = iota
	healthy
	waiting
	coolingDown
	retrying
	failing
	probing
	open
)

// judge finds the health of a client by its last samples, and notes a change.
func (h *hub) judge(now time.Time, c *card) {
	var sum cell
	for _, one := range c.History[max(0, len(c.History)-judgedBy):] {
		sum.Answered += one.Answered
		sum.Retried += one.Retried
		sum.Failed += one.Failed
		sum.Rejected += one.Rejected
		sum.Waited += one.Waited
	}
	all := sum.Answered + sum.Failed + sum.Rejected
	before := c.Rank
	switch {
	case c.Breaker == "open":
		c.Rank, c.Why = open, "the circuit breaker is open: calls are rejected"
	case c.Breaker == "half-open":
		c.Rank, c.Why = probing, "the circuit breaker lets probes through"
	case sum.Failed+sum.Rejected > all/10:
		c.Rank, c.Why = failing, fmt.Sprintf("%.0f %% of the calls fail", 100*(sum.Failed+sum.Rejected)/all)
	case sum.Retried > all/20:
		c.Rank, c.Why = retrying, fmt.Sprintf("%.0f retries for 100 calls", 100*sum.Retried/max(all, sum.Retried))
	case sum.Waited > 0:
		c.Rank, c.Why = coolingDown, "the service asked for a wait"
	case c.Queued > 0:
		c.Rank, c.Why = waiting, fmt.Sprintf("%d calls wait for a permit", c.Queued)
	case all > 0 || c.Flying > 0:
		c.Rank, c.Why = healthy, "calls are answered"
	default:
		c.Rank, c.Why = idle, "no calls"
	}
	c.Health = healths[c.Rank]
	if c.Rank != before && len(c.History) > 1 && max(c.Rank, before) > healthy {
		h.noteSeq++
		h.notes = append(h.notes, note{h.noteSeq, now.UnixMilli(), c.Name, c.Health + ": " + c.Why})
	}
}
