package holdfast

import (
	"sync"
	"sync/atomic"
)

// running is the list of calls that have begun and not ended, so that Close can
// end them and Shutdown can wait. A call is on it until its body is closed.
type running struct {
	closed atomic.Bool // written under mu
	mu     sync.Mutex
	newest *clientCall // linked to the others
	calls  int
	empty  chan struct{} // made by the first Shutdown that waits; closed by the last call
	told   func()        // called once, when the list is closed; may be nil
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
	if r.calls == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
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

// none is closed when the last call has ended.
func (r *running) none() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.empty == nil {
		r.empty = make(chan struct{})
		if r.calls == 0 {
			done := r.empty
			r.empty = nil
			close(done)
			return done
		}
	}
	return r.empty
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}
