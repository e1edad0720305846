package faultserver

// Effects counts work by operation (see [Answer]). An operation is counted before
// deduplication, so that a client that repeats it with a new key is detected.
type Effects struct {
	// Done is the number of different operations that were executed.
	Done int
	// Duplicates is the number of executions after the first of an operation.
	// It is zero for a client that keeps its key in all attempts.
	Duplicates int
	// Resent is the number of requests for an operation that was already
	// executed, deduplicated or not.
	Resent int
	// Untracked is the number of executions that are not in these counts, since
	// their operation was unknown or the server's tables were full.
	Untracked int
}
