package virtual

// event is something that will happen: a function to run, or a caller to resume. It
// is scheduled once at a time.
type event struct {
	f      func()
	caller *caller // in place of f
	turn   uint32  // grows when the event is cancelled or happens: older entries are void
	place  place
}

// place is where an event has an entry.
type place uint8

const (
	nowhere place = iota
	later         // in events.later
	ready         // in events.ready
)

// entry is an event at an instant.
type entry struct {
	at    int64  // nanoseconds since the start of the World
	order uint64 // of entries at one instant
	event *event
	turn  uint32 // the entry is void if the event has another
}

func (e *entry) void() bool { return e.turn != e.event.turn }

func (e *entry) before(f *entry) bool { return e.at < f.at || e.at == f.at && e.order < f.order }

// events are the events of a World in order: by instant, then as they were pushed.
type events struct {
	now   int64
	order uint64
	later []entry // of later instants: a heap in which entry i is before 4i+1 to 4i+4
	voids int     // in later

	// ready has the events of now, in a ring. They come after the entries of now in
	// later, which were pushed before now.
	ready       []entry
	first, many int
}

// push schedules e at an instant, or now if that has passed.
func (s *events) push(e *event, at int64) {
	if at <= s.now {
		e.place = ready
		s.pushReady(entry{event: e, turn: e.turn})
		return
	}
	e.place = later
	s.order++
	s.later = append(s.later, entry{at, s.order, e, e.turn})
	s.up(len(s.later) - 1)
}

// cancel is false if e is not scheduled.
func (s *events) cancel(e *event) bool {
	if e.place == nowhere {
		return false
	}
	if e.place == later {
		s.voids++
	}
	e.turn++
	e.place = nowhere
	if s.voids > 64 && s.voids > len(s.later)/2 {
		s.compact()
	}
	return true
}

// pop gives the next event up to an instant, and moves now there. It is nil if there
// is none.
func (s *events) pop(end int64) *event {
	for {
		var next entry
		switch {
		case len(s.later) > 0 && s.later[0].void():
			s.popLater()
			s.voids--
			continue
		case len(s.later) > 0 && s.later[0].at <= s.now:
			next = s.popLater()
		case s.many > 0:
			if next = s.popReady(); next.void() {
				continue
			}
		case len(s.later) > 0 && s.later[0].at <= end:
			s.now = s.later[0].at
			continue
		default:
			return nil
		}
		next.event.turn++
		next.event.place = nowhere
		return next.event
	}
}

func (s *events) pushReady(e entry) {
	if s.many == len(s.ready) {
		larger := make([]entry, max(16, 2*s.many))
		n := copy(larger, s.ready[s.first:])
		copy(larger[n:], s.ready[:s.first])
		s.ready, s.first = larger, 0
	}
	s.ready[(s.first+s.many)&(len(s.ready)-1)] = e
	s.many++
}

func (s *events) popReady() entry {
	e := s.ready[s.first]
	s.ready[s.first] = entry{}
	s.first = (s.first + 1) & (len(s.ready) - 1)
	s.many--
	return e
}

func (s *events) popLater() entry {
	e, last := s.later[0], len(s.later)-1
	s.later[0], s.later[last] = s.later[last], entry{}
	s.later = s.later[:last]
	s.down(0)
	return e
}

func (s *events) up(i int) {
	e := s.later[i]
	for i > 0 {
		above := (i - 1) / 4
		if !e.before(&s.later[above]) {
			break
		}
		s.later[i] = s.later[above]
		i = above
	}
	s.later[i] = e
}

func (s *events) down(i int) {
	if i >= len(s.later) {
		return
	}
	e := s.later[i]
	for {
		least := 4*i + 1
		if least >= len(s.later) {
			break
		}
		for j := least + 1; j < min(4*i+5, len(s.later)); j++ {
			if s.later[j].before(&s.later[least]) {
				least = j
			}
		}
		if !s.later[least].before(&e) {
			break
		}
		s.later[i] = s.later[least]
		i = least
	}
	s.later[i] = e
}

// compact removes the void entries: the timers of waits and attempts that ended in
// time would be most of the heap.
func (s *events) compact() {
	left := s.later[:0]
	for _, e := range s.later {
		if !e.void() {
			left = append(left, e)
		}
	}
	clear(s.later[len(left):])
	s.later, s.voids = left, 0
	for i := (len(left) - 2) / 4; i >= 0; i-- {
		s.down(i)
	}
}

// clear removes all entries.
func (s *events) clear() { *s = events{now: s.now, order: s.order} }
