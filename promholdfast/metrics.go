// Package promholdfast makes metrics for Prometheus of the calls of holdfast.
//
//	metrics := promholdfast.New(promholdfast.Options{})
//	prometheus.MustRegister(metrics)
//	client, err := holdfast.New(cfg, holdfast.WithMetrics(metrics))
//
// The option is the same for a client, a policy, a breaker and a Router, and
// Registry.Use gives it to everything that a Registry opens. docs/metrics.md has the table
// of the series.
package promholdfast

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast"
)

const (
	// maxNames is the largest number of values of the label client, besides Other.
	maxNames = 200
	// maxNameBytes bounds such a value.
	maxNameBytes = 128
	// exemplarEvery is the shortest time between two exemplars of a bucket.
	exemplarEvery = time.Second
	// Other is the value of the labels client and scope for those that have no series of
	// their own, because there are too many.
	Other = "_other"
)

// Options are the settings of Metrics. The zero value is ready to use.
type Options struct {
	// Buckets are the upper ends of the classic buckets of all histograms, in seconds, from
	// the smallest to the largest. Default: 14 from 1ms to 60s. The native histograms
	// beside them have their own buckets, eight for each doubling.
	Buckets []float64
	// Scopes is the largest number of scopes (Config.Scope) of a client that have series of
	// their own; the others share Other. Default 0: scopes have no series. A scope may be a
	// model or a path, and so anything that the program is asked for.
	Scopes int
	// Exemplar returns the labels of an exemplar for a call with this context, nil for
	// none: the trace id of a span that is sampled. At most one call per bucket and second
	// is asked for. Labels that Prometheus does not allow (more than 128 characters in all)
	// are left out. Default: no exemplars.
	Exemplar func(context.Context) prometheus.Labels
}

// Metrics is a prometheus.Collector of the calls of holdfast, and the holdfast.Metrics that
// records them. Make one for each registry. It is safe for concurrent use.
//
// The series of a client disappear after it is closed, and those of a policy or a breaker
// after the program has dropped it: they are in one more scrape.
type Metrics struct {
	options Options
	scale   *scale
	descs   []*prometheus.Desc // of families, in their order
	build   prometheus.Metric

	mu     sync.Mutex
	byName map[string]*series

	collecting sync.Mutex
}

// New returns Metrics, which has to be registered. It panics if Options are out of bounds,
// and names the field.
func New(o Options) *Metrics {
	if o.Buckets == nil {
		o.Buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}
	}
	for i, b := range o.Buckets {
		if !(b > 0 && b <= longest.Seconds()) || i > 0 && b <= o.Buckets[i-1] {
			panic(fmt.Sprintf("promholdfast: Options.Buckets[%d] is %v: must be positive, at most %v, and larger than the one before it", i, b, longest.Seconds()))
		}
	}
	if o.Scopes < 0 {
		panic(fmt.Sprintf("promholdfast: Options.Scopes is %d: must be zero or positive", o.Scopes))
	}
	m := &Metrics{options: o, scale: newScale(o.Buckets), byName: map[string]*series{}}
	for i := range families {
		f := &families[i]
		m.descs = append(m.descs, prometheus.NewDesc(f.name, f.help, f.allLabels(), nil))
	}
	m.build = prometheus.MustNewConstMetric(
		prometheus.NewDesc(buildInfo.name, buildInfo.help, buildInfo.labels, nil), prometheus.GaugeValue, 1, version(), runtime.Version())
	return m
}

// version is the version of holdfast, as the program is built with it.
func version() string {
	const path = "github.com/holdfast-go/holdfast"
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path && dep.Replace == nil {
			return dep.Version
		}
	}
	return "(devel)"
}

// Recorder is for holdfast.WithMetrics.
func (m *Metrics) Recorder(of holdfast.Measured) holdfast.Recorder {
	name := of.Name
	if len(name) > maxNameBytes {
		name = name[:maxNameBytes]
	}
	name = strings.ToValidUTF8(name, "\uFFFD")
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.byName[name]
	if s == nil && name != Other && m.isFull() {
		name = Other
		s = m.byName[name]
	}
	if s == nil {
		s = newSeries(m, name)
		m.byName[name] = s
	}
	s.add(of)
	return s
}

// isFull reports whether no further name may have series of its own. It forgets the names
// of which nothing is left.
func (m *Metrics) isFull() bool {
	named := func() int {
		if m.byName[Other] != nil {
			return len(m.byName) - 1
		}
		return len(m.byName)
	}
	if named() >= maxNames {
		for name, s := range m.byName {
			if s.prune(); len(s.sources) == 0 {
				delete(m.byName, name)
			}
		}
	}
	return named() >= maxNames
}

// Describe is for the registry.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for i, desc := range m.descs {
		if m.wants(&families[i]) {
			to <- desc
		}
	}
	to <- m.build.Desc()
}

// wants reports whether the options ask for a family.
func (m *Metrics) wants(f *family) bool { return !f.ofScopes || m.options.Scopes > 0 }

// Collect is for the registry.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.collecting.Lock()
	defer m.collecting.Unlock()
	to <- m.build
	for _, s := range m.all() {
		now := s.read()
		for i := range families {
			if f := &families[i]; m.wants(f) {
				f.collect(now, emitter{to: to, desc: m.descs[i], series: s})
			}
		}
	}
}

// all are the series, and forgets those that were told for the last time.
func (m *Metrics) all() (all []*series) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, s := range m.byName {
		if s.prune(); len(s.sources) == 0 {
			if s.last {
				delete(m.byName, name)
				continue
			}
			s.last = true
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *series) int { return strings.Compare(a.name, b.name) })
	return all
}

// emitter makes the metrics of one family and one series.
type emitter struct {
	to     chan<- prometheus.Metric
	desc   *prometheus.Desc
	series *series
}

func (e emitter) counter(n uint64, labels ...string) {
	e.to <- prometheus.MustNewConstMetricWithCreatedTimestamp(e.desc, prometheus.CounterValue, float64(n), e.series.created, e.labels(labels)...)
}

func (e emitter) gauge(v float64, labels ...string) {
	e.to <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, v, e.labels(labels)...)
}

func (e emitter) histogram(h *counts, labels ...string) {
	e.to <- &histogramMetric{desc: e.desc, counts: h, created: e.series.created, labels: prometheus.MakeLabelPairs(e.desc, e.labels(labels))}
}

func (e emitter) labels(more []string) []string { return append([]string{e.series.name}, more...) }
