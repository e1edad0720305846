package version

import (
	"runtime"
	"runtime/debug"
)

// Build describes this program, as far as the go command recorded it.
type Build struct {
	Version  string   `json:"version"`             // "(devel)" if it was not installed by version
	Commit   string   `json:"commit,omitempty"`    // unknown if it was installed by version
	Modified bool     `json:"modified,omitempty"`  // built with uncommitted changes
	Time     string   `json:"committed,omitempty"` // RFC 3339
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Modules  []module `json:"modules"`
}

// module is a module that the program was built from.
type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // as in go.sum; none if it was built from a folder
}

// Current is the build of the running program.
func Current() Build {
	b := Build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Modules: []module{}}
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

func (b Build) String() string { return b.Version + " " + b.Go + " " + b.Platform }
