package main

// nearest gives the name that word most likely was meant to be; empty if none is
// near: a third of its letters may be wrong, and one of a short word.
func nearest(word string, names []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or replaced to make b of
// a. A word of absurd length is simply far from everything.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0] // to the left of it
		row[0] = i + 1
		for j := range len(b) {
			replace := above
			if a[i] != b[j] {
				replace++
			}
			above = row[j+1]
			row[j+1] = min(replace, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}
