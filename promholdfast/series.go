package promholdfast

import (
	"context"
	"sync/atomic"
	"time"
	"weak"

	"github.com/holdfast-go/holdfast"
)

// The values of labels that holdfast has no codes for. Their texts do not change.
var (
	outcomes     = []string{"success", "failed", "rejected", "canceled"}
	attemptTypes = []string{"original", "retry"}
	rules        = []string{"breaker", "bulkhead", "cooldown"}
	waitsFor     = []string{"permit", "cooldown"}
	streamEnds   = []string{"complete", "cut", "stalled", "left"}
	states       = []string{holdfast.StateClosed, holdfast.StateOpen, holdfast.StateHalfOpen}
	// changes are the changes of a breaker that there are.
	changes = [][2]holdfast.State{
		{holdfast.Closed, holdfast.Open}, {holdfast.Open, holdfast.HalfOpen},
		{holdfast.HalfOpen, holdfast.Open}, {holdfast.HalfOpen, holdfast.Closed},
	}
	reasons = reasonsOf()
	classes = classesOf()
)

// The indexes in the lists above.
const (
	success, failed, rejected, canceled         = 0, 1, 2, 3
	original, retry                             = 0, 1
	forPermit, forCooldown                      = 0, 1
	complete, cut, stalled, left                = 0, 1, 2, 3
	ruleBreaker, ruleBulkhead, ruleCooldown     = 0, 1, 2
	noClass, unclassified, firstClass       int = 0, 1, 2 // in classes
)

// reasonsOf are the codes of all reasons by their values.
func reasonsOf() (all []string) {
	for r := holdfast.ReasonNone; r == holdfast.ReasonNone || r.String() != ""; r++ {
		all = append(all, r.String())
	}
	return all
}

// classesOf are the values of the label class: none for an attempt that succeeded,
// unclassified for an error of a policy's function that nothing classifies, and the codes.
func classesOf() []string {
	all := []string{"none", "unclassified"}
	for c := holdfast.ClassNone + 1; c.String() != ""; c++ {
		all = append(all, c.String())
	}
	return all
}

// series are the series of one value of the label client. It is the Recorder of all
// clients, policies and breakers of that name.
type series struct {
	metrics *Metrics
	name    string
	created time.Time

	// Under Metrics.mu.
	sources []source
	last    bool // nothing is left of the sources, and the scrape knows it

	// kinds are the kinds of the sources so far.
	operations, clients, breakers atomic.Bool

	once       *histogram // calls that succeed with the first attempt, which takes as long
	calls      []lazyHistogram
	attempts   [][]lazyHistogram // by type and class
	firstEvent lazyHistogram
	delays     lazyHistogram
	waits      []lazyHistogram
	stopped    []atomic.Uint64
	rejections []atomic.Uint64
	changes    []atomic.Uint64
	ends       []atomic.Uint64

	scopes map[string]bool // those with series of their own, under Metrics.collecting
}

// lazyHistogram is made by its first duration, because most combinations of labels never
// occur.
type lazyHistogram struct {
	made atomic.Pointer[histogram]
}

func (l *lazyHistogram) of(s *series) *histogram {
	if h := l.made.Load(); h != nil {
		return h
	}
	l.made.CompareAndSwap(nil, newHistogram(s.metrics.scale, s.metrics.options.Exemplar != nil))
	return l.made.Load()
}

func newSeries(m *Metrics, name string) *series {
	s := &series{
		metrics: m, name: name, created: time.Now(), once: newHistogram(m.scale, m.options.Exemplar != nil), calls: make([]lazyHistogram, len(outcomes)),
		waits: make([]lazyHistogram, len(waitsFor)), stopped: make([]atomic.Uint64, len(reasons)), rejections: make([]atomic.Uint64, len(rules)),
		changes: make([]atomic.Uint64, len(changes)), ends: make([]atomic.Uint64, len(streamEnds)), scopes: map[string]bool{},
	}
	for range attemptTypes {
		s.attempts = append(s.attempts, make([]lazyHistogram, len(classes)))
	}
	return s
}

// source is a client, a policy or a breaker that is still there.
type source struct {
	client  weak.Pointer[holdfast.Client]
	policy  weak.Pointer[holdfast.Policy]
	breaker weak.Pointer[holdfast.Breaker]
}

// add adds what is measured, under Metrics.mu.
func (s *series) add(of holdfast.Measured) {
	if len(s.sources) == cap(s.sources) {
		s.prune()
	}
	s.last = false
	s.sources = append(s.sources, source{weak.Make(of.Client), weak.Make(of.Policy), weak.Make(of.Breaker)})
	s.operations.Store(s.operations.Load() || of.Client != nil || of.Policy != nil)
	s.clients.Store(s.clients.Load() || of.Client != nil)
	s.breakers.Store(s.breakers.Load() || of.Breaker != nil || of.Client != nil && of.Client.Breaker() != nil)
}

// prune forgets the sources that are closed or dropped, under Metrics.mu.
func (s *series) prune() {
	left := s.sources[:0:0]
	for _, of := range s.sources {
		if c := of.client.Value(); c != nil && !c.Closed() || of.policy.Value() != nil || of.breaker.Value() != nil {
			left = append(left, of)
		}
	}
	s.sources = left
}

// record records a duration, with an exemplar if one is due.
func (s *series) record(ctx context.Context, h *histogram, d time.Duration, at time.Time) {
	h.record(d)
	if exemplar := s.metrics.options.Exemplar; exemplar != nil && h.isDue(d, at) {
		h.note(d, at, exemplar(ctx))
	}
}

// Succeeded is for holdfast.
func (s *series) Succeeded(ctx context.Context, d holdfast.Succeeded) {
	if d.Attempts == 1 && d.LastTook == d.Took {
		s.record(ctx, s.once, d.Took, d.Time)
	} else {
		s.record(ctx, s.calls[success].of(s), d.Took, d.Time)
		s.record(ctx, s.attempts[typeOf(d.Attempts)][noClass].of(s), d.LastTook, d.Time)
	}
	if d.Stream {
		s.record(ctx, s.firstEvent.of(s), d.Took, d.Time)
	}
}

func typeOf(attempt int) int {
	if attempt > 1 {
		return retry
	}
	return original
}

// Observe is for holdfast.
func (s *series) Observe(ctx context.Context, e holdfast.Event) {
	switch e.Kind {
	case holdfast.EventAttemptDone:
		class := unclassified
		if e.Class != holdfast.ClassNone {
			class = firstClass + int(e.Class) - 1
		}
		s.record(ctx, s.attempts[typeOf(e.Attempt)][class].of(s), e.Duration, e.Time)
	case holdfast.EventRetrying:
		s.record(ctx, s.delays.of(s), e.Delay, e.Time)
	case holdfast.EventFailed:
		s.failed(ctx, e)
	case holdfast.EventBrokeOff:
		s.stopped[e.Reason].Add(1)
	case holdfast.EventPermitAcquired:
		s.record(ctx, s.waits[forPermit].of(s), e.Duration, e.Time)
	case holdfast.EventCoolingDown:
		s.record(ctx, s.waits[forCooldown].of(s), e.Delay, e.Time)
	case holdfast.EventRejected:
		s.rejections[ruleBreaker].Add(1)
	case holdfast.EventBreakerOpened:
		s.changed(e.From, holdfast.Open)
	case holdfast.EventBreakerHalfOpen:
		s.changed(e.From, holdfast.HalfOpen)
	case holdfast.EventBreakerClosed:
		s.changed(e.From, holdfast.Closed)
	case holdfast.EventAnswerEnded:
		s.ends[endOf(e)].Add(1)
	}
}

func (s *series) changed(from, to holdfast.State) {
	for i, c := range changes {
		if c == [2]holdfast.State{from, to} {
			s.changes[i].Add(1)
		}
	}
}

// failed records an operation that failed.
func (s *series) failed(ctx context.Context, e holdfast.Event) {
	how, rule := failed, -1
	switch e.Reason {
	case holdfast.ReasonBreaker:
		rule = ruleBreaker
	case holdfast.ReasonBulkhead:
		rule = ruleBulkhead
	case holdfast.ReasonCooldown:
		rule = ruleCooldown
	case holdfast.ReasonCanceled:
		how = canceled
	}
	switch {
	case e.Attempt > 0:
		s.stopped[e.Reason].Add(1)
	case rule >= 0:
		how = rejected
		s.rejections[rule].Add(1)
	}
	s.record(ctx, s.calls[how].of(s), e.Duration, e.Time)
}

// endOf is how a stream ended.
func endOf(e holdfast.Event) int {
	switch {
	case e.Outcome == holdfast.Success:
		return complete
	case e.Outcome == holdfast.Canceled, e.Outcome == holdfast.Unknown && e.Class == holdfast.ClassTimeout:
		return left
	case e.Class == holdfast.ClassTimeout:
		return stalled
	}
	return cut
}

// snapshot is what the families read of series.
type snapshot struct {
	operations, client, breaker bool // the kinds of the sources
	calls, waits                []*counts
	attempts                    [][]*counts
	seen                        [][]bool // the attempts that have occurred
	firstEvent, delays          *counts
	stopped, rejections         []uint64
	changes, ends               []uint64
	now                         live
}

// live are the sources now, summed up.
type live struct {
	permits, limit, queued, streams int
	isLimited                       bool     // a source has a bulkhead
	states                          []bool   // a source has a breaker in this state
	hasBreaker                      bool     // a source has a breaker
	scopes                          []string // in order
	ofScope                         map[string]*scopeNow
}

// scopeNow is a scope of clients, or the sum of several.
type scopeNow struct {
	states   []bool
	rejected uint64
}

// read reads the series, under Metrics.collecting.
func (s *series) read() *snapshot {
	scale := s.metrics.scale
	read := func(l *lazyHistogram) *counts { return l.made.Load().counts(scale) }
	out := &snapshot{
		operations: s.operations.Load(), client: s.clients.Load(), breaker: s.breakers.Load(),
		firstEvent: read(&s.firstEvent), delays: read(&s.delays),
		stopped: loaded(s.stopped), rejections: loaded(s.rejections), changes: loaded(s.changes), ends: loaded(s.ends),
	}
	once := s.once.counts(scale)
	for i := range s.calls {
		out.calls = append(out.calls, read(&s.calls[i]))
	}
	for i := range s.waits {
		out.waits = append(out.waits, read(&s.waits[i]))
	}
	for t := range s.attempts {
		var ofType []*counts
		var seen []bool
		for c := range s.attempts[t] {
			ofType = append(ofType, read(&s.attempts[t][c]))
			seen = append(seen, s.attempts[t][c].made.Load() != nil)
		}
		out.attempts, out.seen = append(out.attempts, ofType), append(out.seen, seen)
	}
	out.calls[success] = out.calls[success].plus(once)
	out.attempts[original][noClass] = out.attempts[original][noClass].plus(once)
	out.seen[original][noClass] = true
	out.now = s.live()
	return out
}

func loaded(from []atomic.Uint64) (all []uint64) {
	for i := range from {
		all = append(all, from[i].Load())
	}
	return all
}
