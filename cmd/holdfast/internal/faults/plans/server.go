package plans

import (
	"fmt"

	"github.com/holdfast-go/holdfast/fault"
)

// CheckServer checks that a server with these flags supports the plan. The server checks
// that too, but its errors name options in Go.
func CheckServer(plan fault.Plan, tls, h2 bool) error {
	var problems []fault.Problem
	add := func(path, message string) {
		problems = append(problems, fault.Problem{Path: path, Message: message})
	}
	const needsH2 = "needs a server that speaks HTTP/2: give --h2"
	for i, r := range plan.Connections {
		path := fmt.Sprintf("connections[%d].fault", i)
		if r.Fault.TLS != "" && !tls {
			add(path+".tls", "needs a server with TLS: give --tls")
		}
		if r.Fault.H2 != "" && !h2 {
			add(path+".h2", needsH2)
		}
	}
	for i, r := range plan.Rules {
		path := fmt.Sprintf("rules[%d].fault", i)
		if r.Fault.H2 != "" && !h2 {
			add(path+".h2", needsH2)
		}
		for j, choice := range r.Fault.Mix {
			if choice.Fault.H2 != "" && !h2 {
				add(fmt.Sprintf("%s.mix[%d].fault.h2", path, j), needsH2)
			}
		}
	}
	if len(problems) > 0 {
		return &fault.Error{Problems: problems}
	}
	return nil
}
