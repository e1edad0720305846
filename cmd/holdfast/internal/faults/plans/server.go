package plans

import (
	"fmt"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
)

// Flags are the flags of a server that decide about the plans that it supports.
type Flags struct {
	TLS, H2 bool
	As      fault.Provider
}

// CheckServer checks that a server with these flags supports the plan. The server checks
// that too, but its errors name options in Go, and each fault.
func CheckServer(plan fault.Plan, flags Flags) error {
	var tlsFaults, h2Faults places
	for i, r := range plan.Connections {
		path := fmt.Sprintf("connections[%d].fault", i)
		tlsFaults.add(r.Fault.TLS != "", path+".tls")
		h2Faults.add(r.Fault.H2 != "", path+".h2")
	}
	for i, r := range plan.Rules {
		path := fmt.Sprintf("rules[%d].fault", i)
		h2Faults.add(r.Fault.H2 != "", path+".h2")
		for j, choice := range r.Fault.Mix {
			h2Faults.add(choice.Fault.H2 != "", fmt.Sprintf("%s.mix[%d].fault.h2", path, j))
		}
	}
	var problems []fault.Problem
	if !flags.TLS {
		problems = append(problems, tlsFaults.need("a server with TLS", "--tls")...)
	}
	if !flags.H2 {
		problems = append(problems, h2Faults.need("a server that speaks HTTP/2", "--h2")...)
	}
	switch {
	case plan.As != "" && flags.As != "" && plan.As != flags.As:
		problems = append(problems, fault.Problem{Path: "as", Message: fmt.Sprintf("%q contradicts --as %s: leave out one of them", plan.As, flags.As)})
	case plan.As == "" && flags.As == "":
		problems = append(problems, places(plan.NeedProvider()).need("a provider", "--as, such as --as openai")...)
	}
	if len(problems) > 0 {
		return &fault.Error{Problems: problems}
	}
	return nil
}

// places are the paths of faults that need the same flag.
type places []string

func (p *places) add(has bool, path string) {
	if has {
		*p = append(*p, path)
	}
}

// need returns one problem for all places, or none without a place.
func (p places) need(what, flag string) []fault.Problem {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return []fault.Problem{{Path: p[0], Message: fmt.Sprintf("needs %s: give %s", what, flag)}}
	}
	return []fault.Problem{{Message: fmt.Sprintf("%s, the first at %s, need %s: give %s", format.Plural(len(p), "fault"), p[0], what, flag)}}
}
