package judge

// AsksToWait reports whether an answer tells a wait in the headers of RetryAfter, also one
// of zero: so it says that it did not do what was asked for.
func AsksToWait(ms, after string) bool {
	if _, ok := scaled(ms, 1); ok {
		return true
	}
	if len(after) > maxWaitText {
		return false
	}
	if _, ok := scaled(after, 1); ok {
		return true
	}
	_, ok := parseDate(after)
	return ok
}
