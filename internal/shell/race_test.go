//go:build race

package shell

// Under the race detector the largest configurations would take minutes.
const underRace = true
