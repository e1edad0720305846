package fault

// draw is one throw of the dice: which plan, which rule, which request, and what
// for. The same draw gives the same number, whoever throws it and when.
type draw struct {
	seed uint64
	rule int
	n    uint64
	what uint64
}

// What a draw decides. The numbers are part of what a seed means: changing one
// changes the faults of every plan.
const (
	drawProbability = 1
	drawMix         = 2
	drawLatency     = 3
	drawPace        = 4

	drawConnProbability = 5
	drawConnLatency     = 6
)

// u is uniform in [0, 1), with the 53 bits that a float64 holds exactly.
func (d draw) u() float64 {
	h := mix64(d.seed)
	h = mix64(h ^ uint64(d.rule))
	h = mix64(h ^ d.n)
	h = mix64(h ^ d.what)
	return float64(h>>11) / (1 << 53)
}

// mix64 is a step of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", 2014): every bit of x moves every bit of the
// result with a chance of about one half.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
