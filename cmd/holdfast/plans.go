package main

import (
	files "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/internal/spelling"
)

// The built-in plans: plans/NAME.json for each name in builtins.
//
//go:embed plans/*.json
var planFiles files.FS

// builtins says what each built-in plan is like, in the order of the list.
var builtins = []struct{ name, like string }{
	{"healthy", "nothing goes wrong; answers in 8 ms, 1 in 100 over 40 ms"},
	{"flaky", "one answer in ten is a 5xx, a few connections are reset, a few requests hang"},
	{"outage", "8 s healthy, resets, nobody listens for 10 s, 503 for 5 s, then slow, then well"},
	{"flapping", "of every 10 s 4 fail, half of these refuse connections"},
	{"throttled", "429 with Retry-After in waves, some of it as a date, some of it nonsense"},
	{"quota", "50 requests in 10 s are admitted, the rest get 429 and the time that is left"},
	{"slow", "one answer in twenty takes 2 s; some stall in the middle, some drip"},
	{"overload", "8 workers and 32 places to wait, and slower the more there are"},
	{"dying-bodies", "half of the answers break off, stall, or promise more than comes"},
	{"stale-connections", "idle connections die just when they are used again"},
	{"lost-answers", "one in five: the work is done, the answer is lost"},
	{"one-shard", "from 5 s on one shard of eight is down, by the header X-Tenant"},
	{"hostile", "garbage, huge headers, a gzip bomb, redirect loops, endless bodies"},
	{"bad-tls", "the first six connections fail in the handshake, each in its own way; needs --tls"},
	{"h2", "GOAWAY and RST_STREAM as in a rolling restart, some connections serve one stream; needs --h2"},
}

func newFaultsPlans() *cobra.Command {
	return &cobra.Command{
		Use:   "plans [NAME]",
		Short: "List the built-in plans, or print one",
		Long: `Lists the built-in plans, which --plan takes by name. With a name it prints that
plan as JSON, to start one's own from.`,
		Example: `  holdfast faults plans outage > mine.json`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 1 {
				data, err := builtin(args[0])
				if err != nil {
					return exit.Errorf(exit.Usage, "%w", err)
				}
				if _, err = out.Write(data); err != nil {
					return exit.Errorf(exit.Failure, "%w", exit.Reason(err))
				}
				return nil
			}
			for _, b := range builtins {
				fmt.Fprint(out, term.Wrap(term.Of(out).Columns(), fmt.Sprintf("%-17s  ", b.name), b.like))
			}
			return nil
		},
	}
}

// unknownPlan says that there is no built-in plan of that name, and what might
// have been meant.
type unknownPlan struct {
	name string
	file string // of that name, if there is one
}

func (e unknownPlan) Error() string {
	var names, meant []string
	for _, b := range builtins {
		names = append(names, b.name)
	}
	if near := spelling.Nearest(e.name, names); near != "" {
		meant = append(meant, near)
	}
	if e.file != "" {
		meant = append(meant, "the file "+e.file)
	}
	if len(meant) == 0 {
		return fmt.Sprintf("%q is not a built-in plan; there are %s", e.name, strings.Join(names, ", "))
	}
	return fmt.Sprintf("%q is not a built-in plan; did you mean %s?", e.name, strings.Join(meant, ", or "))
}

// badPlan is the error of a plan that cannot be had: an argument that names none,
// or a file that does not hold.
func badPlan(argument string, err error) error {
	if errors.As(err, &unknownPlan{}) {
		return exit.Errorf(exit.Usage, "%s: %w", argument, err)
	}
	return exit.Errorf(exit.Config, "%s: %w", argument, err)
}

// builtin gives the text of a built-in plan; the error is an unknownPlan.
func builtin(name string) ([]byte, error) {
	for _, b := range builtins {
		if b.name == name {
			return planFiles.ReadFile("plans/" + name + ".json")
		}
	}
	return nil, unknownPlan{name: name}
}

// isFile says whether what was given for a plan is a file: it has a separator or
// an extension. Otherwise it is the name of a built-in plan.
func isFile(plan string) bool {
	return strings.ContainsRune(plan, '/') || strings.ContainsRune(plan, filepath.Separator) || filepath.Ext(plan) != ""
}

// loadPlan reads a file or takes a built-in plan. Its note, if it has one, is for
// whoever might have meant something else.
func loadPlan(plan string) (loaded fault.Plan, note string, err error) {
	if isFile(plan) {
		loaded, err = readPlan(plan)
		return loaded, "", err
	}
	file := "." + string(filepath.Separator) + plan
	_, missing := os.Stat(file)
	data, err := builtin(plan)
	switch unknown := (unknownPlan{}); {
	case errors.As(err, &unknown) && missing == nil:
		unknown.file = file
		return fault.Plan{}, "", unknown
	case err != nil:
		return fault.Plan{}, "", err
	case missing == nil:
		note = fmt.Sprintf("%s is the built-in plan; for the file of that name write %s", plan, file)
	}
	loaded, err = fault.Parse(data)
	return loaded, note, err
}

// readPlan reads no more of the file than a plan may have.
func readPlan(file string) (fault.Plan, error) {
	f, err := os.Open(file)
	if err != nil {
		return fault.Plan{}, exit.Reason(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > fault.MaxPlanBytes {
		return fault.Plan{}, tooLarge(info.Size())
	}
	data, err := io.ReadAll(io.LimitReader(f, fault.MaxPlanBytes+1))
	if err != nil {
		return fault.Plan{}, exit.Reason(err)
	}
	return parsePlan(file, data)
}

// tooLarge is what fault.Parse would say, had it been given the whole.
func tooLarge(size int64) error {
	return &fault.Error{Problems: []fault.Problem{{
		Message: fmt.Sprintf("has %d bytes, at most %d are allowed", size, fault.MaxPlanBytes)}}}
}

// parsePlan reads a plan from JSON, or from YAML if the file's name says so.
func parsePlan(file string, data []byte) (fault.Plan, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return parseYAML(data)
	}
	return fault.Parse(data)
}
