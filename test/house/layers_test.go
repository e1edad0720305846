package house

import (
	"slices"
	"strings"
)

// layers is the order of the packages. A package imports only packages of lower
// layers. A package that is not in the table is a problem: its layer is a decision,
// not a default.
var layers = [][]string{
	0: {"internal/bubble", "internal/fifo", "internal/frame", "internal/latency", "internal/outcome", "internal/interval", "internal/relay", "internal/setting", "internal/spelling", "internal/striped", "internal/world"},
	1: {"internal/core/breaker", "internal/core/bulkhead", "internal/core/cooldown", "internal/core/judge", "internal/core/retry", "internal/lazyctx", "fault"},
	2: {"internal/core/call", "internal/virtual"}, // the order of the machines of layer 1
	3: {"internal/engine", "internal/wire", "faultserver/internal/address", "faultserver/internal/ledger", "faultserver/internal/provider", "internal/pipe"},
	4: {".", "faultserver"},
	5: {"dashboard", "dialect", "internal/conformance", "settings", "faultserver/h2fault", "otelholdfast", "promholdfast"},
	6: {"provider/mixedbread", "provider/ollama", "provider/bedrock"},
	// The command line: 7 and 8 are shared by the commands, 9 to 11 are the commands.
	7: {
		"cmd/holdfast/internal/exit", "cmd/holdfast/internal/format", "cmd/holdfast/internal/leak",
		"cmd/holdfast/internal/listen", "cmd/holdfast/internal/target", "cmd/holdfast/internal/term",
	},
	8: {"cmd/holdfast/internal/args", "cmd/holdfast/internal/files", "cmd/holdfast/internal/providers"},
	9: {
		"cmd/holdfast/internal/root", "cmd/holdfast/internal/call", "cmd/holdfast/internal/config",
		"cmd/holdfast/internal/conformance", "cmd/holdfast/internal/demo", "cmd/holdfast/internal/embed", "cmd/holdfast/internal/version",
		"cmd/holdfast/internal/faults/catalog", "cmd/holdfast/internal/faults/plans", "cmd/holdfast/internal/faults/record",
	},
	10: {"cmd/holdfast/internal/faults/admin", "cmd/holdfast/internal/faults/explain"},
	11: {"cmd/holdfast/internal/faults"},
	12: {"cmd/holdfast"},
}

// unlayered packages, and the packages below their folders, may import every
// package. Only unlayered packages may import them.
var unlayered = []string{"benchmarks", "cmd/holdfast/internal/cmdtest", "test"}

// layerOf returns -1 for a package that is in neither table.
func layerOf(pkg string) int {
	if isUnder(pkg, unlayered) {
		return len(layers)
	}
	return slices.IndexFunc(layers, func(pkgs []string) bool { return slices.Contains(pkgs, pkg) })
}

// importsGoDown checks that a file imports only packages of lower layers. Tests may
// import every package.
func importsGoDown(s source) []problem {
	here := layerOf(s.pkg())
	if s.isTest() || here < 0 || here == len(layers) {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		pkg, ours := strings.CutPrefix(imported+"/", modulePath+"/")
		if !ours {
			continue
		}
		if pkg = strings.TrimSuffix(pkg, "/"); pkg == "" {
			pkg = "."
		}
		// packageHasLayer reports an imported package without a layer.
		if there := layerOf(pkg); there >= here {
			ps = append(ps, s.problem(at, "imports %s of layer %d from layer %d: import only from lower layers", pkg, there, here))
		}
	}
	return ps
}

func packageHasLayer(pkg string) []problem {
	if layerOf(pkg) >= 0 {
		return nil
	}
	return []problem{{path: pkg, text: "has no layer: add it to the table in test/house/layers_test.go"}}
}
