package embed

import (
	"slices"
	"strings"
	"testing"
)

// A chunk ends before its request becomes too large.
func TestCutsLargeTexts(t *testing.T) {
	large := strings.Repeat("x", maxRequest/2)
	var sizes []int
	for c, err := range textsOf("a", large, large, "b", large+large, "c").chunks(4, "m", &previousRun{}) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(c.items))
	}
	if want := []int{2, 2, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("chunks of %v texts; want %v", sizes, want)
	}
}

// The cuts depend on the whole input, not on the texts that are done. A chunk that was
// lost therefore has the same key again.
func TestKeysDependOnTheInputAlone(t *testing.T) {
	keys := func(model string, before *doneSet, args ...string) (all []string) {
		for c := range textsOf(args...).chunks(2, model, &previousRun{done: *before}) {
			all = append(all, keyOf(model, c.items))
		}
		return all
	}
	texts := []string{"a", "b", "c", "d", "e"}
	all := keys("m", &doneSet{}, texts...)
	half := &doneSet{}
	for i := range 2 {
		half.add(i, item{index: i, text: texts[i]}.hash())
	}
	if got := keys("m", half, texts...); len(all) != 3 || !slices.Equal(got, all[1:]) {
		t.Errorf("keys %v without the first chunk; want the last two of %v", got, all)
	}
	if same := keys("m", &doneSet{}, "a", "a", "a", "a"); same[0] == same[1] {
		t.Errorf("keys %v of the same texts at two places; want two", same)
	}
	if other := keys("n", &doneSet{}, texts...); other[0] == all[0] || all[0] == all[1] {
		t.Errorf("keys %v of one model, %v of another; want all different", all, other)
	}
}
