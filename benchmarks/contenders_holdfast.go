package main

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast"
)

var holdfastBreaker = contender{"holdfast", func(do work) func(int) error {
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

var holdfastOpen = contender{"holdfast", func(do work) func(int) error {
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
				return errors.Join(errAdmitted, err)
			}
		}
		return nil
	}
}}

func newBreaker() *holdfast.Breaker {
	return holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: threshold, OpenTimeout: openTimeout})
}

var holdfastBulkhead = contender{"holdfast", func(do work) func(int) error {
	b := newBulkhead()
	ctx := context.Background()
	return func(n int) error {
		for range n {
			slot, err := b.Acquire(ctx)
			if err != nil {
				return err
			}
			_, err = do(ctx)
			slot.Release()
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

func newBulkhead() *holdfast.Bulkhead {
	return holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: slots})
}

var holdfastRetry = contender{"holdfast", func(do work) func(int) error {
	return holdfastCalls(do, holdfast.PolicyConfig{
		Retry:          holdfast.Retry{MaxRetries: retries},
		AttemptTimeout: holdfast.Off,
	})
}}

var holdfastStack = contender{"holdfast", func(do work) func(int) error {
	return holdfastCalls(do, holdfast.PolicyConfig{
		Retry:          holdfast.Retry{MaxRetries: retries},
		AttemptTimeout: attemptTimeout,
		Breaker:        newBreaker(),
		Bulkhead:       newBulkhead(),
	})
}}

func holdfastCalls(do work, cfg holdfast.PolicyConfig) func(int) error {
	policy := holdfast.MustPolicy(cfg)
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
