package explain

import (
	"slices"

	"github.com/holdfast-go/holdfast/fault"
)

// requestIDs returns the IDs of the faults that a rule can cause. They are those of a
// compiled plan with this rule alone.
func requestIDs(f fault.Fault) []fault.ID {
	var ids []fault.ID
	for _, choice := range f.Mix {
		ids = append(ids, requestIDs(choice.Fault)...)
	}
	if len(f.Mix) > 0 {
		return unique(ids)
	}
	if f.Quota != nil {
		used := *f.Quota
		used.Limit = 0
		f.Quota = &used
	}
	machine, err := fault.Plan{Rules: []fault.Rule{{Fault: f}}}.Compile()
	if err != nil {
		return nil // unreachable for a checked plan
	}
	for range max(1, len(f.Statuses)) {
		ids = append(ids, machine.Next(0, fault.Request{}).IDs...)
	}
	return unique(ids)
}

// connectionIDs returns the IDs of the faults that a connection rule can cause.
func connectionIDs(f fault.ConnFault) []fault.ID {
	if f.Refuse {
		return []fault.ID{fault.IDRefuse}
	}
	machine, err := fault.Plan{Connections: []fault.ConnRule{{Fault: f}}}.Compile()
	if err != nil {
		return nil
	}
	return slices.Clone(machine.NextConnection(0).IDs)
}

// capacityIDs returns the IDs of the faults that a capacity can cause.
func capacityIDs(c fault.Capacity) (ids []fault.ID) {
	if c.Workers > 0 {
		ids = append(ids, fault.IDCapacityRefuse)
	}
	if c.Queue > 0 {
		ids = append(ids, fault.IDCapacityQueue)
	}
	if c.Latency.PerInFlight > 0 {
		ids = append(ids, fault.IDCapacityLoad)
	}
	return ids
}

// unique removes repeated IDs and keeps the order.
func unique(ids []fault.ID) []fault.ID {
	var kept []fault.ID
	for _, id := range ids {
		if !slices.Contains(kept, id) {
			kept = append(kept, id)
		}
	}
	return kept
}
