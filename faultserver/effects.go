package faultserver

// Effects counts work. Work is known by its operation (see [Answer]), which is
// noted before any deduplication, so that a client that repeats an operation
// under a fresh key is caught.
type Effects struct {
	// Done is how many different operations were executed.
	Done int
	// Duplicates is how many executions there were beyond the first of an
	// operation. A client that keeps its key over all attempts has none.
	Duplicates int
	// Resent is how many requests arrived for an operation that had been executed
	// already: how often a client has put the deduplication to the test.
	Resent int
	// Untracked is how many executions are in none of these counts, since their
	// operation was not known or the server's tables were full.
	Untracked int
}
