package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The words of the code are those of the field, in plain English. This file lists
// the words that are not: phrases that make a sentence hard to read, and metaphors
// that only this repository has. Tests are free in their words.

// A phrase may occur at most so often in all files together: in comments, strings
// and names.
type phrase struct {
	name  string
	found *regexp.Regexp
	most  int
}

var phrases = []phrase{
	{"whoever, whom, whose, nobody, somebody, anybody", regexp.MustCompile(`\b([wW]hoever|[wW]hom|[wW]hose|[nN]obody|[sS]omebody|[aA]nybody)\b`), 10},
	{"says what, which, how, why", regexp.MustCompile(`(?i)\bsays (what|which|how|why)\b`), 10},
	{"came to, comes to", regexp.MustCompile(`(?i)\b(came|comes) to\b`), 0},
}

// A metaphor is a word that must not occur with its special meaning. Each pattern
// looks at one kind of place; nil looks nowhere.
type metaphor struct {
	name, instead string

	names    *regexp.Regexp // every identifier, the package's name and the words of the file's name
	funcs    *regexp.Regexp // names of declared functions, and of methods as Receiver.name
	types    *regexp.Regexp // names of declared types
	fields   *regexp.Regexp // names of fields of structs; a sync.Once is none
	comments *regexp.Regexp // comments

	fine       *regexp.Regexp // names and phrases that are not meant: each is cut out first
	in, except []string       // packages with all below them; nil for in means every package
}

var (
	// library are the packages that decide, send and wait.
	library = []string{".", "internal/core", "internal/engine", "internal/lazyctx", "internal/virtual", "internal/wire", "internal/world"}
	// failing are the packages that make a service fail, for which refusing and being
	// silent are what a service does.
	failing = []string{"fault", "faultserver", "internal/conformance", "benchmarks", "test", "cmd/holdfast/internal/faults"}
	// machines are the packages with the atomic snapshots.
	machines = []string{"internal/core/breaker", "internal/core/bulkhead", "internal/engine"}
)

var metaphors = []metaphor{
	{name: "trip", instead: "roundTrip",
		names:    regexp.MustCompile(`^[tT]rips?([A-Z].*)?$|[a-z]Trips?([A-Z]|$)`),
		comments: regexp.MustCompile(`\b[tT]rips?\b|\btrip[A-Z]\w*`),
		fine:     regexp.MustCompile(`(?i)\bround[- ]?trip\w*|RoundTrip\w*|roundTrip\w*|ReadyToTrip|\bbreakers? trips?\b|\btrips? the breaker\b`)},
	{name: "depart", instead: "startAttempt",
		names:    regexp.MustCompile(`^[dD]epart`),
		comments: regexp.MustCompile(`(?i)\bdepart(s|ed)?\b`),
		fine:     regexp.MustCompile(`(?i)\bdepart(s|ed)? from\b`)},
	{name: "lead", instead: "startAttempt", in: []string{".", "internal"},
		funcs: regexp.MustCompile(`(^|\.)lead$`)},
	{name: "lot", instead: "connLimiter",
		names:    regexp.MustCompile(`^lots?$|^lot[A-Z]|^newLot$`),
		comments: regexp.MustCompile(`(?i)\blots?\b`),
		fine:     regexp.MustCompile(`(?i)\ba (whole )?lot\b|\blots of\b`)},
	{name: "enter, turn, left", instead: "the methods of connLimiter", in: []string{"internal/wire"},
		names: regexp.MustCompile(`^(turn|takeTurn|leaveTurn)$`),
		funcs: regexp.MustCompile(`^(lot|connLimiter)\.(enter|left)$`)},
	{name: "counted", instead: "trackedConn", in: []string{"internal/wire"},
		names: regexp.MustCompile(`^counted`)},
	{name: "greet", instead: "awaitSettings, handshake",
		names:    regexp.MustCompile(`^[gG]reet`),
		comments: regexp.MustCompile(`(?i)\bgreet(s|ed|ings?)?\b|\bgreet[A-Z]\w*`)},
	{name: "settled", instead: "awaitSettings", in: []string{"internal/wire"},
		names: regexp.MustCompile(`^settled$`)},
	{name: "quick", instead: "fastpath", in: library,
		names:    regexp.MustCompile(`^quick`),
		comments: regexp.MustCompile(`(?i)\bquick(ly answered)? (way|path)\b|\bquick\.go\b`)},
	{name: "enter, leave", instead: "fastpath", in: []string{"."},
		funcs: regexp.MustCompile(`(^|\.)(enter|leave)$`)},
	{name: "word", instead: "snapshot", in: machines,
		names:    regexp.MustCompile(`^[wW]ord$`),
		comments: regexp.MustCompile(`(?i)\bwords?\b`),
		fine:     regexp.MustCompile(`(?i)\bin (other|its own|their own) words\b|\b(machine|atomic|64-bit|32-bit) words?\b|\b(in|into) one word\b`)},
	{name: "Quiet, Calm, Plain, Overdrawn", instead: "NoOp, Uncontended, …", in: library,
		names:    regexp.MustCompile(`^(Quiet|Calm|Plain|Overdrawn)$`),
		comments: regexp.MustCompile(`\bquiet (path|way)\b|\b(Quiet|Calm|Overdrawn)\b`)},
	{name: "silence", instead: "cooldown; for a read timeout, no bytes", except: failing,
		names:    regexp.MustCompile(`^silences?$|^silence[A-Z]|[sS]ilenced`),
		comments: regexp.MustCompile(`(?i)\bsilence[ds]?\b`)},
	{name: "held back, mayHold", instead: "cooldown",
		names:    regexp.MustCompile(`[hH]eldBack|^mayHold$`),
		comments: regexp.MustCompile(`(?i)\b(held|holds?|holding) back\b|\bHeldBack\b`)},
	{name: "pause", instead: "cooldown", in: library,
		names:    regexp.MustCompile(`^[pP]auses?$|[a-z]Pauses?$`),
		comments: regexp.MustCompile(`(?i)\bpause[ds]?\b`)},
	{name: "door", instead: "transport (in texts the SDK transport), or the plain term",
		names:    regexp.MustCompile(`^[dD]oors?([A-Z].*)?$|[a-z]Doors?([A-Z]|$)`),
		comments: regexp.MustCompile(`(?i)\bdoors?\b`)},
	{name: "keep, giveUp, spare", instead: "transport", in: []string{"."},
		names: regexp.MustCompile(`^spare$`),
		funcs: regexp.MustCompile(`(^|\.)(keep|giveUp)$`)},
	{name: "away, moved", instead: "crossOrigin, redirected", in: []string{".", "internal/engine"},
		names: regexp.MustCompile(`^(away|moved)$`)},
	{name: "stranger", instead: "crossOrigin; in texts, another origin",
		names:    regexp.MustCompile(`[sS]tranger`),
		comments: regexp.MustCompile(`(?i)\bstrangers?\b`)},
	{name: "once", instead: "first", in: []string{".", "internal/engine"},
		fields: regexp.MustCompile(`^once$`)},
	{name: "weighed, turnedDown, unanswered, judged, lost, came", instead: "judge, classify…", in: library,
		names:    regexp.MustCompile(`^(weighed|turnedDown|unanswered)$`),
		funcs:    regexp.MustCompile(`(^|\.)(judged|lost|came)$`),
		comments: regexp.MustCompile(`\b(weighed|turnedDown)\b`)},
	{name: "refused", instead: "rejected (by the breaker), declined or the status (by the service)", except: failing,
		names:    regexp.MustCompile(`[rR]efus`),
		comments: regexp.MustCompile(`(?i)\brefus(e|es|ed|ing|als?)\b`),
		fine: regexp.MustCompile(`(?i)\brefus(e|es|ed|ing) (a |the |an |every |all |its |new )?(tcp |http/2 )?(connections?|streams?|dials?|certificates?)\b|` +
			`\b(connections?|streams?|dials?|certificates?) (that )?(is |was |were |are |be |been )?refused\b|refused_?(stream|conn(ection)?)\w*`)},
	{name: "slot", instead: "permit (bulkhead), probe (breaker), deadline (clock)", except: []string{"cmd"},
		names:    regexp.MustCompile(`^[sS]lots?([A-Z].*)?$|[a-z]Slots?([A-Z]|$)`),
		comments: regexp.MustCompile(`(?i)\bslots?\b`)},
	{name: "slot of a bulkhead", instead: "permit", in: []string{"cmd"}, // a hash table has slots, too
		names:    regexp.MustCompile(`^[sS]lots$|[a-z]Slots?([A-Z]|$)`),
		comments: regexp.MustCompile(`(?i)\bslots\b`)},
	{name: "seed", instead: "docs/requirements.md names the documents; give the value's reason",
		comments: regexp.MustCompile(`(?i)\b(first|second|both|two) seeds?\b|\bseeds'|\bthe seeds\b|\bseed's \(`),
		fine:     regexp.MustCompile(`(?i)\bsame seeds?\b`)},
}

func TestPhrases(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range phrases {
		counts, all := make(map[string]int), 0
		for _, s := range repo.sources {
			if n := len(p.found.FindAllString(proseOf(s), -1)); n > 0 && !s.isTest() {
				counts[s.pkg()] += n
				all += n
			}
		}
		if all > p.most {
			t.Errorf("%q occurs %d times, at most %d are allowed: %s", p.name, all, p.most, perPackage(counts))
		}
	}
}

func TestMetaphors(t *testing.T) {
	repo, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	total := make(map[string]int)
	for _, m := range metaphors {
		counts := make(map[string]int)
		for _, s := range repo.sources {
			for _, p := range m.look(s) {
				counts[s.pkg()]++
				total[s.pkg()]++
				t.Error(p)
			}
		}
		if len(counts) > 0 {
			t.Logf("%q: %s", m.name, perPackage(counts))
		}
	}
	if len(total) > 0 {
		t.Logf("all metaphors: %s", perPackage(total))
	}
}

// perPackage lists packages with their counts, and the sum.
func perPackage(counts map[string]int) string {
	var list []string
	sum := 0
	for _, pkg := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", pkg, counts[pkg]))
		sum += counts[pkg]
	}
	return fmt.Sprintf("%s; sum %d", strings.Join(list, ", "), sum)
}

var commentBreak = regexp.MustCompile(`\s*\n\s*//\s*|\s+`)

// proseOf returns the text of a file with its lines joined, those of comments too,
// so that a phrase is found across a line break.
func proseOf(s source) string { return commentBreak.ReplaceAllString(s.text, " ") }

// look finds the metaphor in a source. A comment is one place, and a name in a file
// is one place however often it is used.
func (m metaphor) look(s source) (ps []problem) {
	if s.isTest() || m.in != nil && !isUnder(s.pkg(), m.in) || isUnder(s.pkg(), m.except) {
		return nil
	}
	meant := func(pattern *regexp.Regexp, text string) bool {
		if m.fine != nil {
			text = m.fine.ReplaceAllString(text, " ")
		}
		return pattern != nil && pattern.MatchString(text)
	}
	seen := make(map[string]bool)
	report := func(at token.Pos, what, text string) {
		if key := what + text; !seen[key] {
			seen[key] = true
			ps = append(ps, s.problem(at, "%s %q is a metaphor (%s): use %s", what, text, m.name, m.instead))
		}
	}
	name := strings.TrimSuffix(path.Base(s.path), ".go")
	for part := range strings.SplitSeq(name, "_") {
		if meant(m.names, part) {
			report(s.file.Package, "file name", name)
			break
		}
	}
	for n := range ast.Preorder(s.file) {
		switch n := n.(type) {
		case *ast.Ident:
			if meant(m.names, n.Name) {
				report(n.Pos(), "name", n.Name)
			}
		case *ast.FuncDecl:
			if name := receiver(n) + n.Name.Name; meant(m.funcs, name) {
				report(n.Name.Pos(), "function", name)
			}
		case *ast.TypeSpec:
			if meant(m.types, n.Name.Name) {
				report(n.Name.Pos(), "type", n.Name.Name)
			}
		case *ast.StructType:
			for _, f := range n.Fields.List {
				for _, id := range f.Names {
					if meant(m.fields, id.Name) && !isSyncOnce(f.Type) {
						report(id.Pos(), "field", id.Name)
					}
				}
			}
		}
	}
	for _, c := range s.file.Comments {
		if text := commentBreak.ReplaceAllString(c.Text(), " "); meant(m.comments, text) {
			ps = append(ps, s.problem(c.Pos(), "comment has a metaphor (%s): use %s", m.name, m.instead))
		}
	}
	return ps
}

// receiver returns the type of a method's receiver and a dot, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	for n := range ast.Preorder(f.Recv.List[0].Type) {
		if id, ok := n.(*ast.Ident); ok {
			return id.Name + "." // the type comes before its type parameters
		}
	}
	return ""
}

func isSyncOnce(typ ast.Expr) bool {
	sel, ok := typ.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Once"
}

// Each metaphor is found where it is meant, and not in English or in names of the
// standard library.
func TestPlantedMetaphors(t *testing.T) {
	const wire, root, core = "internal/wire/x.go", "x.go", "internal/core/breaker/x.go"
	tests := []struct {
		name, path, code string
		wants            bool
	}{
		{"trip", root, "var trip int", true},
		{"trip", root, "var theTrip int", true},
		{"trip", root, "// It ends its trip.", true},
		{"trip", root, "// A tripKey finds it.", true},
		{"trip", "trip.go", "", true},
		{"trip", root, "// One round trip, by a RoundTripper.\nvar roundTrip, RoundTripper, stripped int", false},
		{"trip", root, "// The breaker trips.\nvar ReadyToTrip int", false},
		{"depart", root, "func depart() {}", true},
		{"depart", root, "// It departs from the default.", false},
		{"lead", root, "func lead() {}", true},
		{"lead", root, "var lead int // It leads to an error.", false},
		{"lead", "benchmarks/x.go", "func lead() {}", false},
		{"lot", wire, "type lot struct{}", true},
		{"lot", wire, "// Close tells the\n// lot, once.", true},
		{"lot", wire, "// A lot of connections, lots of them.\nvar slot, plot, allot int", false},
		{"enter, turn, left", wire, "func (l *lot) enter() {}", true},
		{"enter, turn, left", wire, "func (l *connLimiter) left() {}", true},
		{"enter, turn, left", wire, "func leaveTurn() {}", true},
		{"enter, turn, left", wire, "var left int\nfunc (u *Upload) enter() {}", false},
		{"enter, turn, left", "faultserver/x.go", "func (l *lot) enter() {}", false},
		{"counted", wire, "type counted struct{}", true},
		{"counted", root, "type counted struct{}", false},
		{"greet", wire, "func greetHTTP2() {}", true},
		{"greet", "faultserver/h2fault/x.go", "// greet shakes hands.", true},
		{"settled", wire, "var settled int", true},
		{"settled", "fault/x.go", "var settled int", false},
		{"quick", root, "type quick struct{}", true},
		{"quick", "quick.go", "", true},
		{"quick", root, "// A quick answer.", false},
		{"enter, leave", root, "func enter() {}", true},
		{"enter, leave", root, "func (q *T[A]) leave() {}", true},
		{"enter, leave", "faultserver/x.go", "func leave() {}", false},
		{"word", core, "type Word uint64", true},
		{"word", core, "// It publishes the word.", true},
		{"word", core, "// One atomic word holds it, packed into one word; in other words, it is small.", false},
		{"word", "internal/spelling/x.go", "var word string", false},
		{"word", "internal/core/retry/x.go", "// A few words.", false},
		{"Quiet, Calm, Plain, Overdrawn", core, "func (w T) Calm() {}", true},
		{"Quiet, Calm, Plain, Overdrawn", core, "// On the quiet path it takes no lock.", true},
		{"Quiet, Calm, Plain, Overdrawn", core, "var plain int // It is quiet.", false},
		{"silence", root, "// A silence is waited out.", true},
		{"silence", root, "func silenced() {}", true},
		{"silence", root, "var silent int // It logs silently.", false},
		{"silence", "faultserver/h2fault/x.go", "// Then silence.", false},
		{"held back, mayHold", root, "const EventHeldBack = 1", true},
		{"held back, mayHold", root, "// It holds back the others.", true},
		{"held back, mayHold", root, "var mayHoldSecret int // It holds a lock.", false},
		{"pause", "internal/core/pause/x.go", "", true},
		{"pause", root, "// After the pause.", true},
		{"pause", "faultserver/x.go", "func pause() {}", false},
		{"pause", "cmd/holdfast/x.go", "const drawPause = 1", false},
		{"door", root, "type DoorOption int", true},
		{"door", root, "var isDoor bool", true},
		{"door", root, "// At the door.", true},
		{"door", root, "var indoors int // A trapdoor.", false},
		{"keep, giveUp, spare", root, "func (e T) keep() {}", true},
		{"keep, giveUp, spare", root, "var spare int", true},
		{"keep, giveUp, spare", root, "var keep int // It gives up.", false},
		{"away, moved", root, "var away bool", true},
		{"away, moved", root, "// It runs away.", false},
		{"stranger", root, "var strangers []string", true},
		{"stranger", "cmd/holdfast/x.go", "// The body of a stranger.", true},
		{"once", root, "type T struct{ once int }", true},
		{"once", root, "import \"sync\"\ntype T struct{ once sync.Once }", false},
		{"weighed, turnedDown, unanswered, judged, lost, came", root, "func lost() {}", true},
		{"weighed, turnedDown, unanswered, judged, lost, came", root, "// It was weighed.", true},
		{"weighed, turnedDown, unanswered, judged, lost, came", root, "var lost int // It judged and lost.", false},
		{"refused", root, "// The breaker refuses everything.", true},
		{"refused", root, "var refusal int", true},
		{"refused", root, "// A connection was refused; the service refused the stream.\nvar refusedStream int", false},
		{"refused", "fault/x.go", "// The service refuses.", false},
		{"slot", root, "func NoSlot() {}", true},
		{"slot", root, "// It waits for a slot.", true},
		{"slot", root, "// A slotted line.", false},
		{"slot of a bulkhead", "cmd/holdfast/x.go", "// Connections and slots.", true},
		{"slot of a bulkhead", "cmd/holdfast/x.go", "var slot int // A slot of the table.", false},
		{"slot", "cmd/holdfast/x.go", "var slot int", false},
		{"seed", root, "// Default 10s (second\n// seed, \"Retry\").", true},
		{"seed", root, "// The seeds' two defaults.", true},
		{"seed", "fault/x.go", "// Chance is a hash of the seed. The same seed gives the same.", false},
	}
	planted := make(map[string]bool)
	for _, tt := range tests {
		i := slices.IndexFunc(metaphors, func(m metaphor) bool { return m.name == tt.name })
		if i < 0 {
			t.Errorf("there is no metaphor %q", tt.name)
			continue
		}
		planted[tt.name] = planted[tt.name] || tt.wants
		pkg := path.Base(path.Dir(tt.path))
		if pkg == "." {
			pkg = "holdfast"
		}
		s, err := parse(tt.path, ".", "package "+pkg+"\n\n"+tt.code+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := metaphors[i].look(s); (len(got) > 0) != tt.wants {
			t.Errorf("%s in %s, %q: %v, want a problem: %v", tt.name, tt.path, tt.code, got, tt.wants)
		}
		test := s
		test.path = strings.TrimSuffix(s.path, ".go") + "_test.go"
		if got := metaphors[i].look(test); len(got) > 0 {
			t.Errorf("%s in a test: %v", tt.name, got)
		}
	}
	for _, m := range metaphors {
		if !planted[m.name] {
			t.Errorf("no planted fault has the metaphor %q", m.name)
		}
	}
}

func TestPlantedPhrases(t *testing.T) {
	const text = "package a\n\n// It says\n// what came\n\t// to it, whose fault, and comes to \"nobody\", http.NoBody. Welcome to it, it saysway.\n"
	file, err := parser.ParseFile(token.NewFileSet(), "a.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	s := source{path: "a.go", text: text, file: file}
	for i, want := range []int{2, 1, 2} {
		if got := len(phrases[i].found.FindAllString(proseOf(s), -1)); got != want {
			t.Errorf("%q: found %d times, want %d", phrases[i].name, got, want)
		}
	}
}
