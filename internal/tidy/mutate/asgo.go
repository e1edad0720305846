package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// realGo names the go command to a process that stands before it. Gremlins goes
// by go test's exit code and by its coverage, and both mislead it: go test ends
// with 1 too when there is nothing to run, because the mutant does not compile,
// or vet did not like it; and no coverage speaks of what is in a case, a constant
// or a variable of the package, which gremlins would leave as it is.
const realGo = "MUTATE_GO"

// goFirst is an environment in which the go command is this program.
func goFirst(temp string) ([]string, error) {
	real, err := exec.LookPath("go")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(temp, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(self, filepath.Join(bin, "go")); err != nil {
		return nil, err
	}
	path := bin + string(os.PathListSeparator) + os.Getenv("PATH")
	return append(os.Environ(), realGo+"="+real, "PATH="+path), nil
}

// doesNotCompile is the exit code by which gremlins knows such a mutant.
const doesNotCompile = 2

// asGo does what the go command would, and sees to it that gremlins understands.
func asGo(real string, args []string) (code int) {
	if args[0] != "test" {
		return become(real, args)
	}
	args = slices.Insert(args, 1, "-vet=off", "-count=1")
	if i := slices.Index(args, "-coverprofile"); i >= 0 {
		cmd := exec.Command(real, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil || coverAll(args[i+1]) != nil {
			return 1
		}
		return 0
	}
	if exec.Command(real, "build", args[len(args)-1]).Run() != nil {
		return doesNotCompile
	}
	return become(real, args)
}

// become ends with the go command in this process's place, for gremlins kills the
// process that it has started, and no other.
func become(real string, args []string) int {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, realGo+"=") })
	err := syscall.Exec(real, append([]string{"go"}, args...), env)
	fmt.Fprintln(os.Stderr, "mutate:", err)
	return doesNotCompile
}

// coverAll has a profile say that all of its files are covered: then every mutant
// is tried, and one that no test reaches survives.
func coverAll(profile string) error {
	text, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	mode, blocks, _ := strings.Cut(string(text), "\n")
	out := mode + "\n"
	for line := range strings.Lines(blocks) {
		file, _, _ := strings.Cut(line, ":")
		if whole := file + ":1.1,1000000.1 1 1\n"; !strings.Contains(out, whole) {
			out += whole
		}
	}
	return os.WriteFile(profile, []byte(out), 0o644)
}
