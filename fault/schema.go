package fault

import (
	_ "embed" // for the schema's text
	"slices"
)

// planSchema is written by the package's tests, which compare it with the decoder.
//
//go:embed plan.schema.json
var planSchema []byte

// Schema returns the JSON schema (draft 2020-12) of a plan, for editors and for
// tools that write plans. It checks form: names, types and words. [Parse] also
// checks meaning, for example that a request has only one fault.
func Schema() []byte { return slices.Clone(planSchema) }
