package plans

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/internal/spelling"
)

// Load reads a plan from a file, or takes a built-in one. The note is empty unless both
// exist.
func Load(plan string) (loaded fault.Plan, note string, err error) {
	if IsFile(plan) {
		loaded, err = readFile(plan)
		return loaded, "", err
	}
	file := "." + string(filepath.Separator) + plan
	_, missing := os.Stat(file)
	data, err := Builtin(plan)
	switch unknown := (unknownError{}); {
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

// LoadError gives an error of Load its exit status, and the argument that caused it.
func LoadError(argument string, err error) error {
	if errors.As(err, &unknownError{}) {
		return exit.Errorf(exit.Usage, "%s: %w", argument, err)
	}
	return exit.Errorf(exit.Config, "%s: %w", argument, err)
}

// IsFile reports whether the name of a plan is that of a file: it has a separator or an
// extension. Other names are those of built-in plans.
func IsFile(plan string) bool {
	return strings.ContainsRune(plan, '/') || strings.ContainsRune(plan, filepath.Separator) || filepath.Ext(plan) != ""
}

// Parse reads a plan from YAML if the file has such an extension, otherwise from JSON.
func Parse(file string, data []byte) (fault.Plan, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return ParseYAML(data)
	}
	return fault.Parse(data)
}

// Summary is the number of rules of a plan, and its provider.
func Summary(plan fault.Plan) string {
	text := format.Plural(len(plan.Rules), "rule")
	if n := len(plan.Connections); n > 0 {
		text += ", " + format.Plural(n, "connection rule")
	}
	if plan.Capacity != nil {
		text += ", a capacity"
	}
	if plan.As != "" {
		text += ", as " + string(plan.As)
	}
	return text
}

// readFile reads a file, but not more of it than a plan may have.
func readFile(file string) (fault.Plan, error) {
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
	return Parse(file, data)
}

// tooLarge is the error of fault.Parse for a text of this size.
func tooLarge(size int64) error {
	return &fault.Error{Problems: []fault.Problem{{
		Message: fmt.Sprintf("has %d bytes, at most %d are allowed", size, fault.MaxPlanBytes)}}}
}

// unknownError is the error of a name that no built-in plan has.
type unknownError struct {
	name string
	file string // a file with this name, if there is one
}

func (e unknownError) Error() string {
	var names, similar []string
	for _, b := range Builtins {
		names = append(names, b.Name)
	}
	if near := spelling.Nearest(e.name, names); near != "" {
		similar = append(similar, near)
	}
	if e.file != "" {
		similar = append(similar, "the file "+e.file)
	}
	if len(similar) == 0 {
		return fmt.Sprintf("%q is not a built-in plan; there are %s", e.name, strings.Join(names, ", "))
	}
	return fmt.Sprintf("%q is not a built-in plan; did you mean %s?", e.name, strings.Join(similar, ", or "))
}
