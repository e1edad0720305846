package holdfast

import (
	"hash/maphash"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
)

// Scope is the part of the service that the call belongs to, for its cooldown: the method
// and the path, without ids.
func (o *clientCall) Scope() cooldown.Scope {
	var h maphash.Hash
	h.SetSeed(scopeSeed)
	_, _ = h.WriteString(o.request.Method)
	for segment := range strings.SplitSeq(o.request.URL.Path, "/") {
		_ = h.WriteByte('/')
		if !isID(segment) {
			_, _ = h.WriteString(segment)
		}
	}
	return cooldown.Scope(h.Sum64())
}

var scopeSeed = maphash.MakeSeed()

// concerns records which calls a wait concerns, if the answer says it.
func (a *clientAttempt) concerns(h http.Header, wait time.Duration) {
	if wait <= 0 {
		return
	}
	of := judge.ReadConcerned(h)
	if a.Everywhere = of.All; of.Name != "" {
		a.Bucket = maphash.String(scopeSeed, of.Name)
	}
}

// isID reports whether a segment of a path looks like the id of one thing: a number, a
// UUID, a hash, or a text like ch_3LmzzQ2eZvKYlo2C. A guess that is wrong costs a few
// requests, or delays a few.
func isID(segment string) bool {
	digits, letters := 0, 0
	hex := true
	for i := 0; i < len(segment); i++ {
		switch c := segment[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters++
			hex = hex && (c|0x20) <= 'f'
		case c != '-' && c != '_':
			return false
		default:
			hex = hex && c == '-'
		}
	}
	switch {
	case digits == 0:
		return false
	case letters == 0:
		return true
	case hex:
		return len(segment) >= 8
	}
	return digits >= 2 && len(segment) >= 16 && !strings.Contains(segment, "-")
}
