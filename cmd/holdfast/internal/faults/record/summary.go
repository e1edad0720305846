package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Summary counts the attempts of a run so far.
type Summary struct {
	Run         int // from 1
	Attempts    int
	Missed      int // attempts that the server dropped before they were read
	Struck      int // attempts with a fault, of those that are settled
	Connections int
	Met         map[fault.ID]int // settled attempts by fault
	Effects     faultserver.Effects
}

// String is the summary that the command prints at the end.
func (s Summary) String() string {
	text := s.counts()
	if s.Run > 1 {
		text = fmt.Sprintf("run %d: %s", s.Run, text)
	}
	if len(s.Met) == 0 {
		return text
	}
	var each []string
	for id, n := range s.Met {
		each = append(each, fmt.Sprintf("%s %s", id, format.Number(n)))
	}
	slices.SortFunc(each, cmp.Compare)
	return strings.Replace(text, " met a fault", " met a fault ("+strings.Join(each, ", ")+")", 1)
}

func (s Summary) counts() string {
	return fmt.Sprintf("%s on %s · %s met a fault · work done %s, done twice %s",
		format.Plural(s.Attempts, "request"), format.Plural(s.Connections, "connection"), format.Number(s.Struck),
		format.Number(s.Effects.Done+s.Effects.Untracked), format.Number(s.Effects.Duplicates))
}
