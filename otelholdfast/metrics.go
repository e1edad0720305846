package otelholdfast

import (
	"context"
	"sync"

	"github.com/holdfast-go/holdfast"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// metrics are the instruments of a MeterProvider.
type metrics struct {
	calls, attempts, firstEvents     metric.Float64Histogram
	made, stopped, rejected, streams metric.Int64Counter

	mu      sync.RWMutex
	clients map[string]bool           // that are shown by their names
	sets    map[labels]measureOptions // every one that was used: its labels are few
}

// labels are the values of the labels of a series, in the order of names.
type labels struct {
	names  *[]string
	values [3]string
}

// measureOptions are made once for all measurements of a series.
type measureOptions struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

// The labels of the metrics.
var (
	ofCall    = &[]string{"client", "outcome"}
	ofAttempt = &[]string{"client", "attempt_type", "class"}
	ofType    = &[]string{"client", "attempt_type"}
	ofClient  = &[]string{"client"}
	ofStop    = &[]string{"client", "reason"}
	ofRule    = &[]string{"client", "rule"}
	ofStream  = &[]string{"client", "end"}
)

// buckets are the bounds of the histograms, in seconds.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}

func newMetrics(p metric.MeterProvider) *metrics {
	m := &metrics{clients: map[string]bool{}, sets: map[labels]measureOptions{}}
	meter := p.Meter(scope)
	histogram := func(name, is string) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(is), metric.WithExplicitBucketBoundaries(buckets...))
		if err != nil {
			otel.Handle(err)
			return noop.Float64Histogram{}
		}
		return h
	}
	counter := func(name, unit, is string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(is))
		if err != nil {
			otel.Handle(err)
			return noop.Int64Counter{}
		}
		return c
	}
	m.calls = histogram("holdfast.call.duration", "Duration of operations, with their retries and waits. A body that the caller reads counts up to its headers.")
	m.attempts = histogram("holdfast.attempt.duration", "Duration of attempts.")
	m.firstEvents = histogram("holdfast.time_to_first_event", "Duration of the attempts of Client.Stream up to the first line or event.")
	m.made = counter("holdfast.attempts", "{attempt}", "Attempts that have ended.")
	m.stopped = counter("holdfast.retries_stopped", "{call}", "Operations that failed, by the reason why no further attempt followed.")
	m.rejected = counter("holdfast.rejections", "{call}", "Operations of which nothing was sent, by the rule that rejected them.")
	m.streams = counter("holdfast.streams", "{stream}", "Streams that have ended, by how they ended.")
	return m
}

// options are the options of a series.
func (m *metrics) options(names *[]string, client string, rest ...string) measureOptions {
	l := labels{names: names}
	copy(l.values[1:], rest)
	l.values[0] = client
	m.mu.RLock()
	o, ok := m.sets[l]
	m.mu.RUnlock()
	if ok {
		return o
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.clients[client] {
		if len(m.clients) >= maxClients {
			l.values[0] = "_other"
		} else {
			m.clients[client] = true
		}
	}
	if o, ok = m.sets[l]; ok {
		return o
	}
	attrs := make([]attribute.KeyValue, len(*names))
	for i, name := range *names {
		attrs[i] = attribute.String(name, l.values[i])
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	o = measureOptions{[]metric.RecordOption{set}, []metric.AddOption{set}}
	m.sets[l] = o
	return o
}

func (m *metrics) attemptEnded(ctx context.Context, client, kind string, e holdfast.Event) {
	m.made.Add(ctx, 1, m.options(ofType, client, kind).add...)
	m.attempts.Record(ctx, e.Duration.Seconds(), m.options(ofAttempt, client, kind, e.Class.String()).record...)
	if e.Stream {
		m.firstEvents.Record(ctx, e.Duration.Seconds(), m.options(ofClient, client).record...)
	}
}

func (m *metrics) callEnded(ctx context.Context, client, outcome string, e holdfast.Event) {
	m.calls.Record(ctx, e.Duration.Seconds(), m.options(ofCall, client, outcome).record...)
	if e.Kind != holdfast.EventFailed {
		return
	}
	if reason := reasonOf(e); reason != "" {
		m.stopped.Add(ctx, 1, m.options(ofStop, client, reason).add...)
	}
	if outcome == rejected {
		m.rejected.Add(ctx, 1, m.options(ofRule, client, ruleOf(e)).add...)
	}
}

func (m *metrics) streamEnded(ctx context.Context, client, ending string) {
	m.streams.Add(ctx, 1, m.options(ofStream, client, ending).add...)
}
