package setting

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// off is Off as files have it.
const off = "off"

// Parse implements [Setting].
func (s Of[C, T]) Parse(c, preset *C, text, shows string) string {
	v, problem := s.read(*s.At(preset), text, shows)
	if problem == "" {
		*s.At(c) = v
	}
	return problem
}

// Fill implements [Setting].
func (s Of[C, T]) Fill(c *C) {
	var zero T
	if p := s.At(c); *p == zero && s.Unset == "" {
		*p = s.def(c, false)
	}
}

// Text implements [Setting].
func (s Of[C, T]) Text(c *C) string { return s.inFile(*s.At(c)) }

// Kind implements [Setting].
func (s Of[C, T]) Kind() Kind {
	var v T
	switch any(v).(type) {
	case string:
		return Text
	case bool:
		return Flag
	case int, int64:
		return Number
	case time.Duration:
		return Duration
	}
	return Enum
}

// Values implements [Setting].
func (s Of[C, T]) Values() string {
	values := ""
	switch s.Kind() {
	case Text:
		return "text"
	case Flag:
		return "true or false"
	case Enum:
		return s.oneOf(Word[T].inFile)
	case Number:
		values = "number"
		if n, _ := number(s.Most); n < math.MaxInt64 {
			values = fmt.Sprintf("number up to %d", n)
		}
	case Duration:
		values = "duration"
	}
	if s.Off != Never {
		values += ", or off"
	}
	return values
}

// read gives the value that text means. Zero means def, which is zero itself where
// the setting's default counts.
func (s Of[C, T]) read(def T, text, shows string) (v T, problem string) {
	var zero T
	canBeOff, what, meant := s.Off != Never, "", def
	if def == zero {
		meant = s.Default
	}
	var err error
	switch into := any(&v).(type) {
	case *string:
		if *into = text; text == "" {
			v = def
		}
		return v, ""
	case *bool:
		if *into = text == "true"; !*into && text != "false" {
			return v, shows + " must be true or false"
		}
		return v, ""
	case *int:
		what = "a whole number"
		*into, err = strconv.Atoi(text)
	case *int64:
		what = "a whole number"
		*into, err = strconv.ParseInt(text, 10, 64)
	case *time.Duration:
		what = `a duration like "90s", or seconds like 90.0`
		*into, err = duration(text)
	default:
		for _, w := range s.Words {
			if w.File == text {
				return w.Value, ""
			}
		}
		return v, shows + " must be " + s.oneOf(Word[T].inFile)
	}
	n, _ := number(v)
	switch {
	case text == off && canBeOff:
		return offOf[T](), ""
	case text == off:
		return v, shows + " is not possible here: must be positive or zero for " + s.inFile(meant)
	case err != nil && canBeOff:
		return v, shows + " must be " + what + ", or off"
	case err != nil:
		return v, shows + " must be " + what
	case n == 0 && s.ZeroIsUnclear:
		return v, fmt.Sprintf("0 may mean two things: must be positive, left out for %v, or off for none", meant)
	case n == 0:
		return def, ""
	}
	if rule := s.bounds(n, canBeOff, s.inFile(meant), off); rule != "" {
		return v, fmt.Sprint(v) + " " + rule
	}
	return v, ""
}

// inFile is a value as files have it, or what Row.Unset says of a zero one.
func (s Of[C, T]) inFile(v T) string {
	var zero T
	if w := s.word(v); w != nil {
		return w.File
	}
	if v == zero && s.Unset != "" {
		return s.Unset
	}
	if n, ok := number(v); ok && n == Off {
		return off
	}
	return fmt.Sprint(v)
}

// offOf is Off as a T, which is a number.
func offOf[T any]() (v T) {
	switch p := any(&v).(type) {
	case *int:
		*p = Off
	case *int64:
		*p = Off
	case *time.Duration:
		*p = Off
	}
	return v
}

// duration reads "90s", or a number of seconds.
func duration(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789.eE+-") != "" { // ParseFloat reads 0x1p4, inf and nan too
		return time.ParseDuration(text)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, err
	}
	d := math.Round(seconds * float64(time.Second))
	if d == 0 && seconds != 0 || math.Abs(d) > 1<<62 {
		return 0, errors.New("out of range")
	}
	return time.Duration(d), nil
}
