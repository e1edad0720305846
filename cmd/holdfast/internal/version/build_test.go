package version

import (
	"runtime"
	"slices"
	"testing"
)

// The test of the program checks the other modules: the go command records only one
// in the test of a package.
func TestCurrent(t *testing.T) {
	b := Current()
	if b.Go != runtime.Version() || b.Platform != runtime.GOOS+"/"+runtime.GOARCH || b.Version != "(devel)" {
		t.Errorf("build %+v", b)
	}
	if !slices.ContainsFunc(b.Modules, func(m module) bool { return m.Path == "github.com/holdfast-go/holdfast/cmd/holdfast" }) {
		t.Errorf("modules are %+v; want the one of the program", b.Modules)
	}
}
