package judge

import (
	"strings"
	"testing"
)

func TestReadConcerned(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        Concerned
	}{
		{"Retry-After", "1", Concerned{}},
		{"X-Ratelimit-Scope", "global", Concerned{All: true}},
		{"X-Ratelimit-Scope", "user", Concerned{}},
		{"X-Ratelimit-Scope", "shared", Concerned{}},
		{"X-Ratelimit-Global", "true", Concerned{All: true}},
		{"X-Ratelimit-Global", "false", Concerned{}},
		{"X-Ratelimit-Bucket", "abcd1234", Concerned{Name: "abcd1234"}},
		{"X-Ratelimit-Resource", "search", Concerned{Name: "search"}},
		{"X-Ratelimit-Resource", "", Concerned{}},
		{"X-Ratelimit-Resource", strings.Repeat("x", 65), Concerned{}},
	} {
		if got := ReadConcerned(map[string][]string{c.name: {c.value}}); got != c.want {
			t.Errorf("%s: %s is %+v, want %+v", c.name, c.value, got, c.want)
		}
	}
}
