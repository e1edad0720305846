package dialect_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// The page is made from the golden answers.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("testdata/dialects.md.txt")
	if err != nil {
		t.Fatal(err)
	}
	start, end, ok := strings.Cut(string(page), "<!-- tables -->\n")
	if !ok {
		t.Fatal("no place for the tables")
	}
	var b strings.Builder
	b.WriteString(start)
	for _, d := range all {
		fmt.Fprintf(&b, "### %s\n\n| Answer | Status | Class | Wait | Reason in the error |\n|---|---|---|---|---|\n", d.Name)
		for _, g := range readGolden(t, d.Name) {
			class, wait, _ := strings.Cut(g.effect(), " ")
			switch {
			case g.want.More:
				class = "not yet"
			case class == "none":
				class = "–"
			case g.want.Class == holdfast.ClassNone:
				class = "`" + class + "`, by the status"
			default:
				class = "`" + class + "`"
			}
			fmt.Fprintf(&b, "| [%s](%s) | %d | %s | %s | %s |\n", cell(g.title), g.source, g.status, class, wait, cell(g.want.Text))
		}
		b.WriteByte('\n')
	}
	b.WriteString(end)
	const docs = "../docs/dialects.md"
	if *update {
		if err := os.WriteFile(docs, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(docs); !bytes.Equal(got, []byte(b.String())) {
		t.Errorf("%s is not up to date: run this test with -update", docs)
	}
}

var cells = strings.NewReplacer("|", `\|`, "<", "&lt;", "[", `\[`, "]", `\]`, "_", `\_`, "*", `\*`)

func cell(text string) string { return cells.Replace(text) }
