package setting

import (
	"math"
	"strings"
	"testing"
	"time"
)

// sample is a configuration with a setting of each kind.
type sample struct {
	wait, limit time.Duration
	part        int
	bytes       int64
	text        string
	yes         bool
	mode        mode
}

type mode uint8

var (
	wait = Of[sample, time.Duration]{
		Row: Row{Name: "Wait", Off: Always}, At: func(c *sample) *time.Duration { return &c.wait }, Default: time.Second, Alone: new(time.Minute),
	}
	limit = Of[sample, time.Duration]{
		Row: Row{Name: "Limit", Unset: "the wait's"}, At: func(c *sample) *time.Duration { return &c.limit },
		Default: 3 * time.Second, Follows: func(c *sample, def time.Duration) time.Duration { return max(c.wait, def) },
	}
	part = Of[sample, int]{
		Row: Row{Name: "Part", Off: InClient, ZeroIsUnclear: true}, At: func(c *sample) *int { return &c.part }, Default: 5, Most: 10,
	}
	size = Of[sample, int64]{
		Row: Row{Name: "Bytes", Off: Always, Unset: "none"}, At: func(c *sample) *int64 { return &c.bytes }, Most: 1 << 40,
	}
	text = Of[sample, string]{
		Row: Row{Name: "Text"}, At: func(c *sample) *string { return &c.text }, Default: "x",
		Check: func(v string) (value, rule string) {
			if strings.Contains(v, " ") {
				return v, "must be one word"
			}
			return "", ""
		},
	}
	yes   = Of[sample, bool]{Row: Row{Name: "Yes"}, At: func(c *sample) *bool { return &c.yes }}
	modus = Of[sample, mode]{
		Row: Row{Name: "Mode"}, At: func(c *sample) *mode { return &c.mode },
		Words: []Word[mode]{{0, "ModeA", "a"}, {1, "ModeB", "b"}, {2, "ModeC", "c"}},
	}
	inOther = Of[sample, time.Duration]{
		Row: Row{Name: "Limit", Off: Always, Instead: "Wait"}, At: func(c *sample) *time.Duration { return &c.limit },
		Follows: func(c *sample, _ time.Duration) time.Duration { return c.wait }, Alone: new(time.Hour),
	}
	headers = Opaque[sample]{Row: Row{Name: "Headers"}, Shown: func(c *sample) string { return c.text }}
)

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name  string
		s     Setting[sample]
		given sample
		alone bool
		want  sample
		rule  string
	}{
		{"a default", wait, sample{}, false, sample{wait: time.Second}, ""},
		{"a default of the part", wait, sample{}, true, sample{wait: time.Minute}, ""},
		{"off", wait, sample{wait: Off}, false, sample{}, ""},
		{"a value", wait, sample{wait: 2}, false, sample{wait: 2}, ""},
		{"the longest", wait, sample{wait: Longest}, false, sample{wait: Longest}, ""},
		{"too long", wait, sample{wait: Longest + 1}, false, sample{wait: Longest + 1}, "Wait is 8760h0m0.000000001s: must be at most 8760h0m0s"},
		{"below zero", wait, sample{wait: -2}, false, sample{wait: -2}, "Wait is -2ns: must be positive, zero for 1s, or Off"},
		{"below zero, alone", wait, sample{wait: -2}, true, sample{wait: -2}, "Wait is -2ns: must be positive, zero for 1m0s, or Off"},
		{"never off", limit, sample{limit: Off}, false, sample{limit: Off}, "Limit is -1ns (Off): must be positive or zero for 3s"},
		{"follows", limit, sample{wait: time.Hour}, false, sample{wait: time.Hour, limit: time.Hour}, ""},
		{"follows to its default", limit, sample{wait: 1}, false, sample{wait: 1, limit: 3 * time.Second}, ""},
		{"a part that is off", part, sample{part: Off}, false, sample{}, ""},
		{"a part alone is not off", part, sample{part: Off}, true, sample{part: Off}, "Part is -1 (Off): must be positive or zero for 5"},
		{"the most", part, sample{part: 10}, false, sample{part: 10}, ""},
		{"too many", part, sample{part: 11}, false, sample{part: 11}, "Part is 11: must be at most 10"},
		{"no default", size, sample{bytes: -7}, false, sample{bytes: -7}, "Bytes is -7: must be positive, zero for none, or Off"},
		{"a text", text, sample{}, false, sample{text: "x"}, ""},
		{"a text that is wrong", text, sample{text: "a b"}, false, sample{text: "a b"}, "Text is a b: must be one word"},
		{"a switch", yes, sample{yes: true}, false, sample{yes: true}, ""},
		{"a word", modus, sample{mode: 2}, false, sample{mode: 2}, ""},
		{"no word", modus, sample{mode: 3}, false, sample{mode: 3}, "Mode is 3: must be ModeA, ModeB or ModeC"},
		{"set elsewhere", inOther, sample{wait: 7}, false, sample{wait: 7, limit: 7}, ""},
		{"set here", inOther, sample{wait: 7, limit: 8}, false, sample{wait: 7, limit: 7}, "Limit is 8ns: must be zero here; set Wait"},
		{"set here, alone", inOther, sample{limit: 8}, true, sample{limit: 8}, ""},
		{"alone", inOther, sample{wait: 7}, true, sample{wait: 7, limit: time.Hour}, ""},
		{"opaque", headers, sample{text: "a b"}, false, sample{text: "a b"}, ""},
	} {
		got, rule := tt.given, ""
		if p := tt.s.Resolve(&got, tt.alone); p != nil {
			rule = strings.TrimPrefix(p.Error(), "holdfast: ")
		}
		if got != tt.want || rule != tt.rule {
			t.Errorf("%s: got %+v, %q, want %+v, %q", tt.name, got, rule, tt.want, tt.rule)
		}
	}
}

func TestParse(t *testing.T) {
	preset := sample{part: 7}
	for _, tt := range []struct {
		s    Setting[sample]
		text string
		want string // as files have it
		rule string
	}{
		{wait, "90s", "1m30s", ""},
		{wait, "1.5", "1.5s", ""},
		{wait, "1e-9", "1ns", ""},
		{wait, "0", "0s", ""},
		{wait, "off", "off", ""},
		{wait, "-1e-9", "", `-1ns must be positive, zero for 1s, or off`},
		{wait, "1e-10", "", `"1e-10" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "1e300", "", `"1e300" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "1e999", "", `"1e999" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "inf", "", `"inf" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "0x1p4", "", `"0x1p4" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "", "", `"" must be a duration like "90s", or seconds like 90.0, or off`},
		{wait, "31536001", "", `8760h0m1s must be at most 8760h0m0s`},
		{wait, "4611686018.427387904", "", `1281023h53m38.427387904s must be at most 8760h0m0s`}, // 1<<62 ns
		{limit, "0", "the wait's", ""},
		{limit, "off", "", `"off" is not possible here: must be positive or zero for 3s`},
		{limit, "soon", "", `"soon" must be a duration like "90s", or seconds like 90.0`},
		{limit, "-1", "", `-1s must be positive or zero for 3s`},
		{part, "off", "off", ""},
		{part, "10", "10", ""},
		{part, "11", "", "11 must be at most 10"},
		{part, "-1", "", "-1 must be positive, zero for 7, or off"},
		{part, "0", "", "0 may mean two things: must be positive, left out for 7, or off for none"},
		{part, "1.5", "", `"1.5" must be a whole number, or off`},
		{size, "1099511627776", "1099511627776", ""},
		{size, "1099511627777", "", "1099511627777 must be at most 1099511627776"},
		{size, "0", "none", ""},
		{size, "-7", "", "-7 must be positive, zero for none, or off"},
		{size, "x", "", `"x" must be a whole number, or off`},
		{text, "a b", "a b", ""}, // Resolve knows better
		{text, "", "", ""},
		{yes, "true", "true", ""},
		{yes, "false", "false", ""},
		{yes, "yes", "", `"yes" must be true or false`},
		{modus, "b", "b", ""},
		{modus, "ModeB", "", `"ModeB" must be a, b or c`},
		{headers, "x", "", ""},
	} {
		got := preset
		rule := tt.s.Parse(&got, &preset, tt.text, `"`+tt.text+`"`)
		if rule != tt.rule || rule == "" && tt.s.Text(&got) != tt.want || rule != "" && got != preset {
			t.Errorf("%s %q: got %q, %q, want %q, %q", tt.s.Info().Name, tt.text, tt.s.Text(&got), rule, tt.want, tt.rule)
		}
	}
}

// Fill leaves what zero has a meaning of its own for.
func TestFill(t *testing.T) {
	var got sample
	for _, s := range []Setting[sample]{wait, limit, part, size, text, yes, modus, headers} {
		s.Fill(&got)
	}
	if want := (sample{wait: time.Second, part: 5, text: "x"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	set := sample{wait: Off, part: 3, text: "y"}
	got = set
	for _, s := range []Setting[sample]{wait, part, text} {
		s.Fill(&got)
	}
	if got != set {
		t.Errorf("got %+v, want %+v", got, set)
	}
}

func TestOff(t *testing.T) {
	for _, s := range []Setting[sample]{wait, part, size} {
		var got sample
		if problem := s.Parse(&got, &got, "off", "off"); problem != "" || s.Text(&got) != "off" {
			t.Errorf("%s: %s, %q", s.Info().Name, s.Text(&got), problem)
		}
		if p := s.Resolve(&got, false); p != nil || got != (sample{}) {
			t.Errorf("%s: %+v, %v", s.Info().Name, got, p)
		}
	}
}

func TestKind(t *testing.T) {
	for want, s := range map[Kind]Setting[sample]{Duration: wait, Number: part, Text: text, Flag: yes, Enum: modus, None: headers} {
		if got := s.Kind(); got != want || s.Info().Name == "" {
			t.Errorf("%+v: got %d, want %d", s.Info(), got, want)
		}
	}
}

func TestDifference(t *testing.T) {
	a := sample{wait: time.Second, text: "x", limit: 1}
	b := sample{part: 7, bytes: 8, text: "y", yes: true, mode: 1, limit: 2}
	for _, tt := range []struct {
		s    Setting[sample]
		want string
	}{
		{wait, "1s none"}, {part, "none 7"}, {size, "none 8"}, {text, "x y"}, {yes, "false true"}, {modus, "ModeA ModeB"}, {headers, "x y"},
		{inOther, ""}, {Opaque[sample]{}, ""},
	} {
		got := ""
		if was, is, differ := tt.s.Difference(&a, &b); differ {
			got = was + " " + is
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.s.Info().Name, got, tt.want)
		}
		if _, _, differ := tt.s.Difference(&a, &a); differ {
			t.Errorf("%s differs from itself", tt.s.Info().Name)
		}
	}
}

func TestValues(t *testing.T) {
	unbounded := size
	unbounded.Most = math.MaxInt64
	for want, s := range map[string]Setting[sample]{
		"duration, or off":                   wait,
		"duration":                           limit,
		"number up to 10, or off":            part,
		"number up to 1099511627776, or off": size,
		"text":                               text,
		"true or false":                      yes,
		"number, or off":                     unbounded,
		"a, b or c":                          modus,
		"":                                   headers,
	} {
		if got := s.Values(); got != want {
			t.Errorf("%s: got %q, want %q", s.Info().Name, got, want)
		}
	}
}
