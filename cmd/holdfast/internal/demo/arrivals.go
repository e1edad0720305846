package demo

import (
	"math/rand/v2"
	"slices"
	"time"
)

const callsPerSecond = 800

// arrivals returns the instants at which calls start, in order. They are those of a
// Poisson process with a fixed number of arrivals: independent and uniform. The load is
// an open loop: no call waits for an earlier one, and a rejected call does not start
// the next one sooner.
func arrivals(seed uint64, length time.Duration) []time.Duration {
	chance := rand.New(rand.NewPCG(seed, 0x686f6c6466617374))
	due := make([]time.Duration, int(callsPerSecond*length.Seconds()))
	for i := range due {
		due[i] = time.Duration(chance.Int64N(int64(length)))
	}
	slices.Sort(due)
	return due
}
