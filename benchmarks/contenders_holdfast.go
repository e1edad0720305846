package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/test/rivals/guards"
)

var holdfastBreaker = contender{name: "holdfast", rig: func(do work) func(int) error {
	b := newBreaker()
	return func(n int) error {
		for range n {
			permit, err := b.Acquire()
			if err != nil {
				return err
			}
			if _, err := do(context.Background()); err != nil {
				permit.Done(holdfast.Transient)
				return err
			}
			permit.Done(holdfast.Success)
		}
		return nil
	}
}}

var holdfastOpen = contender{name: "holdfast", rig: func(do work) func(int) error {
	b := newBreaker()
	for range threshold {
		_ = b.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
	return func(n int) error {
		for range n {
			permit, err := b.Acquire()
			if err == nil {
				_, err = do(context.Background())
				permit.Done(holdfast.Unknown)
				return errors.Join(guards.ErrAdmitted, err)
			}
		}
		return nil
	}
}}

func newBreaker() *holdfast.Breaker {
	return holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: threshold, OpenTimeout: openTimeout})
}

var holdfastBulkhead = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastPermits(do, newBulkhead())
}}

// holdfastPatientBulkhead has no limit for the wait, like a semaphore with callers
// without a deadline.
var holdfastPatientBulkhead = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastPermits(do, holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: permits, MaxWait: holdfast.Off}))
}}

func holdfastPermits(do work, b *holdfast.Bulkhead) func(int) error {
	ctx := context.Background()
	return func(n int) error {
		for range n {
			permit, err := b.Acquire(ctx)
			if err != nil {
				return err
			}
			_, err = do(ctx)
			permit.Release()
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func newBulkhead() *holdfast.Bulkhead {
	return holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: permits})
}

var holdfastRetry = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastCalls(do, holdfast.PolicyConfig{
		Retry:          holdfast.Retry{MaxRetries: retries},
		AttemptTimeout: holdfast.Off,
	})
}}

var holdfastStack = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastCalls(do, stackConfig())
}}

func stackConfig() holdfast.PolicyConfig {
	return holdfast.PolicyConfig{
		Retry:          holdfast.Retry{MaxRetries: retries},
		AttemptTimeout: attemptTimeout,
		Breaker:        newBreaker(),
		Bulkhead:       newBulkhead(),
	}
}

func holdfastCalls(do work, cfg holdfast.PolicyConfig, opts ...holdfast.Option) func(int) error {
	policy := holdfast.MustPolicy(cfg, opts...)
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if _, err := holdfast.Do(ctx, policy, do); err != nil {
				return err
			}
		}
		return nil
	}
}

var holdfastLoggedStack = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastCalls(do, stackConfig(), holdfast.WithLogger(silent))
}}

var holdfastAtOnce = contender{name: "holdfast", rig: func(do work) func(int) error {
	return holdfastCalls(do, holdfast.PolicyConfig{
		Retry:          holdfast.Retry{MaxRetries: retries, BaseDelay: holdfast.Off},
		AttemptTimeout: holdfast.Off,
	})
}}

// silent logs from WARN on, and so nothing of what goes well.
var silent = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))

var registryGet = contender{name: "holdfast", rig: func(work) func(int) error {
	r := new(holdfast.Registry)
	_, err := r.Open("a", holdfast.Config{BaseURL: "http://a.test"})
	return func(n int) error {
		if err != nil {
			return err
		}
		for range n {
			if _, ok := r.Get("a"); !ok {
				return errMissing
			}
		}
		return nil
	}
}}

// syncMapLoad is the least that a registry can cost.
var syncMapLoad = contender{name: "sync.Map", rig: func(work) func(int) error {
	var m sync.Map
	m.Store("a", new(holdfast.Client))
	return func(n int) error {
		for range n {
			if _, ok := m.Load("a"); !ok {
				return errMissing
			}
		}
		return nil
	}
}}

var errMissing = errors.New("what was stored is not found")
