package explain

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
)

// Descriptions use the words of the plan language, in the order of the fields. So they are
// complete, and each word can be found in the plan.

// everyRequest describes the selector of a rule without conditions.
const everyRequest = "every request"

// describeSelector describes the requests or connections that a rule selects. noun is
// "request" or "connection".
func describeSelector(noun, nth string, probability float64, m fault.Match) string {
	text := "every " + noun
	switch {
	case nth != "" && strings.Contains(nth, "-"):
		text = noun + "s " + strings.TrimSuffix(nth, "-")
		if strings.HasSuffix(nth, "-") {
			text += " and on"
		}
	case nth != "":
		text = noun + " " + nth
	case probability != 0:
		text = noun + "s"
	}
	var conditions []string
	add := func(kind, value string) {
		if value != "" {
			conditions = append(conditions, kind+" "+format.Excerpt(value))
		}
	}
	add("method", m.Method)
	add("path", m.Path)
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		add("header", name+": "+m.Header[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.Query)) {
		add("query", name+"="+m.Query[name])
	}
	if s := m.Shard; s != nil {
		key := "header " + s.Header
		if s.Query != "" {
			key = "query " + s.Query
		}
		conditions = append(conditions, fmt.Sprintf("shard %s of %d by %s", strings.Trim(fmt.Sprint(s.Is), "[]"), s.Of, format.Excerpt(key)))
	}
	if len(conditions) > 0 {
		text += " with " + strings.Join(conditions, ", ")
	}
	if probability != 0 && probability < 1 {
		text = percent(probability) + " of " + text
	}
	return text
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 3, 64) + " %"
}

// describeFault describes a fault, or the faults of a mix with their shares.
func describeFault(f fault.Fault) string {
	if len(f.Mix) == 0 {
		return describeFields(reflect.ValueOf(f))
	}
	sum := 0.0
	for _, choice := range f.Mix {
		sum += choice.Weight
	}
	var each []string
	for _, choice := range f.Mix {
		each = append(each, percent(choice.Weight/sum)+" "+describeFields(reflect.ValueOf(choice.Fault)))
	}
	return "one of " + strings.Join(each, "; ")
}

func describeConnection(f fault.ConnFault) string { return describeFields(reflect.ValueOf(f)) }

func describeLatency(l fault.Latency) string { return describeFields(reflect.ValueOf(l)) }

// describeFields names every field of a struct that is set, with its value.
func describeFields(v reflect.Value) string {
	var texts []string
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() {
			continue
		}
		name := v.Type().Field(i).Tag.Get("json")
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch {
		case field.Kind() == reflect.Bool:
			texts = append(texts, name)
		case field.Kind() == reflect.Struct:
			texts = append(texts, name+" ("+describeFields(field)+")")
		default:
			texts = append(texts, name+" "+describeValue(field))
		}
	}
	return strings.Join(texts, ", ")
}

func describeValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case map[string]string:
		var each []string
		for _, name := range slices.Sorted(maps.Keys(x)) {
			each = append(each, format.Excerpt(name+": "+x[name]))
		}
		return strings.Join(each, ", ")
	case []int:
		return describeStatuses(x)
	}
	return format.Excerpt(fmt.Sprint(v.Interface()))
}

// describeStatuses lists the first ten statuses of a sequence.
func describeStatuses(list []int) string {
	var each []string
	for _, n := range list[:min(len(list), 10)] {
		each = append(each, strconv.Itoa(n))
	}
	text := strings.Join(each, " ")
	if more := len(list) - len(each); more > 0 {
		text += fmt.Sprintf(" and %s more", format.Number(more))
	}
	return text
}

// describeCapacity describes a capacity, a line for each aspect.
func describeCapacity(c fault.Capacity) (lines []string) {
	switch {
	case c.Workers > 0 && c.Queue > 0:
		lines = append(lines, fmt.Sprintf("%s, %s may wait, the next is refused with 503", format.Plural(c.Workers, "worker"), format.Number(c.Queue)))
	case c.Workers > 0:
		lines = append(lines, format.Plural(c.Workers, "worker")+", no request may wait: the next is refused with 503")
	}
	if wait := c.ServiceTime + c.Latency.Base; wait > 0 {
		lines = append(lines, "a request takes "+wait.String())
	}
	if c.Latency.PerInFlight > 0 {
		lines = append(lines, c.Latency.PerInFlight.String()+" longer for each request in flight")
	}
	abandoned := "work for a caller that has left is finished all the same"
	if c.Abandoned == fault.AbandonedDropped {
		abandoned = "work for a caller that has left is dropped"
	}
	return append(lines, abandoned)
}
