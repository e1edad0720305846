package record

import (
	"encoding/json"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Line is an attempt with its number in a run of the plan.
type Line struct {
	Run, Number int
	faultserver.Attempt
}

// MarshalJSON writes the object of the record.
func (l Line) MarshalJSON() ([]byte, error) {
	faults := l.Faults
	if faults == nil {
		faults = []fault.ID{}
	}
	ms := func(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
	return json.Marshal(struct {
		Run        int        `json:"run"`
		Number     int        `json:"number"`
		At         float64    `json:"at_ms"`
		Connection int        `json:"connection"`
		Method     string     `json:"method"`
		Path       string     `json:"path"`
		RequestID  string     `json:"request_id"`
		Operation  string     `json:"operation"`
		Bytes      int        `json:"bytes"`
		Rule       int        `json:"rule"`
		N          uint64     `json:"n"`
		Faults     []fault.ID `json:"faults"`
		Delay      float64    `json:"delay_ms"`
		Status     int        `json:"status"`
		Effect     bool       `json:"effect"`
	}{l.Run, l.Number, ms(l.At), l.Connection, l.Method, l.Path, l.RequestID, l.Operation, l.Bytes,
		l.Rule, l.N, faults, ms(l.Delay), l.Status, l.Effect})
}
