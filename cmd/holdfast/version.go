package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// build is what the go command knows of this program.
type build struct {
	Version  string   `json:"version"`             // "(devel)" if it was not installed by version
	Commit   string   `json:"commit,omitempty"`    // unknown to what was installed by version
	Modified bool     `json:"modified,omitempty"`  // the commit is not all
	Time     string   `json:"committed,omitempty"` // RFC 3339
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Modules  []module `json:"modules"`
}

// module is one that went into the program.
type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // as in a go.sum; none for what was built from a folder
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Modules: []module{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Replace != nil {
			m = &debug.Module{Path: m.Path, Version: m.Replace.Version, Sum: m.Replace.Sum}
		}
		version := m.Version
		if version == "" {
			version = "(devel)"
		}
		b.Modules = append(b.Modules, module{m.Path, version, m.Sum})
	}
	return b
}

func (b build) String() string { return b.Version + " " + b.Go + " " + b.Platform }

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is, and what went into it",
		Long: `Says the version, the Go it was built with and the platform; with --json also the
commit, where it is known, and every module that went in, with its checksum.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("version takes no arguments; got %s", format.Plural(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeVersion(cmd.OutOrStdout(), thisBuild(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "all that is known, as one object")
	return cmd
}

func writeVersion(w io.Writer, b build, asJSON bool) error {
	if !asJSON {
		_, err := fmt.Fprintln(w, "holdfast", b)
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}
