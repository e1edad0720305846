package holdfast

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// running is the list of calls that have begun and not ended, so that Close can
// end them and Shutdown can wait. A call is on it until its body is closed.
type running struct {
	closed atomic.Bool // written under mu
	mu     sync.Mutex
	newest *clientCall // linked to the others
	calls  int
	waits  []world.Parker // of Shutdown, until the last call has ended
	told   func()         // called once, when the list is closed; may be nil
}

// add is false if the client is closed.
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
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.newer != nil:
		o.newer.older = o.older
	case r.newest == o:
		r.newest = o.older
	default: // it is none of them
		return
	}
	if o.older != nil {
		o.older.newer = o.newer
	}
	o.newer, o.older = nil, nil
	r.calls--
	if r.calls == 0 {
		for _, p := range r.waits {
			p.Wake()
		}
		r.waits = nil
	}
}

// close refuses later calls.
func (r *running) close() {
	r.mu.Lock()
	r.closed.Store(true)
	told := r.told
	r.told = nil
	r.mu.Unlock()
	if told != nil {
		told()
	}
}

// whenClosed has f called when the list is closed.
func (r *running) whenClosed(f func()) {
	r.mu.Lock()
	r.told = f
	r.mu.Unlock()
}

func (r *running) endAll() {
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

// wait waits until the last call has ended; false if ctx ends before.
func (r *running) wait(ctx context.Context) bool {
	p := world.Of(ctx).Parker()
	defer p.Free()
	r.mu.Lock()
	if r.calls == 0 {
		r.mu.Unlock()
		return true
	}
	r.waits = append(r.waits, p)
	r.mu.Unlock()
	if p.Park(ctx, time.Time{}) == world.ByWake {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waits, p)
	if i < 0 { // woken at the same moment
		return true
	}
	r.waits = slices.Delete(r.waits, i, i+1)
	return false
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}
