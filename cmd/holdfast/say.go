package main

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

// A fault is said in the words of the plan language, in the order of its fields,
// so that whatever a plan can hold is said, and can be found again in it.

// everyRequest is whom a rule selects that does not choose.
const everyRequest = "every request"

// whom says what a rule selects: requests, or connections.
func whom(what, nth string, probability float64, m fault.Match) string {
	said := "every " + what
	switch {
	case nth != "" && strings.Contains(nth, "-"):
		said = what + "s " + strings.TrimSuffix(nth, "-")
		if strings.HasSuffix(nth, "-") {
			said += " and on"
		}
	case nth != "":
		said = what + " " + nth
	case probability != 0:
		said = what + "s"
	}
	var only []string
	add := func(what, of string) {
		if of != "" {
			only = append(only, what+" "+format.Excerpt(of))
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
		only = append(only, fmt.Sprintf("shard %s of %d by %s", strings.Trim(fmt.Sprint(s.Is), "[]"), s.Of, format.Excerpt(key)))
	}
	if len(only) > 0 {
		said += " with " + strings.Join(only, ", ")
	}
	if probability != 0 && probability < 1 {
		said = percent(probability) + " of " + said
	}
	return said
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 3, 64) + " %"
}

func sayFault(f fault.Fault) string {
	if len(f.Mix) == 0 {
		return say(reflect.ValueOf(f))
	}
	sum := 0.0
	for _, choice := range f.Mix {
		sum += choice.Weight
	}
	var each []string
	for _, choice := range f.Mix {
		each = append(each, percent(choice.Weight/sum)+" "+say(reflect.ValueOf(choice.Fault)))
	}
	return "one of " + strings.Join(each, "; ")
}

func sayConnection(f fault.ConnFault) string { return say(reflect.ValueOf(f)) }

func sayLatency(l fault.Latency) string { return say(reflect.ValueOf(l)) }

// say names every field of a struct that is set, with its value.
func say(v reflect.Value) string {
	var said []string
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
			said = append(said, name)
		case field.Kind() == reflect.Struct:
			said = append(said, name+" ("+say(field)+")")
		default:
			said = append(said, name+" "+sayValue(field))
		}
	}
	return strings.Join(said, ", ")
}

func sayValue(v reflect.Value) string {
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
		return sayStatuses(x)
	}
	return format.Excerpt(fmt.Sprint(v.Interface()))
}

// sayStatuses says a sequence in order, at most the first ten of it.
func sayStatuses(list []int) string {
	var each []string
	for _, n := range list[:min(len(list), 10)] {
		each = append(each, strconv.Itoa(n))
	}
	said := strings.Join(each, " ")
	if more := len(list) - len(each); more > 0 {
		said += fmt.Sprintf(" and %s more", format.Number(more))
	}
	return said
}

func sayCapacity(c fault.Capacity) (said []string) {
	switch {
	case c.Workers > 0 && c.Queue > 0:
		said = append(said, fmt.Sprintf("%s, %s may wait, the next is refused with 503", format.Plural(c.Workers, "worker"), format.Number(c.Queue)))
	case c.Workers > 0:
		said = append(said, format.Plural(c.Workers, "worker")+", nobody may wait: the next is refused with 503")
	}
	if wait := c.ServiceTime + c.Latency.Base; wait > 0 {
		said = append(said, "a request takes "+wait.String())
	}
	if c.Latency.PerInFlight > 0 {
		said = append(said, c.Latency.PerInFlight.String()+" longer for each request in flight")
	}
	abandoned := "work whose caller has left is finished all the same"
	if c.Abandoned == fault.AbandonedDropped {
		abandoned = "work whose caller has left is dropped"
	}
	return append(said, abandoned)
}

// The ids of what a fault can do are asked of the plan's own machine.

func requestIDs(f fault.Fault) []fault.ID {
	var ids []fault.ID
	for _, choice := range f.Mix {
		ids = append(ids, requestIDs(choice.Fault)...)
	}
	if len(f.Mix) > 0 {
		return inOrder(ids)
	}
	if f.Quota != nil {
		used := *f.Quota
		used.Limit = 0
		f.Quota = &used
	}
	machine, err := fault.Plan{Rules: []fault.Rule{{Fault: f}}}.Compile()
	if err != nil {
		return nil // the plan was checked; a fault that goes by chance has no ids of its own
	}
	for range max(1, len(f.Statuses)) {
		ids = append(ids, machine.Next(0, fault.Request{}).IDs...)
	}
	return inOrder(ids)
}

func connectionIDs(f fault.ConnFault) []fault.ID {
	if f.Refuse {
		return []fault.ID{fault.IDRefuse}
	}
	machine, err := fault.Plan{Connections: []fault.ConnRule{{Fault: f}}}.Compile()
	if err != nil {
		return nil
	}
	return slices.Clone(machine.NextConnection(0).IDs)
}

func capacityIDs(c fault.Capacity) (ids []fault.ID) {
	if c.Workers > 0 {
		ids = append(ids, fault.IDCapacityRefuse)
	}
	if c.Queue > 0 {
		ids = append(ids, fault.IDCapacityQueue)
	}
	if c.Latency.PerInFlight > 0 {
		ids = append(ids, fault.IDCapacityLoad)
	}
	return ids
}

// inOrder gives each id once, where it came first.
func inOrder(ids []fault.ID) []fault.ID {
	var once []fault.ID
	for _, id := range ids {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}
