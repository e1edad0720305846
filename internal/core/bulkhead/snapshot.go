package bulkhead

// Snapshot is the number of permits in use, and whether operations wait, packed
// into one word that a handle can change atomically. The zero Snapshot is that of
// an empty bulkhead.
type Snapshot uint64

// waitersBit is set while the queue is not empty. A released permit is then for
// the first waiter, and Acquire fails.
const waitersBit Snapshot = 1 << 63

// Acquire returns the snapshot with one more permit in use. It is false if none
// is free or operations wait.
func (s Snapshot) Acquire(permits int) (Snapshot, bool) {
	return s + 1, s < Snapshot(permits) // with waitersBit, s is greater than any count
}

// Grant returns the snapshot with one more permit in use, for the first waiter.
// last means that no other waits. It is false if no permit is free.
func (s Snapshot) Grant(permits int, last bool) (Snapshot, bool) {
	free := s.InUse() < permits
	if s++; last {
		s &^= waitersBit
	}
	return s, free
}

// WithWaiters returns the snapshot after the first waiter has joined the queue.
func (s Snapshot) WithWaiters() Snapshot { return s | waitersBit }

// WithoutWaiters returns the snapshot after the last waiter has left the queue.
func (s Snapshot) WithoutWaiters() Snapshot { return s &^ waitersBit }

// Uncontended reports whether no operation waits, and no more permits were released
// than acquired.
func (s Snapshot) Uncontended() bool { return s <= MaxPermits }

// OverReleased reports whether more permits were released than acquired.
func (s Snapshot) OverReleased() bool { return s.WithoutWaiters() > MaxPermits }

// InUse returns the number of permits in use.
func (s Snapshot) InUse() int { return int(s.WithoutWaiters()) }
