package holdfast

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/call"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/shell"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Policy holds for any function that may fail: an SDK's method, a query. It is
// made once and shared by any number of goroutines; Do and Wrap use it.
//
// For calls over HTTP that are your own, use a Client. A policy keeps no
// statistics, as counting would cost more than all else that it does for a call
// that succeeds; its Breaker does, and an observer is told everything.
type Policy struct {
	rules    rules
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
	all := collect(opts)
	p := &Policy{on: cfg.Retry.On, classify: cfg.Classify, rules: rules{
		name:     cmp.Or(cfg.Name, "operation"),
		retry:    retryRules(cfg.Retry),
		attempt:  cfg.AttemptTimeout,
		total:    cfg.Total,
		breaker:  cfg.Breaker,
		bulkhead: cfg.Bulkhead,
		observer: all.observer(),
	}}
	if err := ck.err(); err != nil {
		return nil, err
	}
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
	q, ok := enter(ctx, &p.rules)
	if !ok {
		f := &function[T]{policy: p, fn: fn}
		f.begin(ctx, &p.rules)
		return f.run()
	}
	returned := false
	defer func() {
		if !returned { // it panicked, or called Goexit
			q.leave(&p.rules, Unknown)
		}
	}()
	out, err := fn(q.attempt)
	returned = true
	if err == nil {
		q.leave(&p.rules, Success)
		return out, nil
	}
	f := &function[T]{policy: p, fn: fn, out: out, err: err, quick: q}
	f.begin(ctx, &p.rules)
	f.began = q.asked // it is too late to look at the clock
	f.ticket, f.slot, f.asked = q.ticket, q.slot, q.asked
	return f.run()
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
	policy *Policy
	fn     func(context.Context) (T, error)
	out    T

	quick quick // its first attempt, if that was made already
	err   error // and what it returned
}

func (f *function[T]) run() (T, error) {
	d := call.Run(f, f.schedule)
	return f.out, f.end(d)
}

// What the quick way has passed already is not asked again.

func (f *function[T]) Admit() bool { return f.quick.attempt != nil || f.operation.Admit() }

func (f *function[T]) Confirm() bool { return f.quick.attempt != nil || f.operation.Confirm() }

func (f *function[T]) Silent() bool { return f.quick.attempt == nil && f.operation.Silent() }

func (f *function[T]) Slot() retry.Reason {
	if f.quick.attempt != nil {
		return retry.Go
	}
	return f.operation.Slot()
}

func (f *function[T]) Attempt(n int) outcome.Result {
	if ctx := f.quick.attempt; ctx != nil {
		f.quick.attempt, f.made = nil, n
		defer ctx.End()
		return f.came(ctx, f.err)
	}
	ctx := f.start(n)
	defer ctx.End()
	var err error
	f.out, err = f.fn(ctx)
	return f.came(ctx, err)
}

// came says what an attempt came to.
func (f *function[T]) came(ctx *shell.Attempt, err error) outcome.Result {
	if err == nil {
		return f.succeeded(0)
	}
	o, kind, noRepeat := f.policy.judge(f.caller, f.timedOut(ctx), &err)
	a := Attempt{Outcome: o, Err: wire.WithoutURL(err)}
	var asks interface{ RetryAfter() time.Duration }
	if errors.As(err, &asks) {
		a.RetryAfter = max(0, asks.RetryAfter())
	}
	return f.failed(a, kind, noRepeat)
}

// judge says what an attempt's error means. Where a limit ended the attempt, the
// error becomes one that says so.
func (p *Policy) judge(ctx context.Context, limit *TimeoutError, err *error) (o Outcome, kind error, noRepeat bool) {
	switch {
	case ctx.Err() == context.Canceled:
		return Canceled, ErrCanceled, true
	case limit != nil:
		// A limit of this side is Transient whatever the filter says of it, or a
		// service that hangs is never noticed. The filter says whether to repeat.
		*err = &limited{limit, wire.WithoutURL(*err)}
		o, _ := p.classified(*err)
		return Transient, ErrTimeout, o != Transient && o != Throttled
	}
	o, kind = p.classified(*err)
	return o, kind, false
}

// classified asks the policy's filter.
func (p *Policy) classified(err error) (o Outcome, kind error) {
	switch {
	case p.classify != nil:
		o = p.classify(err)
		return o, outcomeKinds[o]
	case p.on == nil || p.on(err):
		return Transient, nil
	}
	return Permanent, nil
}

// outcomeKinds are what errors become that a Classify has spoken about.
var outcomeKinds = map[Outcome]error{
	Transient: ErrConnection, Throttled: ErrRateLimited, Permanent: ErrStatus, Canceled: ErrCanceled,
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
