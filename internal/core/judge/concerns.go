package judge

// Concerned is what an answer says of the requests that its wait concerns.
type Concerned struct {
	All  bool   // every request of this caller
	Name string // those of the limit with this name; empty if the service names none
}

// ReadConcerned reads which requests a wait concerns: x-ratelimit-scope and
// x-ratelimit-global (Discord), and the name of the limit in x-ratelimit-bucket (Discord)
// or x-ratelimit-resource (GitHub). The names in h are canonical.
func ReadConcerned(h map[string][]string) (c Concerned) {
	c.All = first(h["X-Ratelimit-Scope"]) == "global" || first(h["X-Ratelimit-Global"]) == "true"
	for _, header := range [...]string{"X-Ratelimit-Bucket", "X-Ratelimit-Resource"} {
		if name := first(h[header]); name != "" && len(name) <= maxWaitText {
			c.Name = name
			break
		}
	}
	return c
}
