// Package cli is shared code of this module's commands.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
)

// Main runs a command until it ends or is interrupted. On an error it prints
// the command's name and the error and exits with status 1.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Matching returns the items with a name that matches the flag's expression. It
// fails if the expression is invalid or matches no item.
func Matching[T any](all []T, name func(T) string, flag, expression string) ([]T, error) {
	e, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	all = slices.DeleteFunc(all, func(x T) bool { return !e.MatchString(name(x)) })
	if len(all) == 0 {
		return nil, fmt.Errorf("%s %q matches nothing", flag, expression)
	}
	return all, nil
}

// WriteJSON writes v as JSON to a file and creates its directories.
func WriteJSON(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
