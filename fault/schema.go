package fault

import (
	_ "embed" // for the schema's text
	"slices"
)

// planSchema is written by the package's tests, which hold it against the
// decoder.
//
//go:embed plan.schema.json
var planSchema []byte

// Schema is the JSON schema (draft 2020-12) of a plan, for editors and for tools
// that write plans. It knows the form: names, types and words. [Parse] knows the
// meaning too, such as that only one thing can happen to a request.
func Schema() []byte { return slices.Clone(planSchema) }
