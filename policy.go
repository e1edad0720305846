package holdfast

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Policy protects any function that may fail: an SDK's method, a query. It is
// made once and shared by any number of goroutines; Do, Run and Wrap use it. For
// calls over HTTP that are your own, use a Client.
type Policy struct {
	shared   shared
	resolved atomic.Pointer[policyRules]
}

// policyRules are a policy's settings. An operation loads them once.
type policyRules struct {
	engine.Rules
	on       func(error) bool
	classify func(error) Outcome
}

// PolicyConfig describes a policy. A zero field means its documented default.
//
// Breaker and Bulkhead are pointers because calls share them: two policies may
// have the same, and one that was made anew for each call would never open.
type PolicyConfig struct {
	// Name names the operation in errors, events and logs. Default "operation".
	Name string
	// Retry repeats what failed. Its BaseDelay defaults to 500ms here.
	Retry Retry
	// AttemptTimeout ends the context of an attempt that takes longer. Default
	// none.
	AttemptTimeout time.Duration
	// Total bounds the operation, its attempts and waits together. Default none:
	// the caller's context bounds it.
	Total time.Duration
	// Breaker, if there is one, is asked before every attempt and gets one verdict
	// an operation.
	Breaker *Breaker
	// Bulkhead, if there is one, gives each attempt a slot.
	Bulkhead *Bulkhead
	// Classify says what an error means, where Retry.On is not enough: Throttled
	// for a service that asks for patience, Unknown for what shall be neither
	// repeated nor counted. It replaces Retry.On, and is not asked about the
	// caller's own cancellation. An error that has a method RetryAfter() of type
	// func() time.Duration is asked how long to wait at least.
	Classify func(error) Outcome
}

// NewPolicy returns a policy, which holds nothing that has to be closed. The error
// names every field that is out of bounds.
func NewPolicy(cfg PolicyConfig, opts ...Option) (*Policy, error) {
	ck := &check{in: "PolicyConfig."}
	ck.policy(&cfg)
	r := &policyRules{on: cfg.Retry.On, classify: cfg.Classify, Rules: engine.Rules{
		Retry: retryRules(cfg.Retry), Attempt: cfg.AttemptTimeout, Total: cfg.Total, Waiters: cooldownWaiters,
	}}
	all := ck.collect(opts, forPolicy)
	if err := ck.err(); err != nil {
		return nil, err
	}
	p := new(Policy)
	p.shared.init(cmp.Or(cfg.Name, "operation"), all, cfg.Breaker, cfg.Bulkhead)
	r.Fast = p.shared.FastPath(&r.Rules)
	p.resolved.Store(r)
	return p, nil
}

// MustPolicy is NewPolicy for package variables: it panics on a bad setting.
func MustPolicy(cfg PolicyConfig, opts ...Option) *Policy { return must(NewPolicy(cfg, opts...)) }

// Do calls fn, again where the policy says so, and returns what the last call
// returned. The error is an *Error that wraps fn's own.
//
// Each attempt's context ends when fn returns: consume rows and bodies inside. A
// panic or runtime.Goexit in fn passes through, and leaves neither a slot nor a
// permit behind.
//
// Do not put one policy around another, or around an SDK that repeats by itself:
// each counts for itself, so that two retries inside two are nine attempts, three
// deep 27, all of them at a service that is down already. Repeat where most is
// known of the call, which is innermost, and give the outer policy MaxRetries: Off.
func Do[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	var fast engine.FastPath
	r := p.resolved.Load()
	if !fast.Enter(ctx, &p.shared.Engine, &r.Rules) {
		f := &function[T]{rules: r, fn: fn}
		f.begin(ctx, p)
		return f.run()
	}
	returned := false
	defer func() {
		if !returned { // it panicked, or called Goexit
			fast.Leave(&p.shared.Engine, Unknown)
		}
	}()
	out, err := fn(fast.Attempt)
	returned = true
	if err == nil {
		fast.Leave(&p.shared.Engine, Success)
		p.shared.counts.together.Record(0)
		return out, nil
	}
	f := &function[T]{rules: r, fn: fn, out: out, err: err, made: fast.Attempt}
	f.begin(ctx, p)
	f.Resume(&fast)
	return f.run()
}

// Run is Do for a function that returns no value.
func Run(ctx context.Context, p *Policy, fn func(context.Context) error) error {
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Wrap gives fn with the policy around it: each call of what it returns is an
// operation of its own, as with Do.
func Wrap[In, Out any](p *Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, p, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// function is the operation of a policy.
type function[T any] struct {
	operation
	rules *policyRules
	fn    func(context.Context) (T, error)
	out   T
	first engine.Attempt

	made *lazyctx.Context // the context of the first attempt, if the fast path made it
	err  error            // and what it returned
}

func (f *function[T]) begin(ctx context.Context, p *Policy) {
	f.shared = &p.shared
	f.Begin(f.instrument(ctx), &p.shared.Engine, &f.rules.Rules, f)
}

func (f *function[T]) run() (T, error) {
	d := f.Run()
	return f.out, f.end(d)
}

// Try calls the function once.
func (f *function[T]) Try(n int) *engine.Attempt {
	a := &f.first
	if n > 1 {
		a = new(engine.Attempt)
	}
	f.start(a, n, nil)
	ctx, err := &a.Context, f.err
	if f.made != nil {
		ctx, f.made = f.made, nil
		defer ctx.End()
	} else {
		defer ctx.End()
		f.out, err = f.fn(ctx)
	}
	f.judge(a, ctx, err)
	return a
}

// judge concludes an attempt with the error that the function returned. Where a
// limit ended the attempt, the error becomes one that names it.
func (f *function[T]) judge(a *engine.Attempt, ctx context.Context, err error) {
	if err == nil {
		a.Conclude(judge.Meaning{Outcome: Success}, nil)
		return
	}
	facts := judge.Facts{Ending: judge.Returned}
	if f.Caller.Err() == context.Canceled {
		facts.Canceled = judge.ByCaller
	} else if s, ok := f.Struck(ctx, a.Started); ok {
		facts.Limit, err = s.Limit, &limited{limitOf(s), wire.WithoutURL(err)}
	}
	var asks interface{ RetryAfter() time.Duration }
	if errors.As(err, &asks) {
		facts.RetryAfter = max(0, asks.RetryAfter())
	}
	m := judge.Judge(facts, judge.Rules{})
	if m.AskUser {
		m = f.rules.asked(m, err)
	}
	if m.Cooldown {
		a.Arrived = f.Now()
	}
	a.Conclude(m, wire.WithoutURL(err))
}

// asked is m after Classify or Retry.On.
func (r *policyRules) asked(m judge.Meaning, err error) judge.Meaning {
	o := Transient
	switch {
	case r.classify != nil:
		o = r.classify(err)
		if m.Kind == judge.NoKind {
			m.Kind = judge.KindOfOutcome(o)
		}
	case r.on != nil && !r.on(err):
		o = Permanent
	}
	return m.Classified(o, judge.Rules{MaxRetryAfter: r.Retry.MaxRetryAfter})
}

// limited is an attempt's error together with the limit that caused it.
type limited struct {
	limit error
	err   error
}

func (l *limited) Error() string {
	if l.err == context.DeadlineExceeded {
		return l.limit.Error()
	}
	return l.limit.Error() + ": " + text(l.err)
}

func (l *limited) Unwrap() []error { return []error{l.limit, l.err} }

// Is is a filter for Retry.On: errors that are target.
func Is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// As is a filter for Retry.On: errors of type T, anywhere in the chain.
func As[T error]() func(error) bool {
	return func(err error) bool {
		var target T
		return errors.As(err, &target)
	}
}

// Any is a filter for Retry.On: errors that at least one of the filters matches.
func Any(filters ...func(error) bool) func(error) bool {
	return func(err error) bool {
		for _, f := range filters {
			if f(err) {
				return true
			}
		}
		return false
	}
}
