package guards

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// SemaphoreFree is the semaphore of golang.org/x/sync, without a limit for the wait.
var SemaphoreFree = Guard{Name: "x/sync semaphore", Rig: func(do Work) func(int) error {
	sem := semaphore.NewWeighted(Permits)
	ctx := context.Background()
	return func(n int) error {
		for range n {
			if err := sem.Acquire(ctx, 1); err != nil {
				return err
			}
			_, err := do(ctx)
			sem.Release(1)
			if err != nil {
				return err
			}
		}
		return nil
	}
}}

// SemaphoreTimed limits the wait by a context, which only callers that wait create.
var SemaphoreTimed = Guard{Name: "x/sync semaphore and a deadline", Rig: func(do Work) func(int) error {
	sem := semaphore.NewWeighted(Permits)
	ctx := context.Background()
	wait := func() error {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return sem.Acquire(limited, 1)
	}
	return func(n int) error {
		for range n {
			if !sem.TryAcquire(1) {
				if err := wait(); err != nil {
					return err
				}
			}
			_, err := do(ctx)
			sem.Release(1)
			if err != nil {
				return err
			}
		}
		return nil
	}
}}
