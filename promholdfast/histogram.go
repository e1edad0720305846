package promholdfast

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The native histograms have schema 3: bucket i ends at 2^(i/8) s. Those from firstNative to
// lastNative exist. What is shorter is in the zero bucket, and what is longer in the last one.
const (
	schema      = 3
	perDouble   = 1 << schema
	firstNative = -19*perDouble - 7 // above 2^-20 s, a microsecond
	lastNative  = 17 * perDouble    // 36 hours
	longest     = time.Duration(1<<17) * time.Second
)

// scale has the ranges in which the histograms count. Each classic and each native bucket
// consists of whole ranges, so one count serves both.
type scale struct {
	ends    []int64 // of the ranges in nanoseconds, inclusive; the last range has none
	classic []int   // the last range of each classic bucket
	bounds  []float64
	native  []int // the last range of the zero bucket, and of each native bucket but the last
	empty   *counts
	bucket  []int // the classic bucket of each range; len(classic) is the one without an end
}

func newScale(bounds []float64) *scale {
	s := &scale{bounds: bounds}
	var classic, native []int64
	for _, b := range bounds {
		classic = append(classic, int64(math.Round(b*1e9)))
	}
	for i := firstNative - 1; i < lastNative; i++ {
		native = append(native, int64(math.Exp2(float64(i)/perDouble)*1e9))
	}
	s.ends = slices.Concat(classic, native)
	slices.Sort(s.ends)
	s.ends = slices.Compact(s.ends)
	for _, end := range classic {
		s.classic = append(s.classic, s.rangeOf(time.Duration(end)))
	}
	for _, end := range native {
		s.native = append(s.native, s.rangeOf(time.Duration(end)))
	}
	for i := range len(s.ends) + 1 {
		at, _ := slices.BinarySearch(s.classic, i)
		s.bucket = append(s.bucket, at)
	}
	s.empty = &counts{scale: s, ranges: make([]uint64, len(s.ends)+1)}
	return s
}

// rangeOf is the range of a duration.
func (s *scale) rangeOf(d time.Duration) int {
	at, _ := slices.BinarySearch(s.ends, int64(d))
	return at
}

// histogram counts durations. Recording is two atomic additions.
type histogram struct {
	scale     *scale
	ranges    []atomic.Uint64
	sum       atomic.Uint64              // nanoseconds since the last read
	exemplars []atomic.Pointer[exemplar] // of each classic bucket; nil without Options.Exemplar
	read      float64                    // seconds up to the last read, under Metrics.collecting
}

type exemplar struct {
	labels prometheus.Labels
	value  time.Duration
	at     time.Time
}

func newHistogram(s *scale, exemplars bool) *histogram {
	h := &histogram{scale: s, ranges: make([]atomic.Uint64, len(s.ends)+1)}
	if exemplars {
		h.exemplars = make([]atomic.Pointer[exemplar], len(s.bounds)+1)
	}
	return h
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.ranges[h.scale.rangeOf(d)].Add(1)
	h.sum.Add(uint64(d))
}

// place is where the exemplar of a duration is.
func (h *histogram) place(d time.Duration) *atomic.Pointer[exemplar] {
	return &h.exemplars[h.scale.bucket[h.scale.rangeOf(max(d, 0))]]
}

// isDue reports whether the bucket of a duration has no exemplar of the last exemplarEvery.
func (h *histogram) isDue(d time.Duration, at time.Time) bool {
	known := h.place(d).Load()
	return known == nil || at.Sub(known.at) >= exemplarEvery
}

// note keeps an exemplar, if Prometheus allows its labels.
func (h *histogram) note(d time.Duration, at time.Time, labels prometheus.Labels) {
	if isExemplar(labels) {
		h.place(d).Store(&exemplar{labels, d, at})
	}
}

// isExemplar reports whether Prometheus allows these labels of an exemplar.
func isExemplar(labels prometheus.Labels) bool {
	runes := 0
	for name, value := range labels {
		if !model.LegacyValidation.IsValidLabelName(name) || !utf8.ValidString(value) {
			return false
		}
		runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
	}
	return runes > 0 && runes <= prometheus.ExemplarMaxRunes
}

// counts are the counts of a histogram at one moment, or the sum of two. They do not change.
type counts struct {
	scale     *scale
	ranges    []uint64
	seconds   float64
	exemplars []*exemplar
}

// counts reads the histogram, under Metrics.collecting. A nil histogram is empty.
func (h *histogram) counts(s *scale) *counts {
	if h == nil {
		return s.empty
	}
	c := &counts{scale: s, ranges: make([]uint64, len(s.ends)+1)}
	h.read += float64(h.sum.Swap(0)) / 1e9
	c.seconds = h.read
	for i := range h.ranges {
		c.ranges[i] = h.ranges[i].Load()
	}
	for i := range h.exemplars {
		c.exemplars = append(c.exemplars, h.exemplars[i].Load())
	}
	return c
}

// plus is the sum of both.
func (c *counts) plus(other *counts) *counts {
	sum := &counts{scale: c.scale, ranges: slices.Clone(c.ranges), seconds: c.seconds + other.seconds, exemplars: slices.Clone(c.exemplars)}
	for i, n := range other.ranges {
		sum.ranges[i] += n
	}
	for i, e := range other.exemplars {
		if sum.exemplars == nil {
			sum.exemplars = make([]*exemplar, len(other.exemplars))
		}
		if mine := sum.exemplars[i]; mine == nil || e != nil && e.at.After(mine.at) {
			sum.exemplars[i] = e
		}
	}
	return sum
}

// total is the number of durations.
func (c *counts) total() (n uint64) {
	if c == c.scale.empty {
		return 0
	}
	for _, in := range c.ranges {
		n += in
	}
	return n
}

// histogramMetric is a histogram for the registry, classic and native.
type histogramMetric struct {
	desc    *prometheus.Desc
	counts  *counts
	created time.Time
	labels  []*dto.LabelPair
}

// Desc is for the registry.
func (m *histogramMetric) Desc() *prometheus.Desc { return m.desc }

// Write is for the registry.
func (m *histogramMetric) Write(out *dto.Metric) error {
	c := m.counts
	h := &dto.Histogram{
		SampleCount: proto.Uint64(c.total()), SampleSum: proto.Float64(c.seconds), CreatedTimestamp: timestamppb.New(m.created),
		Schema: proto.Int32(schema), ZeroThreshold: proto.Float64(math.Exp2((firstNative - 1) / float64(perDouble))),
	}
	n, at := uint64(0), 0
	for i, last := range c.scale.classic {
		for ; at <= last; at++ {
			n += c.ranges[at]
		}
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(c.scale.bounds[i]), CumulativeCount: proto.Uint64(n), Exemplar: c.exemplar(i)})
	}
	if e := c.exemplar(len(c.scale.classic)); e != nil {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(math.Inf(1)), CumulativeCount: proto.Uint64(c.total()), Exemplar: e})
	}
	c.writeNative(h)
	out.Histogram, out.Label = h, m.labels
	return nil
}

// writeNative writes the native buckets: those with a count, as spans, and each count as the
// difference to the one before it. A gap of two empty buckets is shorter than a new span.
func (c *counts) writeNative(h *dto.Histogram) {
	var previous int64
	at, next := 0, firstNative-1 // the first range and the index of the next bucket
	end, gap := 0, 0             // the index after the last span, and the empty buckets since
	for i := range len(c.scale.native) + 1 {
		last := len(c.ranges) - 1
		if i < len(c.scale.native) {
			last = c.scale.native[i]
		}
		var n uint64
		for ; at <= last; at++ {
			n += c.ranges[at]
		}
		index := next
		next++
		switch {
		case i == 0:
			h.ZeroCount = proto.Uint64(n)
			continue
		case n == 0:
			gap++
			continue
		}
		if spans := h.PositiveSpan; len(spans) == 0 || gap > 2 {
			h.PositiveSpan = append(spans, &dto.BucketSpan{Offset: proto.Int32(int32(index - end)), Length: proto.Uint32(0)})
			gap = 0
		}
		span := h.PositiveSpan[len(h.PositiveSpan)-1]
		for ; gap > 0; gap-- {
			h.PositiveDelta = append(h.PositiveDelta, -previous)
			previous = 0
			*span.Length++
		}
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-previous)
		previous, end = int64(n), index+1
		*span.Length++
	}
}

// exemplar is that of a classic bucket, nil for none.
func (c *counts) exemplar(bucket int) *dto.Exemplar {
	if bucket >= len(c.exemplars) || c.exemplars[bucket] == nil {
		return nil
	}
	e := c.exemplars[bucket]
	out := &dto.Exemplar{Value: proto.Float64(e.value.Seconds()), Timestamp: timestamppb.New(e.at)}
	for name, value := range e.labels {
		out.Label = append(out.Label, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
	}
	slices.SortFunc(out.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}
