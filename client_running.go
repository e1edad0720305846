package holdfast

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// running lists the calls that have started and not ended, so that Close can end them
// and Shutdown can wait for them. A call ends when its body is closed.
type running struct {
	closed  atomic.Bool // written under mu
	mu      sync.Mutex
	newest  *clientCall // of a linked list
	calls   int
	waiters []world.Parker // of Shutdown
	onClose func()         // may be nil; set before the client is used

	// For a Router, which closes clients that are idle.
	timed   bool      // set before the client is used
	held    int       // calls that have the client and may not have started
	lastUse time.Time // the last hold, or the end of a call that followed, if timed
}

// add returns false if the client is closed.
func (r *running) add(o *clientCall) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return false
	}
	if o.older = r.newest; o.older != nil {
		o.older.newer = o
	}
	r.newest = o
	r.calls++
	return true
}

func (r *running) remove(o *clientCall) {
	var now time.Time
	if r.timed {
		now = o.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.newer != nil:
		o.newer.older = o.older
	case r.newest == o:
		r.newest = o.older
	default: // not in the list
		return
	}
	if o.older != nil {
		o.older.newer = o.newer
	}
	o.newer, o.older = nil, nil
	r.lastUse = now
	if r.calls--; r.calls == 0 {
		for _, p := range r.waiters {
			p.Wake()
		}
		r.waiters = nil
	}
}

// close makes add return false.
func (r *running) close() {
	r.mu.Lock()
	r.closed.Store(true)
	r.mu.Unlock()
	if r.onClose != nil {
		r.onClose()
	}
}

func (r *running) abortAll() {
	r.mu.Lock()
	all := make([]*clientCall, 0, r.calls)
	for o := r.newest; o != nil; o = o.older {
		all = append(all, o)
	}
	r.mu.Unlock()
	for _, o := range all {
		o.abort()
	}
}

// wait waits until no call runs. It returns false if ctx ends before.
func (r *running) wait(ctx context.Context) bool {
	p := world.Of(ctx).Parker()
	defer p.Free()
	r.mu.Lock()
	if r.calls == 0 {
		r.mu.Unlock()
		return true
	}
	r.waiters = append(r.waiters, p)
	r.mu.Unlock()
	if p.Park(ctx, time.Time{}) == world.ByWake {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiters, p)
	if i < 0 { // the last call ended at the same moment
		return true
	}
	r.waiters = slices.Delete(r.waiters, i, i+1)
	return false
}

// answersOlderThan returns the number of answers that callers have had for at least age.
func (r *running) answersOlderThan(now time.Time, age time.Duration) (n int) {
	before := now.Add(-age).UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	for o := r.newest; o != nil; o = o.older {
		if at := o.answered.Load(); at != 0 && at <= before {
			n++
		}
	}
	return n
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// hold makes closeIdle return false until release, for a call that is about to start. It
// returns false if the client is closed.
func (r *running) hold(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return false
	}
	r.held++
	r.lastUse = now
	return true
}

func (r *running) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held--
}

// idle returns the time of the last use, and false if the client is in use.
func (r *running) idle() (since time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastUse, r.held == 0 && r.calls == 0
}

// closeIdle makes add and hold return false, unless the client is in use or was used after
// since. So it breaks no call and no answer that a caller still reads.
func (r *running) closeIdle(since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held > 0 || r.calls > 0 || r.lastUse.After(since) {
		return false
	}
	r.closed.Store(true)
	return true
}
