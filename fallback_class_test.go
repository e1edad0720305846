package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// TestFallbackClasses checks for every class of api/classes.txt whether Fallback goes on
// after it, and that docs/fallback.md has the same.
func TestFallbackClasses(t *testing.T) {
	goesOn := map[string]bool{
		"connect":          true,  // another service has another address
		"stale_connection": true,  // as connect
		"lost":             true,  // as connect
		"timeout":          true,  // of this service's limits: the caller's time is not over
		"overloaded":       true,  // another service has other load
		"server":           true,  // and other faults
		"throttled":        true,  // and another limit
		"quota":            true,  // and another account
		"in_progress":      true,  // no more done than after a timeout
		"too_early":        true,  // of this server
		"credential":       true,  // another provider has another key
		"request":          false, // it is wrong for the others, too
		"proxy":            true,  // on the way to this service
		"mistake":          false, // this side made it
		"content":          true,  // of this service's answer
		"canceled":         false, // nothing else is wanted
	}
	file, err := os.ReadFile("api/classes.txt")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/fallback.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (yes|no) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2] == "yes"
	}
	classes := map[string]holdfast.Class{}
	for c := holdfast.ClassNone + 1; c.String() != ""; c++ {
		classes[c.String()] = c
	}
	names := strings.Fields(string(file))
	equal(t, "number of classes here", len(goesOn), len(names))
	equal(t, "number of classes in the document", len(documented), len(names))
	for _, name := range names {
		c, want := classes[name], goesOn[name]
		failed := &holdfast.Error{Attempts: []holdfast.Attempt{{Class: holdfast.ClassServer}, {Class: c}}}
		equal(t, name+" goes on", second(t, fmt.Errorf("asking: %w", failed)), want)
		if in, ok := documented[name]; !ok || in != want {
			t.Errorf("docs/fallback.md: %s is %v, want %v", name, in, want)
		}
	}
}

// second reports whether Fallback calls the second function after err.
func second(t *testing.T, err error) (called bool) {
	t.Helper()
	_, got := holdfast.Fallback(t.Context(),
		func(context.Context) (int, error) { return 0, err },
		func(context.Context) (int, error) { called = true; return 0, nil })
	if called == (got != nil) || got != nil && !errors.Is(got, err) {
		t.Errorf("%v: %v, the second function called: %v", err, got, called)
	}
	return called
}

// The class is found in every form in which a function may return it.
func TestFallbackFindsTheClass(t *testing.T) {
	failed := func(c holdfast.Class) error {
		return &holdfast.Error{Attempts: []holdfast.Attempt{{Class: c}}}
	}
	wrong, busy := failed(holdfast.ClassRequest), failed(holdfast.ClassOverloaded)
	for _, c := range []struct {
		what string
		err  error
		want bool
	}{
		{"a foreign error", errDown, false},
		{"a deadline of the function's own", context.DeadlineExceeded, false},
		{"a kind that passes", fmt.Errorf("no model: %w", holdfast.ErrUnavailable), true},
		{"a kind in an *Error that a test makes", &holdfast.Error{Err: holdfast.ErrServer}, true},
		{"an open breaker that is used alone", fmt.Errorf("breaker: %w", &holdfast.Error{Err: holdfast.ErrCircuitOpen}), true},
		{"a kind that stays", holdfast.ErrNotFound, false},
		{"an *Error that tells nothing", &holdfast.Error{Err: errDown}, false},
		{"of two, the last", errors.Join(busy, wrong), false},
		{"of two, the last that has one", errors.Join(wrong, busy, errDown), true},
		{"through two of them", fmt.Errorf("%w: %w", errDown, errors.Join(fmt.Errorf("x: %w", busy))), true},
		{"the class before the kind", fmt.Errorf("%w: %w", holdfast.ErrUnavailable, wrong), false},
		{"an *Error without class around one", &holdfast.Error{Attempts: []holdfast.Attempt{{Outcome: holdfast.Transient}}, Err: wrong}, false},
		{"only the outcome", &holdfast.Error{Attempts: []holdfast.Attempt{{Outcome: holdfast.Transient}}, Err: errDown}, true},
		{"another outcome", &holdfast.Error{Attempts: []holdfast.Attempt{{Outcome: holdfast.Permanent}}, Err: errDown}, false},
	} {
		equal(t, c.what, second(t, c.err), c.want)
	}
}

// A policy's error has the class of what failed in it, or the outcome of its Classify.
func TestFallbackAfterAPolicy(t *testing.T) {
	quota := &holdfast.Error{Attempts: []holdfast.Attempt{{Class: holdfast.ClassQuota}}}
	wrong := &holdfast.Error{Attempts: []holdfast.Attempt{{Class: holdfast.ClassRequest}}}
	always := func(o holdfast.Outcome) func(error) holdfast.Outcome {
		return func(error) holdfast.Outcome { return o }
	}
	off := holdfast.Retry{MaxRetries: holdfast.Off}
	for _, c := range []struct {
		what string
		cfg  holdfast.PolicyConfig
		err  error
		want bool
	}{
		{"every error may pass", holdfast.PolicyConfig{}, errDown, true},
		{"no error may pass", holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off, On: holdfast.Is(errUnused)}}, errDown, false},
		{"Transient", holdfast.PolicyConfig{Classify: always(holdfast.Transient)}, errDown, true},
		{"Throttled", holdfast.PolicyConfig{Classify: always(holdfast.Throttled)}, errDown, true},
		{"Permanent", holdfast.PolicyConfig{Classify: always(holdfast.Permanent)}, errDown, false},
		{"Unknown", holdfast.PolicyConfig{Classify: always(holdfast.Unknown)}, errDown, false},
		{"Canceled", holdfast.PolicyConfig{Classify: always(holdfast.Canceled)}, errDown, false},
		{"the class within", holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off, On: holdfast.Is(errUnused)}}, quota, true},
		{"another class within", holdfast.PolicyConfig{}, wrong, false},
		{"Classify before the class within", holdfast.PolicyConfig{Classify: always(holdfast.Transient)}, wrong, true},
	} {
		if c.cfg.Retry.On == nil {
			c.cfg.Retry = off
		}
		p := policy(t, c.cfg)
		err := holdfast.Run(t.Context(), p, func(context.Context) error { return c.err })
		equal(t, c.what, second(t, err), c.want)

		// The same, where the function hides the policy's error.
		called := false
		_, _ = holdfast.Fallback(t.Context(), func(ctx context.Context) (int, error) {
			return 0, hidden(holdfast.Run(ctx, p, func(context.Context) error { return c.err }))
		}, func(context.Context) (int, error) { called = true; return 0, nil })
		if c.err == errDown || c.cfg.Classify != nil { // otherwise the function hides the class, too
			equal(t, c.what+", hidden", called, c.want)
		}
	}
}

var errUnused = errors.New("no such error")

// hidden is an error of another library, which does not wrap err.
func hidden(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(err.Error())
}
