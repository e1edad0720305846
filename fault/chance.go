package fault

// draw is one random choice, identified by plan, rule, request and purpose. The
// same draw gives the same number in every order of calls.
type draw struct {
	seed uint64
	rule int
	n    uint64
	what uint64
}

// The purposes of draws. The numbers are part of the meaning of a seed:
// changing one changes the faults of every plan.
const (
	drawProbability = 1
	drawMix         = 2
	drawLatency     = 3
	drawPace        = 4

	drawConnProbability = 5
	drawConnLatency     = 6
)

// u returns a number in [0, 1), uniformly distributed, with the 53 bits that a
// float64 holds exactly.
func (d draw) u() float64 {
	h := mix64(d.seed)
	h = mix64(h ^ uint64(d.rule))
	h = mix64(h ^ d.n)
	h = mix64(h ^ d.what)
	return float64(h>>11) / (1 << 53)
}

// mix64 is a step of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", 2014): each bit of x flips each bit of the
// result with a probability of about one half.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
