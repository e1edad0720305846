package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/virtual"
	"github.com/holdfast-go/holdfast/internal/world"
)

// simulation runs callers against services in virtual time. It hashes all that the
// engine tells, and checks the rules by what it has seen from outside: calls of the
// Work, of the breaker's hooks and of the records.
type simulation struct {
	tb       testing.TB
	w        *virtual.World
	start    time.Time
	seed     uint64
	services []*service
	left     int    // operations that have not begun
	ended    int    // operations
	hash     uint64 // of all events
	seen     [eventKinds]int
	errors   int
	idle     []*simulated // memory of operations that have ended
}

// event is a kind of what the engine tells.
type event uint8

const (
	evWaiting event = iota
	evAcquired
	evSaturated
	evCoolingDown
	evCooldownTooLong
	evRejected
	evSucceeded
	evFailed    // an attempt
	evStruck    // an attempt, by a limit
	evCanceled  // an attempt
	evAbandoned // an attempt, by a panic
	evRetrying
	evOpened
	evHalfOpen
	evClosed
	evEnded   // an operation
	evExpired // an operation, at its deadline
	evFast    // an attempt on the fast path
	eventKinds
)

// service is an engine, the service that its attempts call, and what is known of
// the machines from outside.
type service struct {
	*simulation
	number int
	engine Engine
	rules  Rules
	limits bulkhead.Config
	probes int

	state    breaker.State
	epoch    uint64
	probing  int       // probes of this epoch that are under way
	calm     time.Time // the end of the last cooldown
	attempts int       // that are under way, each with a permit
}

func newSimulation(tb testing.TB, seed uint64, operations int) *simulation {
	w := virtual.New(seed)
	s := &simulation{tb: tb, w: w, start: w.Now(), seed: seed, left: operations}
	for i := range 16 {
		s.services = append(s.services, s.newService(i))
	}
	return s
}

// newService has its settings from the bits of its number.
func (s *simulation) newService(i int) *service {
	v := &service{simulation: s, number: i, probes: 1 + i%3, limits: bulkhead.Config{Permits: 30, Queue: 40}}
	v.engine.Breaker = Gate{
		Breaker:       NewBreaker(breaker.Config{Threshold: 5, OpenFor: 2 * time.Second, Probes: v.probes}),
		CountAttempts: i&4 != 0, Hooks: v,
	}
	if i&8 != 0 {
		v.limits.MaxWait = 300 * time.Millisecond
	}
	v.engine.Bulkhead, v.engine.Cooldown = NewBulkhead(v.limits), new(Cooldown)
	v.engine.Listener.All = i%5 == 0
	v.rules = Rules{
		Retry: retry.Config{
			Retries: 3, Base: 100 * time.Millisecond, Max: 2 * time.Second, MaxRetryAfter: 1500 * time.Millisecond,
			Jitter: retry.Jitter(i % 4),
		},
		Waiters: 30,
	}
	if i&2 == 0 {
		v.rules.Attempt = 400 * time.Millisecond
	}
	if i&8 != 0 {
		v.rules.Total = 1500 * time.Millisecond
	}
	v.rules.Fast = v.engine.FastPath(&v.rules)
	return v
}

// newCaller starts a caller, which makes operations one after the other until all are
// made. Between two of them it is a timer, so that it needs a coroutine for its
// operations alone: those that are at rest would be ten times as many, each with a
// stack that the CPU has to fetch again.
func (s *simulation) newCaller() {
	var timer world.Timer
	operate := func() {
		if s.left > 0 {
			s.left--
			timer.Reset(s.operate())
		}
	}
	timer = s.w.AfterFunc(0, func() { s.w.Go(operate) })
}

// newWaitingCaller starts a caller that is a coroutine all the time.
func (s *simulation) newWaitingCaller() {
	s.w.Go(func() {
		for s.left > 0 {
			s.left--
			s.w.World().Sleep(s.w.Background(), s.w.Now().Add(s.operate()))
		}
	})
}

// operate makes an operation, and returns the time until the caller's next one.
func (s *simulation) operate() (pause time.Duration) {
	if len(s.idle) == 0 {
		s.idle = append(s.idle, new(simulated))
	}
	last := len(s.idle) - 1
	o := s.idle[last]
	s.idle = s.idle[:last]
	*o = simulated{service: s.services[int(s.w.Chance()*float64(len(s.services)))]}
	pause = s.between(200*time.Millisecond, time.Second)
	if !o.operate() {
		pause *= 4
	}
	s.ended++
	s.idle = append(s.idle, o)
	return pause
}

func (s *simulation) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.w.Chance()*float64(most-least))
}

// note adds an event to the hash.
func (s *simulation) note(e event, now time.Time, numbers ...int64) {
	s.seen[e]++
	s.mix(uint64(e))
	s.mix(uint64(now.UnixNano()))
	for _, n := range numbers {
		s.mix(uint64(n))
	}
}

func (s *simulation) mix(n uint64) {
	h := (s.hash ^ n) * 0x9e3779b97f4a7c15
	s.hash = h ^ h>>32
}

func (s *simulation) errorf(format string, args ...any) {
	if s.errors++; s.errors > 5 {
		return
	}
	s.tb.Errorf("seed %d, %v: %s", s.seed, s.w.Now().Sub(s.start), fmt.Sprintf(format, args...))
}

// over checks what is left after the last operation.
func (s *simulation) over(operations int) {
	if s.ended != operations {
		s.errorf("%d of %d operations have ended", s.ended, operations)
	}
	for _, v := range s.services {
		if b := v.engine.Bulkhead; b.InUse() != 0 || b.Waiting() != 0 || v.attempts != 0 {
			s.errorf("service %d: %d permits are in use, %d operations wait, %d attempts are under way", v.number, b.InUse(), b.Waiting(), v.attempts)
		}
		if n := v.engine.coolingDown.Load(); n != 0 {
			s.errorf("service %d: %d operations wait out a cooldown", v.number, n)
		}
	}
}

// weather is what a service is like for two seconds.
type weather uint8

const (
	well weather = iota
	down
	slow
	throttling
)

func (v *service) weather() weather {
	n := uint64(v.w.Now().Sub(v.start)/(2*time.Second))<<8 | uint64(v.number)
	n = (n ^ v.seed) * 0x9e3779b97f4a7c15
	return [16]weather{12: slow, 13: throttling, 14: down, 15: down}[n>>60]
}

var errService, errRejected = errors.New("the service failed"), errors.New("the breaker is open")

// asks is an error of a service that asks to be left alone.
type asks struct{ d time.Duration }

func (a *asks) Error() string { return a.d.String() }

// serve is one call of the service. It ends with ctx.
func (v *service) serve(ctx context.Context) error {
	w := v.weather()
	latency := v.between(10*time.Millisecond, 150*time.Millisecond)
	if w == slow {
		latency *= 5
	}
	if v.w.World().Sleep(ctx, v.w.Now().Add(latency)) == world.ByContext {
		return ctx.Err()
	}
	u := v.w.Chance()
	switch {
	case u < 0.001:
		panic(errService)
	case w == down && u < 0.9, u < 0.01:
		return errService
	case w == throttling && u < 0.1, u < 0.011:
		return &asks{v.between(50*time.Millisecond, 2*time.Second)}
	}
	return nil
}

// The hooks of the breaker.

func (v *service) Admit(_ context.Context, w world.World, limit time.Duration) (breaker.Ticket, error) {
	t, retryAt, c, ok := v.engine.Breaker.Allow(w.Now(), limit)
	return v.admitted(t, retryAt, c, ok)
}

func (v *service) Confirm(_ context.Context, w world.World, t breaker.Ticket, limit time.Duration) (breaker.Ticket, error) {
	t, retryAt, c, ok := v.engine.Breaker.Confirm(w.Now(), t, limit)
	return v.admitted(t, retryAt, c, ok)
}

func (v *service) admitted(t breaker.Ticket, retryAt time.Time, c breaker.Change, ok bool) (breaker.Ticket, error) {
	v.changed(c)
	if !ok {
		v.mix(uint64(retryAt.Sub(v.start)))
		return t, errRejected
	}
	return t, nil
}

func (v *service) Done(ctx context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, _ error) {
	if by := simulatedOf(ctx); by != nil {
		by.settled(o)
	}
	v.changed(v.engine.Breaker.Done(w.Now(), t, o))
}

func (v *service) Note(ctx context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, _ error) {
	simulatedOf(ctx).noted(o)
	v.changed(v.engine.Breaker.Note(w.Now(), t, o))
}

func (v *service) AnswerBegan(_ context.Context, w world.World, t breaker.Ticket) {
	v.changed(v.engine.Breaker.AnswerBegan(w.Now(), t))
}

func (v *service) AnswerEnded(_ context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, _ error) {
	v.changed(v.engine.Breaker.AnswerEnded(w.Now(), t, o))
}

func (v *service) changed(c breaker.Change) {
	if !c.Happened() {
		return
	}
	if c.From != v.state || c.Epoch != v.epoch+1 {
		v.errorf("service %d: change %+v, but it is %v of epoch %d", v.number, c, v.state, v.epoch)
	}
	v.state, v.epoch, v.probing = c.To, c.Epoch, 0
	v.note([...]event{breaker.Closed: evClosed, breaker.Open: evOpened, breaker.HalfOpen: evHalfOpen}[c.To], v.w.Now(), int64(v.number), int64(c.Failures))
}

// simulated is one operation. It is made as holdfast.Do makes those of a policy: by
// the fast path if that may be taken.
type simulated struct {
	Operation
	*service
	owned    owned
	caller   lazyctx.Context // if the caller cancels or has a deadline
	canceled bool
	first    Attempt
	made     *lazyctx.Context // of an attempt on the fast path
	err      error            // of this attempt

	waiting   time.Time // when the wait for a permit began
	cooling   time.Time // when the wait for the end of a cooldown ends
	backoff   time.Time // when the wait for the next attempt ends
	last      outcome.Outcome
	transient int // attempts
	retries   int
	notes     int // failed attempts that the breaker was told
	verdicts  int
	verdict   outcome.Outcome
	over      bool
}

// owned is the context of a caller, by which the hooks find the operation.
type owned struct {
	context.Context
	by *simulated
}

type ownerKey struct{}

func (o *owned) Value(key any) any {
	if _, ok := key.(ownerKey); ok {
		return o.by
	}
	return o.Context.Value(key)
}

func simulatedOf(ctx context.Context) *simulated {
	by, _ := ctx.Value(ownerKey{}).(*simulated)
	return by
}

// operate begins the operation, and ends when it has ended: ok if it was answered.
func (o *simulated) operate() (ok bool) {
	o.owned = owned{o.w.Background(), o}
	ctx := context.Context(&o.owned)
	switch u := o.w.Chance(); {
	case u < 0.3:
		o.caller.Init(ctx, o.w.Now().Add(o.between(50*time.Millisecond, 3*time.Second)))
		ctx = &o.caller
	case u < 0.4:
		o.caller.Init(ctx, time.Time{})
		ctx = &o.caller
		cancel := o.w.AfterFunc(o.between(0, time.Second), func() { o.canceled = true; o.caller.End() })
		defer cancel.Stop()
	}
	defer func() {
		if ctx != &o.owned {
			o.caller.End()
		}
		if r := recover(); r != nil && r != errService {
			panic(r)
		}
		o.over = true
	}()
	var fast FastPath
	if !fast.Enter(ctx, &o.engine, &o.rules) {
		return o.run(ctx, nil)
	}
	o.note(evFast, o.w.Now(), int64(o.number))
	returned := false
	defer func() {
		if !returned {
			fast.Leave(&o.engine, outcome.Unknown)
		}
	}()
	o.err = o.serveOnce(fast.Attempt, false)
	if returned = true; o.err != nil {
		o.made = fast.Attempt
		return o.run(ctx, &fast)
	}
	fast.Leave(&o.engine, outcome.Success)
	return true
}

// run takes the operation through the rules, perhaps after the fast path.
func (o *simulated) run(ctx context.Context, fast *FastPath) bool {
	o.Begin(ctx, &o.engine, &o.rules, o)
	if fast != nil {
		o.Resume(fast)
	}
	d := o.Run()
	o.check(d)
	return d.Why == retry.Answered
}

// Try calls the service once.
func (o *simulated) Try(n int) *Attempt {
	a := &o.first
	if n > 1 {
		a = new(Attempt)
	}
	o.Start(a, n, o.Caller, nil)
	ctx, err := &a.Context, o.err
	if o.made != nil {
		ctx, o.made = o.made, nil
		defer ctx.End()
	} else {
		defer ctx.End()
		err = o.serveOnce(ctx, a.Probe)
	}
	o.conclude(a, ctx, err)
	return a
}

// serveOnce calls the service, and checks that the rules allow it.
func (o *simulated) serveOnce(ctx *lazyctx.Context, probe bool) error {
	now, b := o.w.Now(), o.engine.Bulkhead
	if o.attempts++; o.attempts > o.limits.Permits || b.InUse() > o.limits.Permits || b.InUse() < o.attempts {
		o.errorf("service %d: %d attempts are under way, and %d permits in use, of %d", o.number, o.attempts, b.InUse(), o.limits.Permits)
	}
	for _, wait := range [...]time.Time{o.calm, o.cooling, o.backoff} {
		if now.Before(wait) {
			o.errorf("service %d: an attempt starts %v before the end of a cooldown or of its wait", o.number, wait.Sub(now))
		}
	}
	if o.state == breaker.Open || probe != (o.state == breaker.HalfOpen) {
		o.errorf("service %d: an attempt starts while the breaker is %v: probe %v", o.number, o.state, probe)
	}
	epoch := o.epoch
	if probe {
		if o.probing++; o.probing > o.probes {
			o.errorf("service %d: %d probes of %d", o.number, o.probing, o.probes)
		}
	}
	defer func() {
		if o.attempts--; probe && epoch == o.epoch {
			o.probing--
		}
	}()
	return o.serve(ctx)
}

// conclude gives the error of the service the meaning that a policy gives it.
func (o *simulated) conclude(a *Attempt, ctx *lazyctx.Context, err error) {
	if err == nil {
		a.Conclude(judge.Meaning{Outcome: outcome.Success}, nil)
		return
	}
	f, now := judge.Facts{Ending: judge.Returned}, o.w.Now()
	if o.canceled {
		f.Canceled = judge.ByCaller
	} else if struck, ok := o.ReachedLimit(ctx, a.Started); ok {
		f.Limit = struck.Limit
		ends := o.Deadline()
		if struck.Limit == judge.AttemptLimit {
			ends = a.Started.Add(o.AttemptLimit)
		}
		if !now.Equal(ends) {
			o.errorf("service %d: the limit %+v ends an attempt %v late", o.number, struck, now.Sub(ends))
		}
	}
	said := outcome.Transient
	if ask, ok := err.(*asks); ok {
		said, f.RetryAfter = outcome.Throttled, ask.d
	}
	m := judge.Judge(f, judge.Rules{}).Classified(said, judge.Rules{MaxRetryAfter: o.rules.Retry.MaxRetryAfter})
	if m.Cooldown {
		a.Arrived = now
		if end := now.Add(m.RetryAfter); end.After(o.calm) {
			o.calm = end
		}
	}
	a.Conclude(m, err)
}

func (o *simulated) Scope() cooldown.Scope         { return 0 }
func (o *simulated) Told(a *Attempt) cooldown.Told { return cooldown.Told{For: a.RetryAfter} }

// The records.

func (o *simulated) Waiting(now time.Time) {
	o.waiting = now
	o.note(evWaiting, now, int64(o.number))
}

func (o *simulated) Acquired(now time.Time, waited time.Duration, queued bool) {
	if queued && now.Sub(o.waiting) != waited || o.limits.MaxWait > 0 && waited > o.limits.MaxWait {
		o.errorf("service %d: a wait of %v for a permit", o.number, waited)
	}
	o.note(evAcquired, now, int64(waited))
}

func (o *simulated) Saturated(bool) {
	now := o.w.Now()
	if waited := now.Sub(o.waiting); waited != 0 && waited != o.limits.MaxWait {
		o.errorf("service %d: the wait for a permit ends after %v", o.number, waited)
	}
	o.note(evSaturated, now, int64(o.number))
}

func (o *simulated) CoolingDown(now, until time.Time) {
	if o.cooling = until; until.Before(o.calm) {
		o.errorf("service %d: a wait until %v for the end of a cooldown at %v", o.number, until, o.calm)
	}
	o.note(evCoolingDown, now, int64(until.Sub(now)))
}

func (o *simulated) CooldownTooLong(until time.Time) {
	o.note(evCooldownTooLong, o.w.Now(), int64(until.Sub(o.start)))
}

func (o *simulated) Rejected(err error) {
	if o.state == breaker.Closed || err != errRejected {
		o.errorf("service %d: a breaker that is %v rejects: %v", o.number, o.state, err)
	}
	o.note(evRejected, o.w.Now(), int64(o.number))
}

func (o *simulated) Ended(a *Attempt) {
	kind := evFailed
	switch {
	case a.Outcome == outcome.Success:
		kind = evSucceeded
	case a.Outcome == outcome.Canceled:
		kind = evCanceled
	case a.Kind == judge.Timeout:
		kind = evStruck
	}
	if o.last = a.Outcome; a.Outcome == outcome.Transient {
		o.transient++
	}
	o.note(kind, o.w.Now(), int64(a.Number), int64(a.Outcome), int64(a.Took), int64(a.RetryAfter))
}

func (o *simulated) Abandoned(a *Attempt) {
	o.last = outcome.Unknown
	o.note(evAbandoned, o.w.Now(), int64(a.Number))
}

func (o *simulated) Retrying(now time.Time, a *Attempt, d retry.Decision) {
	o.retries++
	o.backoff = d.At
	o.note(evRetrying, now, int64(a.Number), int64(d.Wait), int64(d.Most))
}

func (o *simulated) settled(verdict outcome.Outcome) {
	if o.over {
		o.errorf("service %d: a verdict after the end of the operation", o.number)
	}
	o.verdicts++
	o.verdict = verdict
}

func (o *simulated) noted(failed outcome.Outcome) {
	if failed == outcome.Transient {
		o.notes++
	}
}

// check checks an operation that has ended.
func (o *simulated) check(d retry.Decision) {
	now, deadline := o.w.Now(), o.Deadline()
	kind := evEnded
	if !deadline.IsZero() && !now.Before(deadline) && d.Why != retry.Answered {
		kind = evExpired
	}
	switch {
	case !deadline.IsZero() && now.After(deadline):
		o.errorf("service %d: an operation ends %v after its deadline", o.number, now.Sub(deadline))
	case d.Why == retry.Ended && !o.canceled && !now.Equal(deadline):
		o.errorf("service %d: an operation ends %v before its deadline", o.number, deadline.Sub(now))
	}
	// A verdict that changes nothing is not told. That of a failure does.
	counted := o.notes
	if o.verdict == outcome.Transient {
		counted++
	}
	want := 0
	switch {
	case o.engine.Breaker.CountAttempts:
		want = o.transient
	case o.last == outcome.Transient:
		want = 1
	}
	if o.verdicts > 1 || counted != want {
		o.errorf("service %d: %d verdicts, the last %v, and %d notes, of %d failed attempts, the last %v", o.number, o.verdicts, o.verdict, o.notes, o.transient, o.last)
	}
	o.note(kind, now, int64(o.number), int64(o.Made), int64(d.Why), int64(d.Wait), int64(o.Began.Sub(o.start)))
}
