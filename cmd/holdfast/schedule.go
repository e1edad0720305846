package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// rate is how many calls arrive in a second.
const rate = 800

// schedule gives the instants at which calls arrive, from the beginning, in
// order: a Poisson process of which it is known how many arrivals it has, which
// is as many independent instants as that. It is an open loop: a caller does not
// wait for the one before, and one that was refused at once does not come back
// sooner.
func schedule(seed uint64, length time.Duration) []time.Duration {
	chance := rand.New(rand.NewPCG(seed, 0x686f6c6466617374))
	due := make([]time.Duration, int(rate*length.Seconds()))
	for i := range due {
		due[i] = time.Duration(chance.Int64N(int64(length)))
	}
	slices.Sort(due)
	return due
}
