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

// realGo names the variable that holds the path of the real go command. It is set
// for processes that stand in for the go command.
//
// Gremlins relies on two things that mislead it. It takes every exit code 1 of go
// test for a test that failed, but a change that does not compile ends with 1 too.
// And it changes only lines that coverage reports, which leaves out cases,
// constants and package variables. So gremlins runs this program as its go
// command, which corrects both.
const realGo = "MUTATE_GO"

// goFirst returns an environment in which the go command is this program.
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

// doesNotCompile is the exit code that gremlins reads as NOT VIABLE.
const doesNotCompile = 2

// asGo runs the go command and returns the exit code for gremlins. Coverage
// reports whole files, and a change that does not compile has an exit code of its
// own.
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

// become replaces this process with the go command. Gremlins kills a run that
// takes too long, and it kills only the process that it started.
func become(real string, args []string) int {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, realGo+"=") })
	err := syscall.Exec(real, append([]string{"go"}, args...), env)
	fmt.Fprintln(os.Stderr, "mutate:", err)
	return doesNotCompile
}

// coverAll makes a coverage profile report every line of its files as covered.
// Gremlins then tries every change, and one that no test reaches survives.
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
