package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A change that does not compile is not one that a test noticed, although go test
// ends with the same exit code. Every line counts as covered.
func TestAsGo(t *testing.T) {
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module x\n\ngo 1.26\n")
	write("x.go", "package x\n\nfunc F() int { return 1 }\n")
	write("x_test.go", "package x\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) {}\n")
	profile := filepath.Join(t.TempDir(), "coverage")
	if code := asGo(real, []string{"test", "-cover", "-coverprofile", profile, "./..."}); code != 0 {
		t.Errorf("the coverage: exit code %d", code)
	}
	if got, err := os.ReadFile(profile); string(got) != "mode: set\nx/x.go:1.1,1000000.1 1 1\n" {
		t.Errorf("the profile is %q, %v", got, err)
	}
	write("x.go", "package x\n\nfunc F() int { return 1 && 2 }\n")
	if code := asGo(real, []string{"test", "-timeout", "1m", "-failfast", "x"}); code != doesNotCompile {
		t.Errorf("a change that does not compile: exit code %d, want %d", code, doesNotCompile)
	}
}
