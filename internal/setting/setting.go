// Package setting describes a setting as a row of a table. Everything that has
// to know a setting reads the row: the validation of a configuration and the
// comparison of two, the settings file and the environment, the documentation.
package setting

import (
	"fmt"
	"strings"
	"time"
)

// Client is the table of holdfast.Config, a []Setting[holdfast.Config]. The root
// package sets it when it is initialized, and package settings reads it.
//
// The table cannot stand here, since its rows point into Config, which lives in
// the root, and the root imports this package. An exported variable of the root
// would show the table, and this package's types, to all users of the library.
var Client any

// Off is holdfast.Off.
const Off = -1

// Longest bounds every duration. Sums of durations up to it cannot overflow.
const Longest = 365 * 24 * time.Hour

// Row is what a table says of a setting, whatever its type.
type Row struct {
	// Name is the field's path in Go: "Retry.BaseDelay".
	Name string
	// Key is the place in a file, below the provider: "retry.base_delay". It is
	// empty for a field that no file can set.
	Key string
	// Env is the end of the environment variable, after the provider's name:
	// "RETRY_BASE_DELAY". It is empty if there is no variable.
	Env string
	// OldKey and OldEnv are former names, which are read with a warning.
	OldKey, OldEnv string

	// Off says where the setting can be Off.
	Off OffRule
	// Unset describes the zero value in files where that is not a value of the
	// setting's own: "none", or the setting that it follows.
	Unset string
	// ZeroIsUnclear rejects zero in files, where it might mean none or the default.
	ZeroIsUnclear bool
	// Must describes what a text has to be, for problems that cannot show it.
	Must string
	// Instead names the setting of a client that stands for this one, which is a
	// setting only of a part that is made alone.
	Instead string

	// Source is the row of docs/requirements.md that asks for the default, empty
	// for a default of holdfast's own.
	Source string
	// Doc describes the setting in one line, for the documentation.
	Doc string
}

// OffRule says where a setting can be Off.
type OffRule uint8

const (
	// Never is for settings that always have a value.
	Never OffRule = iota
	// Always is for settings that can be Off.
	Always
	// InClient is for the settings that switch off a part of a client. The part
	// alone cannot be off.
	InClient
)

// Kind is how files write a value.
type Kind uint8

const (
	// None is for what files do not write as one value.
	None Kind = iota
	// Text is a string.
	Text
	// Flag is true or false.
	Flag
	// Enum is one of a setting's words.
	Enum
	// Number is a whole number.
	Number
	// Duration is a string as time.Duration has it, or a number of seconds.
	Duration
)

// Setting is a row of the table of C: [Of] or [Opaque].
type Setting[C any] interface {
	// Info is the row itself.
	Info() Row

	// Resolve replaces a zero field by its default and Off by zero, and checks all
	// else. alone is true where a part of C is made without the rest, as a breaker
	// is by NewBreaker. The result is nil if the field holds.
	Resolve(c *C, alone bool) *Problem
	// Difference gives both values of a resolved field, as Go writes them, if they
	// differ.
	Difference(a, b *C) (ofA, ofB string, differ bool)

	// Parse sets the field to what text means, and zero to its value in preset. The
	// result is what is wrong, in which the text is as shows has it.
	Parse(c, preset *C, text, shows string) (problem string)
	// Fill replaces a zero field by its default, unless Row.Unset describes zero.
	Fill(c *C)
	// Text gives the field's value as files have it.
	Text(c *C) string
	// Kind is how files write the value.
	Kind() Kind
	// Values describes the values that files can have.
	Values() string
}

// Problem is a setting that does not hold.
type Problem struct {
	In    string // the configuration: "Config."
	Name  string // the field, or the row's name
	Value string // empty if it is not shown
	Rule  string // what is allowed
}

// Error gives "holdfast: Config.Retry.BaseDelay is -5s: must be positive, …".
func (p *Problem) Error() string {
	text := "holdfast: " + p.In + p.Name + " "
	if p.Value != "" {
		text += "is " + p.Value + ": "
	}
	return text + p.Rule
}

// Opaque is a setting that is no value: a function, or headers. Files and the
// environment do not set it through its row.
type Opaque[C any] struct {
	Row
	// Shown gives what may be compared and shown of it. It is nil if nothing may.
	Shown func(*C) string
}

// Info implements [Setting].
func (s Opaque[C]) Info() Row { return s.Row }

// Resolve implements [Setting].
func (Opaque[C]) Resolve(*C, bool) *Problem { return nil }

// Difference implements [Setting].
func (s Opaque[C]) Difference(a, b *C) (ofA, ofB string, differ bool) {
	if s.Shown == nil {
		return "", "", false
	}
	ofA, ofB = s.Shown(a), s.Shown(b)
	return ofA, ofB, ofA != ofB
}

// Parse implements [Setting].
func (Opaque[C]) Parse(_, _ *C, _, _ string) string { return "" }

// Fill implements [Setting].
func (Opaque[C]) Fill(*C) {}

// Text implements [Setting].
func (Opaque[C]) Text(*C) string { return "" }

// Kind implements [Setting].
func (Opaque[C]) Kind() Kind { return None }

// Values implements [Setting].
func (Opaque[C]) Values() string { return "" }

// Of is a setting of type T, which is int, int64, time.Duration, bool, string, or
// a type with Words.
type Of[C any, T comparable] struct {
	Row
	// At points to the field.
	At func(*C) *T
	// Default is what a zero field means.
	Default T
	// Follows, if there is one, gives what a zero field means, from Default and the
	// settings that stand above this one in the table.
	Follows func(c *C, def T) T
	// Alone, if there is one, is the default where a part of C is made alone.
	Alone *T
	// Most is the largest number that is allowed. A duration without it may be as
	// long as Longest.
	Most T
	// Words are the values of an enumeration. The first is the zero value.
	Words []Word[T]
	// Check gives what is wrong with a text: the value, unless it must not be shown,
	// and the rule, which is empty if nothing is wrong.
	Check func(T) (value, rule string)
}

// Word is one value of an enumeration.
type Word[T any] struct {
	Value T
	Go    string // its name in Go
	File  string // its name in files
}

func (w Word[T]) inGo() string   { return w.Go }
func (w Word[T]) inFile() string { return w.File }

// Info implements [Setting].
func (s Of[C, T]) Info() Row { return s.Row }

// Resolve implements [Setting].
func (s Of[C, T]) Resolve(c *C, alone bool) *Problem {
	var zero T
	p, def := s.At(c), s.def(c, alone)
	given, canBeOff := *p, s.Off == Always || s.Off == InClient && !alone
	n, isNumber := number(given)
	switch {
	case s.Instead != "" && !alone:
		if *p = def; given != zero {
			return &Problem{Name: s.Name, Value: fmt.Sprint(given), Rule: "must be zero here; set " + s.Instead}
		}
		return nil
	case given == zero:
		*p = def
	case isNumber && n == Off && canBeOff:
		*p = zero
	case isNumber:
		if rule := s.bounds(n, canBeOff, shown(def), "Off"); rule != "" {
			value := fmt.Sprint(given)
			if n == Off {
				value += " (Off)"
			}
			return &Problem{Name: s.Name, Value: value, Rule: rule}
		}
	case s.Words != nil && s.word(given) == nil:
		return &Problem{Name: s.Name, Value: fmt.Sprintf("%d", any(given)), Rule: "must be " + s.oneOf(Word[T].inGo)}
	}
	if s.Check != nil {
		if value, rule := s.Check(*p); rule != "" {
			return &Problem{Name: s.Name, Value: value, Rule: rule}
		}
	}
	return nil
}

// Difference implements [Setting].
func (s Of[C, T]) Difference(a, b *C) (ofA, ofB string, differ bool) {
	was, is := *s.At(a), *s.At(b)
	if was == is || s.Instead != "" {
		return "", "", false
	}
	return s.inGo(was), s.inGo(is), true
}

// def is what a zero field of c means.
func (s Of[C, T]) def(c *C, alone bool) T {
	switch {
	case alone && s.Alone != nil:
		return *s.Alone
	case s.Follows != nil:
		return s.Follows(c, s.Default)
	}
	return s.Default
}

// bounds gives the rule that n breaks, empty if it breaks none. zero is what zero
// means, off how Off is written.
func (s Of[C, T]) bounds(n int64, canBeOff bool, zero, off string) string {
	most := s.most()
	limit, _ := number(most)
	switch {
	case n < 0 && canBeOff:
		return "must be positive, zero for " + zero + ", or " + off
	case n < 0:
		return "must be positive or zero for " + zero
	case n > limit:
		return "must be at most " + fmt.Sprint(most)
	}
	return ""
}

func (s Of[C, T]) most() T {
	most := s.Most
	if d, ok := any(&most).(*time.Duration); ok && *d == 0 {
		*d = Longest
	}
	return most
}

func (s Of[C, T]) word(v T) *Word[T] {
	for i := range s.Words {
		if s.Words[i].Value == v {
			return &s.Words[i]
		}
	}
	return nil
}

// oneOf lists the words as a sentence does.
func (s Of[C, T]) oneOf(name func(Word[T]) string) string {
	var names []string
	for _, w := range s.Words {
		names = append(names, name(w))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// inGo is a resolved value as a reader of a Config knows it.
func (s Of[C, T]) inGo(v T) string {
	if w := s.word(v); w != nil {
		return w.Go
	}
	return shown(v)
}

// shown is a value, "none" for zero.
func shown(v any) string {
	if n, ok := number(v); ok && n == 0 {
		return "none"
	}
	return fmt.Sprint(v)
}

// number gives v as an int64, if it has a size.
func number(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case time.Duration:
		return int64(v), true
	}
	return 0, false
}
