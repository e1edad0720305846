//go:build race

package engine

// Under the race detector the largest configurations would take minutes.
const underRace = true
