package holdfast

import (
	"sync"
	"sync/atomic"
)

// running lists the calls that have started and not ended, so that Close can end them
// and Shutdown can wait for them. A call ends when its body is closed.
type running struct {
	closed  atomic.Bool // written under mu
	mu      sync.Mutex
	newest  *clientCall // of a linked list
	calls   int
	empty   chan struct{} // closed with the last call; nil if no Shutdown waits
	onClose func()        // may be nil; set before the client is used
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
	r.calls--
	r.signal()
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

// drained returns a channel that is closed when no call runs.
func (r *running) drained() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.empty == nil {
		r.empty = make(chan struct{})
	}
	empty := r.empty
	r.signal()
	return empty
}

// signal closes empty if no call runs.
func (r *running) signal() {
	if r.calls == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}
