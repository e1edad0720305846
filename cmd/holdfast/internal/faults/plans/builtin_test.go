package plans

import (
	"bytes"
	"io/fs"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

func TestBuiltinPlans(t *testing.T) {
	opened, err := fs.Glob(builtinFiles, "builtin/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range Builtins {
		file := "builtin/" + b.Name + ".json"
		i := slices.Index(opened, file)
		if i < 0 {
			t.Errorf("%s has no file %s", b.Name, file)
			continue
		}
		opened = slices.Delete(opened, i, i+1)
		if IsFile(b.Name) {
			t.Errorf("%s would be taken for a file", b.Name)
		}
		plan, _, err := Load(b.Name)
		if err != nil {
			t.Errorf("%s: %v", b.Name, err)
		} else if _, err := plan.Compile(); err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), []string{"plans", b.Name}, &stdout, &stderr); status != 0 {
			t.Errorf("faults plans %s: exit status %d, %s", b.Name, status, &stderr)
		} else if _, err := fault.Parse(stdout.Bytes()); err != nil {
			t.Errorf("faults plans %s: %v", b.Name, err)
		}
	}
	for _, file := range opened {
		t.Errorf("%s is not in Builtins", file)
	}
}
