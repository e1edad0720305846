package plans

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

// Texts that are made to take much time or memory are rejected, with a short error, in memory
// that is linear in their length. Some took a minute: a thousand problems were each searched
// in a long mapping, and the parser compares every directive with all others.
func TestYAMLAttacks(t *testing.T) {
	const size = 256 << 10
	fill := func(one string) string { return strings.Repeat(one, size/len(one)) }
	many := func(one string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, one, i)
		}
		return b.String()
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	for _, tt := range []struct{ name, text, says string }{
		{"aliases of aliases", bomb, "fault plan: 225 problems\n  line 2, column 8: the alias *a is not allowed: write out its value"},
		{"an alias of itself", "&a [*a]", "the alias *a is not allowed"},
		{"many aliases", "- &a x\n" + fill("- *a\n"), "1000 problems"},
		{"many anchors", many("- &a%d x\n"), "a list must be an object"},
		{"many directives", many("%%TAG !a%d! x\n"), "line 1, column 1: a line that begins with % is a directive, which is not allowed: leave it out"},
		{"directives of a second document", "seed: 1\n...\n" + many("%%TAG !a%d! x\n"), "line 3, column 1: a line that begins with % is a directive"},
		{"brackets", fill("["), "exceeded max depth"},
		{"a deep list", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "line 1, column 65: is nested more than 64 levels deep"},
		{"a deep mapping", strings.Repeat("{a: ", 5000) + "1" + strings.Repeat("}", 5000), "is nested more than 64 levels deep"},
		{"deep, then wide", strings.Repeat("- ", 9000) + fill("- a\n"), "is nested more than 64 levels deep"},
		{"deep, then wide, in one line", strings.Repeat("[", 9000) + fill("a,"), "did not find expected node content"},
		{"a huge key", strings.Repeat("k", maxYAMLKey+1) + ": 1\n", "line 1, column 1: a key has 1025 bytes, at most 1024 are allowed"},
		{"a huge key in quotes", "{\"" + fill("k.") + "\": 1}\n", "a key has 262144 bytes, at most 1024 are allowed"},
		{"many unknown keys", many("k%d: 1\n"), "problems\n  line 1, column 1: k0: unknown key"},
		{"one key many times", fill("a: 1\n"), "problems\n"},
		{"keys with dots", "rules: [{match: {header: {" + fill(strings.Repeat("a.", 500)+"a: 1, ") + "}}}]", "problems\n"},
		{"keys without values", fill("? a\n"), "problems\n"},
		{"pairs in a list", "[" + fill("a: b, ") + "]", "a list must be an object"},
		{"keys with anchors", "{" + many("&a a%d: 1, ") + "}", "problems\n"},
		{"a long tag", "seed: !" + fill("t") + " 1\n", "the tag !tttttttttttttttttttttttttttttttttttttt… is not allowed"},
		{"a long alias", "- &" + fill("a") + " x\n- *" + fill("a") + "\n", "the alias *aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa… is not allowed"},
		{"a long unknown alias", "- *" + fill("a") + "\n", "unknown anchor 'aaaa"},
		{"an alias that clears the screen", "- *\x1b[2J\n", "control characters are not allowed"},
		{"longer as JSON", strings.Repeat("?\n", fault.MaxPlanBytes/2), "the plan is too long: written as JSON, it has more than 1048576 bytes up to here"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseYAML([]byte(tt.text))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.says) || len(err.Error()) > 2000*(1+strings.Count(err.Error(), "\n")) || strings.ContainsAny(err.Error(), "\x1b\r") {
			t.Errorf("%s: %.300v\nwant %s", tt.name, err, tt.says)
		}
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(2000*len(tt.text)+4<<20); used > most {
			t.Errorf("%s: %d bytes take %d bytes of memory; want at most %d", tt.name, len(tt.text), used, most)
		}
	}
}
