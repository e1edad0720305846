package house

import (
	"slices"
	"strings"
)

// floors is the order of the house: a room may import rooms of lower floors,
// never of its own. A room in a folder that is not named here is a problem: to
// give it a floor is a decision, not a default.
var floors = [][]string{
	0: {"internal/frame", "internal/latency", "internal/outcome", "internal/interval", "internal/setting", "internal/spelling", "internal/striped", "internal/world"},
	1: {"internal/core/breaker", "internal/core/bulkhead", "internal/core/cooldown", "internal/core/judge", "internal/core/retry", "internal/lazyctx", "fault"},
	2: {"internal/core/call", "internal/virtual"}, // call: the order, over the machines that it puts in order
	3: {"internal/engine", "internal/wire", "faultserver/internal/ledger", "faultserver/internal/pipe"},
	4: {".", "faultserver"},
	5: {"internal/conformance", "provider/mixedbread", "provider/ollama", "provider/bedrock", "settings", "faultserver/h2fault"},
	6: {"cmd/holdfast"},
}

// attic rooms, and the folders in them, may import anything; nothing outside
// the attic may import them.
var attic = []string{"benchmarks", "test"}

// floorOf answers -1 for a room that is in neither table.
func floorOf(room string) int {
	for _, top := range attic {
		if room == top || strings.HasPrefix(room, top+"/") {
			return len(floors)
		}
	}
	return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

// floorsHold: what a file imports of this repository lies below it. Tests look
// wherever they like.
func floorsHold(s source) []problem {
	here := floorOf(s.room())
	if s.isTest() || here < 0 || here == len(floors) {
		return nil
	}
	var ps []problem
	for imported, at := range s.imports() {
		room, ours := strings.CutPrefix(imported+"/", modulePath+"/")
		if !ours {
			continue
		}
		if room = strings.TrimSuffix(room, "/"); room == "" {
			room = "."
		}
		// A room without a floor is reported where it lies.
		if there := floorOf(room); there >= here {
			ps = append(ps, s.problem(at, "imports %s of floor %d from floor %d: only floors below may be imported", room, there, here))
		}
	}
	return ps
}

func roomIsKnown(room string) []problem {
	if floorOf(room) >= 0 {
		return nil
	}
	return []problem{{path: room, text: "has no floor: add it to the table in test/house/floors_test.go"}}
}
