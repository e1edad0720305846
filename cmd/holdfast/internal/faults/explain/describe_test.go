package explain

import (
	"testing"

	"github.com/holdfast-go/holdfast/fault"
)

func TestDescribeSelector(t *testing.T) {
	for _, tt := range []struct {
		nth         string
		probability float64
		match       fault.Match
		want        string
	}{
		{"", 0, fault.Match{}, everyRequest},
		{"", 1, fault.Match{}, "requests"},
		{"3", 0, fault.Match{}, "request 3"},
		{"1-2", 0.25, fault.Match{}, "25 % of requests 1-2"},
		{"4-", 0, fault.Match{Method: "GET"}, "requests 4 and on with method GET"},
		{"", 0.001, fault.Match{Header: map[string]string{"B": "*", "A": "x"}, Query: map[string]string{"q": "1"}},
			"0.1 % of requests with header A: x, header B: *, query q=1"},
		{"", 0, fault.Match{Shard: &fault.Shard{Query: "tenant", Of: 8, Is: []int{3, 5}}}, "every request with shard 3 5 of 8 by query tenant"},
	} {
		if got := describeSelector("request", tt.nth, tt.probability, tt.match); got != tt.want {
			t.Errorf("describeSelector(%q, %v, %+v) = %q, want %q", tt.nth, tt.probability, tt.match, got, tt.want)
		}
	}
}
