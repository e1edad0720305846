package fault

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/spelling"
)

// Parse reads a plan from JSON and validates it. An unknown or repeated key is
// a problem. Durations are strings in the format of time.ParseDuration:
// "250ms", "2s", "1m30s". The error is an [*Error] with every problem and its
// path. For a text that is not JSON it has one problem, with line and column.
func Parse(data []byte) (Plan, error) {
	var d decoder
	var p Plan
	if len(data) > MaxPlanBytes {
		d.addf("", "has %d bytes, at most %d are allowed", len(data), MaxPlanBytes)
		return Plan{}, d.err()
	}
	root, err := parseTree(data)
	if err != nil {
		d.addf("", "%s", err)
		return Plan{}, d.err()
	}
	d.value("", root, reflect.ValueOf(&p).Elem())

	// A value that could not be read is zero: do not report it a second time.
	var meaning checker
	meaning.plan(p)
	form := d
	for _, problem := range meaning.problems {
		if !form.touches(problem.Path) {
			d.problems = append(d.problems, problem)
		}
	}
	if err := d.err(); err != nil {
		return Plan{}, err
	}
	p.Version = 1 // also if the text omits it
	return p, nil
}

// UnmarshalJSON reads a plan like [Parse], so that a plan can be part of other
// settings.
func (p *Plan) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err == nil {
		*p = parsed
	}
	return err
}

// MarshalJSON writes the format of [Parse] and omits zero fields.
func (p Plan) MarshalJSON() ([]byte, error) {
	if p.Version == 0 {
		p.Version = 1
	}
	return json.Marshal(encode(reflect.ValueOf(p)))
}

var durationType = reflect.TypeFor[time.Duration]()

// decoder fills a Go value from a tree and collects the problems.
type decoder struct{ checker }

// touches reports whether a value at, above or below path could not be read.
func (d *decoder) touches(path string) bool {
	for _, p := range d.problems {
		if within(p.Path, path) || within(path, p.Path) {
			return true
		}
	}
	return false
}

func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (d *decoder) value(path string, n node, into reflect.Value) {
	switch {
	case into.Type() == durationType:
		if n.kind != aString {
			d.addf(path, `%s must be a duration in quotes, as "250ms" or "2s"`, n)
		} else if parsed, err := time.ParseDuration(n.text); err != nil {
			d.addf(path, `%s must be a duration, as "250ms" or "2s"`, n)
		} else {
			into.SetInt(int64(parsed))
		}
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(path, n, into.Elem())
	case into.Kind() == reflect.Struct:
		if d.expect(path, n, anObject, "an object") {
			d.fields(path, n, into)
		}
	case into.Kind() == reflect.Slice:
		switch {
		case !d.expect(path, n, anArray, "a list"):
		case len(n.items) > MaxStatuses: // the longest list
			d.addf(path, "has %d entries, at most %d are allowed", len(n.items), MaxStatuses)
		default:
			into.Set(reflect.MakeSlice(into.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				d.value(fmt.Sprintf("%s[%d]", path, i), item, into.Index(i))
			}
		}
	case into.Kind() == reflect.Map: // of string to string
		if d.expect(path, n, anObject, "an object") {
			into.Set(reflect.MakeMap(into.Type()))
			for i, key := range n.keys {
				if d.expect(join(path, key), n.items[i], aString, "a string") {
					into.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(n.items[i].text))
				}
			}
		}
	case into.Kind() == reflect.String:
		if d.expect(path, n, aString, "a string") {
			into.SetString(n.text)
		}
	case into.Kind() == reflect.Bool:
		if d.expect(path, n, aBool, "true or false") {
			into.SetBool(n.text == "true")
		}
	default:
		d.number(path, n, into)
	}
}

func (d *decoder) number(path string, n node, into reflect.Value) {
	var err error
	what := "a whole number"
	switch {
	case n.kind != aNumber:
		err = strconv.ErrSyntax
	case into.Kind() == reflect.Int:
		var i int64
		i, err = strconv.ParseInt(n.text, 10, into.Type().Bits())
		into.SetInt(i)
	case into.Kind() == reflect.Uint64:
		var u uint64
		u, err = strconv.ParseUint(n.text, 10, 64)
		into.SetUint(u)
		what = "a whole number from 0 to 18446744073709551615"
	}
	if into.Kind() == reflect.Float64 {
		what = "a number"
		if n.kind == aNumber {
			var f float64
			f, err = strconv.ParseFloat(n.text, 64)
			into.SetFloat(f)
		}
	}
	if err != nil {
		into.SetZero()
		d.addf(path, "%s must be %s", n, what)
	}
}

func (d *decoder) expect(path string, n node, k kind, what string) bool {
	if n.kind != k {
		d.addf(path, "%s must be %s", n, what)
	}
	return n.kind == k
}

func (d *decoder) fields(path string, n node, into reflect.Value) {
	t := into.Type()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("json")
	}
	seen := make(map[string]bool, len(n.keys))
	for i, key := range n.keys {
		at := join(path, key)
		field, known := indexOf(names, key)
		switch {
		case !known:
			d.unknown(at, key, names)
		case seen[key]:
			d.addf(at, "is given twice")
		default:
			seen[key] = true
			before := len(d.problems)
			d.value(at, n.items[i], into.Field(field))
			if t.Field(field).Tag.Get("zero") == "refused" && into.Field(field).IsZero() && len(d.problems) == before {
				d.addf(at, "%s must be above 0; leave it out for always", n.items[i])
			}
		}
	}
}

func (d *decoder) unknown(path, key string, names []string) {
	if best := spelling.Nearest(key, names); best != "" {
		d.addf(path, "unknown key; did you mean %s?", best)
		return
	}
	d.addf(path, "unknown key; known are %s", strings.Join(names, ", "))
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func indexOf(names []string, key string) (int, bool) {
	for i, name := range names {
		if name == key {
			return i, true
		}
	}
	return 0, false
}

// encode returns the value to pass to json.Marshal.
func encode(v reflect.Value) any {
	switch {
	case v.Type() == durationType:
		return time.Duration(v.Int()).String()
	case v.Kind() == reflect.Pointer:
		return encode(v.Elem())
	case v.Kind() == reflect.Struct:
		object := make(map[string]any)
		for i := range v.NumField() {
			if field := v.Field(i); !field.IsZero() {
				object[v.Type().Field(i).Tag.Get("json")] = encode(field)
			}
		}
		return object
	case v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encode(v.Index(i))
		}
		return list
	default:
		return v.Interface()
	}
}
