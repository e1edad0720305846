package promholdfast

import "github.com/holdfast-go/holdfast"

// family is one metric: its description, and how it is read. A rule that has metrics adds a
// row to families, and what the row reads to series.
type family struct {
	name, help string
	of         string   // what has it, for docs/metrics.md
	labels     []string // besides client
	ofScopes   bool     // Options.Scopes asks for it
	collect    func(s *snapshot, e emitter)
}

func (f *family) allLabels() []string { return append([]string{"client"}, f.labels...) }

const (
	ofCalls    = "clients, policies"
	ofClients  = "clients"
	ofPermits  = "clients and policies with a bulkhead"
	ofAll      = "clients, policies, breakers"
	ofBreakers = "clients with a breaker, breakers"
	ofStates   = "clients and policies with a breaker, breakers"
	ofScopes   = "clients, with `Options.Scopes`"
)

// buildInfo is the only metric without the label client.
var buildInfo = family{name: "holdfast_build_info", help: "1, with the version of holdfast and of Go.", of: "the program", labels: []string{"version", "goversion"}}

var families = []family{
	{
		name: "holdfast_call_duration_seconds", of: ofCalls, labels: []string{"outcome"},
		help:    "Duration of calls, with all their attempts and waits. A body that the caller reads counts up to its headers, a stream up to its first line or event.",
		collect: ifOperations(func(s *snapshot, e emitter) { e.histograms(s.calls, outcomes) }),
	},
	{
		name: "holdfast_attempt_duration_seconds", of: ofCalls, labels: []string{"attempt_type", "class"},
		help: "Duration of attempts, in the combinations of the labels that have occurred. The class is that of the failure, none for a success.",
		collect: ifOperations(func(s *snapshot, e emitter) {
			for t, ofType := range s.attempts {
				for c, counts := range ofType {
					if s.seen[t][c] {
						e.histogram(counts, attemptTypes[t], classes[c])
					}
				}
			}
		}),
	},
	{
		name: "holdfast_attempts_total", of: ofCalls, labels: []string{"attempt_type", "class"},
		help: "Attempts, in all combinations of the labels. The class is that of the failure, none for a success.",
		collect: ifOperations(func(s *snapshot, e emitter) {
			for t, ofType := range s.attempts {
				for c, counts := range ofType {
					e.counter(counts.total(), attemptTypes[t], classes[c])
				}
			}
		}),
	},
	{
		name: "holdfast_time_to_first_event_seconds", of: ofClients,
		help: "Time from the beginning of a call of Client.Stream to its first line or event.",
		collect: func(s *snapshot, e emitter) {
			if s.client {
				e.histogram(s.firstEvent)
			}
		},
	},
	{
		name: "holdfast_retry_delay_seconds", of: ofCalls,
		help:    "Waits before retries, as they were planned.",
		collect: ifOperations(func(s *snapshot, e emitter) { e.histogram(s.delays) }),
	},
	{
		name: "holdfast_retries_stopped_total", of: ofCalls, labels: []string{"reason"},
		help:    "Calls that failed after an attempt, by the reason why no further one followed.",
		collect: ifOperations(func(s *snapshot, e emitter) { e.counters(s.stopped[1:], reasons[1:]) }),
	},
	{
		name: "holdfast_rejections_total", of: ofAll, labels: []string{"rule"},
		help: "Calls that failed without an attempt, by the rule that rejected them.",
		collect: func(s *snapshot, e emitter) {
			if s.operations {
				e.counters(s.rejections, rules)
			} else {
				e.counters(s.rejections[:1], rules[:1])
			}
		},
	},
	{
		name: "holdfast_breaker_state", of: ofStates, labels: []string{"state"},
		help: "1 for the state of the breaker, 0 for the others.",
		collect: func(s *snapshot, e emitter) {
			if s.now.hasBreaker {
				e.gauges(s.now.states, states)
			}
		},
	},
	{
		name: "holdfast_breaker_transitions_total", of: ofBreakers, labels: []string{"from", "to"},
		help: "Changes of the state of the breaker.",
		collect: func(s *snapshot, e emitter) {
			if !s.breaker {
				return
			}
			for i, c := range changes {
				e.counter(s.changes[i], c[0].String(), c[1].String())
			}
		},
	},
	{
		name: "holdfast_concurrency_in_use", of: ofPermits,
		help:    "Permits of the bulkhead in use now.",
		collect: ifLimited(func(s *snapshot, e emitter) { e.gauge(float64(s.now.permits)) }),
	},
	{
		name: "holdfast_concurrency_limit", of: ofPermits,
		help:    "Permits of the bulkhead.",
		collect: ifLimited(func(s *snapshot, e emitter) { e.gauge(float64(s.now.limit)) }),
	},
	{
		name: "holdfast_concurrency_queued", of: ofPermits,
		help:    "Calls that wait for a permit of the bulkhead now.",
		collect: ifLimited(func(s *snapshot, e emitter) { e.gauge(float64(s.now.queued)) }),
	},
	{
		name: "holdfast_wait_seconds", of: ofCalls, labels: []string{"for"},
		help:    "Waits for a permit that got one, and for the end of a cooldown, as they were planned. Calls that do not wait are not in it.",
		collect: ifOperations(func(s *snapshot, e emitter) { e.histograms(s.waits, waitsFor) }),
	},
	{
		name: "holdfast_streams_open", of: ofClients,
		help: "Streams that have a place beside the permits now.",
		collect: func(s *snapshot, e emitter) {
			if s.client {
				e.gauge(float64(s.now.streams))
			}
		},
	},
	{
		name: "holdfast_streams_total", of: ofClients, labels: []string{"end"},
		help: "Streams that have ended: complete, cut by the service, stalled until a limit was reached, or left by the caller.",
		collect: func(s *snapshot, e emitter) {
			if s.client {
				e.counters(s.ends, streamEnds)
			}
		},
	},
	{
		name: "holdfast_scope_breaker_state", of: ofScopes, labels: []string{"scope", "state"}, ofScopes: true,
		help: "1 for the state of the breaker of a scope, 0 for the others.",
		collect: func(s *snapshot, e emitter) {
			for _, scope := range s.now.scopes {
				for i, is := range s.now.ofScope[scope].states {
					e.gauge(value(is), scope, states[i])
				}
			}
		},
	},
	{
		name: "holdfast_scope_rejections_total", of: ofScopes, labels: []string{"scope"}, ofScopes: true,
		help: "Calls that the breaker of a scope rejected.",
		collect: func(s *snapshot, e emitter) {
			for _, scope := range s.now.scopes {
				e.counter(s.now.ofScope[scope].rejected, scope)
			}
		},
	},
}

// ifOperations is collect for what makes calls.
func ifOperations(collect func(*snapshot, emitter)) func(*snapshot, emitter) {
	return func(s *snapshot, e emitter) {
		if s.operations {
			collect(s, e)
		}
	}
}

// ifLimited is collect for what has a bulkhead.
func ifLimited(collect func(*snapshot, emitter)) func(*snapshot, emitter) {
	return func(s *snapshot, e emitter) {
		if s.now.isLimited {
			collect(s, e)
		}
	}
}

func (e emitter) histograms(all []*counts, labels []string) {
	for i, c := range all {
		e.histogram(c, labels[i])
	}
}

func (e emitter) counters(all []uint64, labels []string) {
	for i, n := range all {
		e.counter(n, labels[i])
	}
}

func (e emitter) gauges(all []bool, labels []string) {
	for i, is := range all {
		e.gauge(value(is), labels[i])
	}
}

func value(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

var _ holdfast.Metrics = (*Metrics)(nil)
